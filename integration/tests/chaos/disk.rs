//! A small file system of its own, which can be filled. Only root may mount one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

const BLOCK: usize = 1 << 20;

/// Mounted until it is dropped.
#[derive(Debug)]
pub struct Disk {
    mount: PathBuf,
}

impl Disk {
    /// Makes one below a directory and mounts it; says why not where that cannot be done.
    pub fn mount(directory: &Path, megabytes: u64) -> Result<Self> {
        if !geteuid().is_root() {
            bail!("only root can mount a file system to fill");
        }
        let (image, mount) = (directory.join("disk.img"), directory.join("disk"));
        File::create(&image)?.set_len(megabytes << 20)?;
        fs::create_dir(&mount)?;
        let (image, target) = (image.to_string_lossy(), mount.to_string_lossy());
        run("mkfs.ext4", &["-q", "-m", "0", "-O", "^has_journal", &image])?;
        run("mount", &["-o", "loop", &image, &target])?;
        // An empty directory of one's own is what a server wants.
        fs::create_dir(mount.join("server"))?;
        Ok(Self { mount })
    }

    /// Where a server's data goes.
    pub fn server(&self) -> PathBuf {
        self.mount.join("server")
    }

    /// Writes until nothing more fits.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.ballast())?;
        let mut block = vec![7; BLOCK];
        while !block.is_empty() {
            // Smaller and smaller pieces, until not one byte has room.
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("remove what filled the disk")
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server may still be closing its files; a lazy unmount waits for it.
        if let Err(error) = run("umount", &["--lazy", &self.mount.to_string_lossy()]) {
            eprintln!("{error:#}");
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
