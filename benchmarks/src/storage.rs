//! A file system that shares blocks between copies, as `offshoot storage create` makes it. Only root can.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::bench::Bench;
use crate::server::run;

/// It takes only as much of the disk as is written to it.
const SIZE: &str = "32G";
/// What of it was written to before a figure.
const USED_GIB: usize = 8;

#[derive(Debug)]
pub struct Storage {
    directory: tempfile::TempDir,
}

impl Storage {
    /// Makes and mounts one, or says why this machine cannot.
    pub async fn create(bench: &Bench) -> Result<Result<Self, String>> {
        if std::fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Err("only root can mount a file system that shares blocks".to_owned()));
        }
        let directory = tempfile::Builder::new().prefix("offshoot-bench-").tempdir()?;
        // The server's user has to reach it.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        let mut create = Command::new(&bench.binary);
        create.args(["storage", "create", "--size", SIZE, "--data-dir"]).arg(directory.path());
        if let Err(error) = run(&mut create).await {
            return Ok(Err(format!("no file system can be made here: {error:#}")));
        }
        let storage = Self { directory };
        std::fs::set_permissions(storage.path(), std::fs::Permissions::from_mode(0o755))?;
        storage.wear_in(if bench.quick { 1 } else { USED_GIB }).await?;
        Ok(Ok(storage))
    }

    /// Writes to it and removes that again: the disk below gives the image its blocks at the first write to each, which is nothing that is to be
    /// measured. Directories are how XFS spreads files over all of itself.
    async fn wear_in(&self, gib: usize) -> Result<()> {
        let path = |number: usize| self.path().join(format!("worn-{number}"));
        for number in 0..gib {
            std::fs::create_dir(path(number))?;
            let mut write = Command::new("dd");
            write.args(["if=/dev/zero", "bs=1M", "count=1024", "conv=fsync", "status=none"]);
            run(write.arg(format!("of={}", path(number).join("blocks").display()))).await?;
        }
        for number in 0..gib {
            std::fs::remove_dir_all(path(number))?;
        }
        Ok(())
    }

    /// Where it is mounted.
    pub fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("embedded")
    }

    /// The MiB that are taken, once everything written is on the disk.
    pub async fn used_mib(&self) -> Result<f64> {
        // What XFS keeps in reserve behind files that grow comes and goes by itself, and is nobody's data.
        run(Command::new("xfs_spaceman").args(["-c", "prealloc -s"]).arg(self.path())).await?;
        run(Command::new("sync").arg("--file-system").arg(self.path())).await?;
        disk_mib(&self.path(), "used").await
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // A server that was killed may still be writing its last words: then it goes when that is over.
        let unmounted = std::process::Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} could not be unmounted", self.path().display());
        }
    }
}

/// One of `df`'s columns for the file system that a path is on, in MiB.
pub async fn disk_mib(path: &Path, column: &str) -> Result<f64> {
    let said = run(Command::new("df").arg("-B1").arg(format!("--output={column}")).arg(path)).await?;
    let bytes = said.lines().nth(1).and_then(|line| line.trim().parse::<f64>().ok());
    Ok(bytes.with_context(|| format!("understand df of {}: {said}", path.display()))? / f64::from(1 << 20))
}
