//! A clock that jumps, for the service's process alone: libfaketime, which Debian has as `faketime`.

use std::path::{Path, PathBuf};

use anyhow::Result;

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// How far a wall clock is off, for whoever was started with its [`Clock::environment`].
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// One that is right; none where the library is not installed.
    pub fn find(directory: &Path) -> Result<Option<Self>> {
        let Some(library) = LIBRARIES.iter().map(PathBuf::from).find(|path| path.is_file()) else {
            return Ok(None);
        };
        let clock = Self { library, offset: directory.join("clock") };
        clock.set(0)?;
        Ok(Some(clock))
    }

    /// What a process is to be started with. A monotonic clock does not jump, in reality either.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("LD_PRELOAD", path(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", path(&self.offset)),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Lets it be so many seconds off from now on.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // Written whole: the library reads it at every look at the clock.
        let new = self.offset.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(new, &self.offset)?)
    }
}
