//! Why an embedded server cannot be had, with the way out.

use std::io;
use std::path::{Path, PathBuf};

use super::volume::VolumeError;
use crate::postgres::ConnectError;

#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no PostgreSQL 14 or newer was found (looked in {looked_in}); install one, as Debian's `postgresql`, or set \
         OFFSHOOT_POSTGRES_BIN to the directory that holds `postgres` and `initdb`, or OFFSHOOT_DATABASE_URL to a server"
    )]
    NoServer { looked_in: String },
    #[error("{bin} is no usable PostgreSQL: {why}; OFFSHOOT_POSTGRES_BIN must name a directory that holds `postgres`, `initdb` and `pg_ctl` of version 14 or newer", bin = bin.display())]
    UnusableServer { bin: PathBuf, why: String },
    #[error(
        "{pgdata} was made by PostgreSQL {made_by}, and the server found is {found}; set OFFSHOOT_POSTGRES_BIN to a \
         PostgreSQL {made_by}, or move that directory away to begin anew (its branches are lost)",
        pgdata = pgdata.display()
    )]
    OtherVersion { pgdata: PathBuf, made_by: u32, found: String },
    #[error("the embedded server in {directory} is used by another running Offshoot; stop it, or give this one another OFFSHOOT_DATA_DIR", directory = directory.display())]
    InUse { directory: PathBuf },
    #[error(
        "{path} cannot be reached by the user {user}, as whom PostgreSQL runs because it refuses root: {closed} is closed to it; \
         move it out of there (OFFSHOOT_DATA_DIR, OFFSHOOT_POSTGRES_BIN), open {closed} with `chmod o+x`, or start Offshoot as another user than root",
        path = path.display(), closed = closed.display()
    )]
    Unreachable { path: PathBuf, closed: PathBuf, user: String },
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error(
        "the server's data is in {image}, which is not mounted; run `offshoot storage mount` as root (and see to it that /etc/fstab mounts it)",
        image = image.display()
    )]
    Unmounted { image: PathBuf },
    #[error("{command} failed: {output}{}", log_hint(log.as_deref()))]
    Command { command: String, output: String, log: Option<PathBuf> },
    #[error("cannot {doing} {path}", path = path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the embedded server was started and does not answer{}", log_hint(Some(log)))]
    Silent {
        log: PathBuf,
        #[source]
        source: ConnectError,
    },
}

impl EmbeddedError {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}

fn log_hint(log: Option<&Path>) -> String {
    log.map_or_else(String::new, |log| format!("; see {}", log.display()))
}
