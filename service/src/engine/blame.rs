//! Whose an error is that speaks of the server and not of what was asked. SQL can say of itself what the server says, so its word is not enough.

use std::fmt;

use tokio_postgres::error::{DbError, Severity};

/// What all branches of a server share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Disk,
    Memory,
    /// The one table of all sessions' locks.
    Locks,
    Connections,
    Other,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Locks => "room for locks",
            Self::Connections => "connections",
            Self::Other => "what it needs to work",
        })
    }
}

/// What an error in a session of a branch's role comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// What was asked for, or a limit of the branch's own.
    Author,
    /// The session was ended; the server may be stopping, or somebody ended this one.
    Ended,
    /// The server stops, takes no sessions, or cannot read its disk.
    Server,
    /// The server has run out of something; by whom is to be asked.
    UsedUp(Resource),
}

impl Cause {
    pub(super) fn of(error: &DbError) -> Self {
        let ends_session = !matches!(error.parsed_severity(), Some(Severity::Error));
        if is_raised(error) {
            return Self::Author;
        }
        Self::decide(error.code().code(), ends_session, error.file())
    }

    /// By SQLSTATE, by whether the error ends the session, and by the server's source file.
    fn decide(sqlstate: &str, ends_session: bool, file: Option<&str>) -> Self {
        match sqlstate {
            "57P01" if ends_session => Self::Ended,
            "57P02" | "57P03" if ends_session => Self::Server,
            // That of this session; dblink's and a foreign server's leave it standing.
            _ if sqlstate.starts_with("08") && ends_session => Self::Server,
            "58030" => Self::Server,
            "53100" => Self::UsedUp(Resource::Disk),
            "53200" if matches!(file, Some("lock.c" | "predicate.c")) => Self::UsedUp(Resource::Locks),
            "53200" => Self::UsedUp(Resource::Memory),
            "53300" => Self::UsedUp(Resource::Connections),
            // What one session may have: temporary files.
            "53400" => Self::Author,
            _ if sqlstate.starts_with("53") => Self::UsedUp(Resource::Other),
            _ => Self::Author,
        }
    }
}

/// Whether it is PL/pgSQL's `RAISE` that said so, which can give any SQLSTATE. One that passes on what it caught keeps the name of who said it first.
pub(super) fn is_raised(error: &DbError) -> bool {
    error.routine() == Some("exec_stmt_raise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        use Cause::{Author, Ended, Server, UsedUp};
        for (sqlstate, ends_session, file, cause) in [
            ("42P01", false, None, Author),
            ("57014", false, None, Author),
            ("57P01", true, None, Ended),
            ("57P01", false, None, Author),
            ("57P03", true, None, Server),
            ("08006", true, None, Server),
            ("08001", false, Some("dblink.c"), Author),
            ("58030", false, None, Server),
            ("53100", false, Some("md.c"), UsedUp(Resource::Disk)),
            ("53200", false, Some("lock.c"), UsedUp(Resource::Locks)),
            ("53200", false, Some("mcxt.c"), UsedUp(Resource::Memory)),
            ("53300", true, None, UsedUp(Resource::Connections)),
            ("53400", false, Some("fd.c"), Author),
            ("53000", false, Some("fd.c"), UsedUp(Resource::Other)),
        ] {
            assert_eq!(
                Cause::decide(sqlstate, ends_session, file),
                cause,
                "{sqlstate} {ends_session} {file:?}"
            );
        }
    }
}
