//! As whom the server runs: as ourselves, and never as root, because PostgreSQL refuses that.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use tokio::process::Command;

use super::error::EmbeddedError;

/// Made where root starts the service and the system has no user `postgres`.
const OWN_USER: &str = "offshoot";

/// Another user than ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerUser {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// None where the server runs as the user that we are.
pub(super) async fn choose() -> Result<Option<ServerUser>, EmbeddedError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    if let Some(user) = look_up("postgres").or_else(|| look_up(OWN_USER)) {
        return Ok(Some(user));
    }
    let mut useradd = Command::new("useradd");
    useradd.args(["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", OWN_USER]);
    let failed = |output: String| EmbeddedError::Command {
        command: format!("`useradd {OWN_USER}`, for a user that may run PostgreSQL in place of root,"),
        output,
        log: None,
    };
    let output = useradd.output().await.map_err(|error| failed(error.to_string()))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    look_up(OWN_USER).map(Some).ok_or_else(|| failed(complaint))
}

fn look_up(name: &str) -> Option<ServerUser> {
    let user = User::from_name(name).ok().flatten()?;
    Some(ServerUser { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() })
}

impl ServerUser {
    /// Fails where a directory on the way to `path`, or `path` itself, is closed to this user.
    pub(super) fn check_reach(&self, path: &Path) -> Result<(), EmbeddedError> {
        match path.ancestors().collect::<Vec<_>>().into_iter().rev().find(|step| !self.may_enter(step)) {
            None => Ok(()),
            Some(closed) => Err(EmbeddedError::Unreachable {
                path: path.to_owned(),
                closed: closed.to_owned(),
                user: self.name.clone(),
            }),
        }
    }

    fn may_enter(&self, directory: &Path) -> bool {
        let Ok(metadata) = directory.metadata() else { return true };
        let searchable = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & searchable != 0
    }

    /// Gives a file or directory to this user.
    pub(super) fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(EmbeddedError::file("give to the server's user", path))
    }
}

/// A program of the server's, run as its user from a directory that every user may be in, without our environment.
pub(super) fn command(program: PathBuf, user: Option<&ServerUser>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").current_dir("/").kill_on_drop(true);
    for kept in ["PATH", "LD_LIBRARY_PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        let inside = closed.join("inside");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = ServerUser { name: "stranger".to_owned(), uid: 54_321, gid: 54_321 };
        let error = stranger.check_reach(&inside).unwrap_err();
        assert!(
            matches!(&error, EmbeddedError::Unreachable { closed: named, .. } if *named == closed),
            "{error}"
        );
        assert!(stranger.check_reach(root.path()).is_ok());
    }
}
