//! What the numbers were taken on.

use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::bench::Bench;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub memory_mib: u64,
    pub kernel: String,
    /// What the servers' data is on.
    pub file_system: String,
    pub postgres: String,
    /// The commit of this repository, with a `+` where files were changed since.
    pub commit: String,
    /// The profile that the service was built with, as far as its path tells.
    pub build: String,
}

impl Machine {
    pub fn look(bench: &Bench) -> Self {
        let Bench { binary, postgres_bin, storage, .. } = bench;
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let memory_kib = field(&memory, "MemTotal").split(' ').next().and_then(|kib| kib.parse::<u64>().ok());
        let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let is_release = binary.components().any(|part| part.as_os_str() == "release");
        let disk = said("stat", &["--file-system", "--format=%T", &std::env::temp_dir().to_string_lossy()]);
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field(&cpu, "model name"),
            memory_mib: memory_kib.unwrap_or_default() / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: match storage {
                Ok(_) => {
                    format!("XFS with reflink, in a file on {disk}, as `offshoot storage create` makes it")
                }
                Err(_) => disk,
            },
            postgres: said(&postgres_bin.join("postgres").to_string_lossy(), &["--version"]),
            commit: said("git", &["rev-parse", "--short=10", "HEAD"]) + if changed { "+" } else { "" },
            build: if is_release { "release" } else { "dev" }.to_owned(),
        }
    }
}

/// The first value of a name in a file of `name : value` lines.
fn field(text: &str, name: &str) -> String {
    let of_name =
        |line: &str| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim().to_owned());
    text.lines().find_map(of_name).unwrap_or_default()
}

/// The first line a command prints; empty where there is no such command.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_with_and_without_room_before_its_colon() {
        assert_eq!(field("x: 1\nmodel name\t: Fast One\n", "model name"), "Fast One");
        assert_eq!(field("MemTotal:       24684092 kB\n", "MemTotal"), "24684092 kB");
        assert_eq!(field("", "MemTotal"), "");
    }
}
