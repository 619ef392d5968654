//! What every figure is measured with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::storage::Storage;

/// The subject, and how thoroughly it is looked at.
#[derive(Debug)]
pub struct Bench {
    /// The built `offshoot`.
    pub binary: PathBuf,
    /// The rivals' programs: `createdb`, `psql`, `pgbench`.
    pub postgres_bin: PathBuf,
    /// Few runs, to see that it works.
    pub quick: bool,
    /// Where the servers' data is; or why it is on the disk as that is.
    pub storage: Result<Storage, String>,
}

impl Bench {
    pub fn new(binary: &Path, postgres_bin: Option<PathBuf>, quick: bool) -> Result<Self> {
        let binary = std::path::absolute(binary)?;
        ensure!(binary.is_file(), "{} is missing: build the service first", binary.display());
        let fetched = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/postgresql/18/bin");
        let postgres_bin = postgres_bin.unwrap_or_else(fetched);
        let postgres_bin = postgres_bin.canonicalize().with_context(|| {
            format!("look for PostgreSQL in {}: run scripts/setup postgres 18", postgres_bin.display())
        })?;
        Ok(Self { binary, postgres_bin, quick, storage: Err("none was made yet".to_owned()) })
    }

    /// Makes a fresh file system for the next figure's servers, where that can be had here.
    pub async fn furnish(&mut self) -> Result<()> {
        // That of the figure before goes first.
        self.storage = Err("it is being made".to_owned());
        self.storage = Storage::create(self).await?;
        Ok(())
    }

    /// The directory for the servers' data; the system's for temporary files if none.
    pub fn data(&self) -> Option<PathBuf> {
        self.storage.as_ref().ok().map(Storage::path)
    }

    /// So many runs, or with `QUICK=1` only so many.
    pub fn runs(&self, thorough: usize, quick: usize) -> usize {
        if self.quick { quick } else { thorough }
    }
}

/// Says how far a figure has come.
pub fn progress(figure: &str, text: impl std::fmt::Display) {
    eprintln!("  {figure:<10} {text}");
}
