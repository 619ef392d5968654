//! What can go wrong on the branch server that is not a pull request's doing.

use tokio_postgres::error::SqlState;

use super::blame::Resource;
use super::ident::InvalidIdent;
use crate::domain::room::Shortage;
use crate::postgres::ConnectError;

/// Who is to mend it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The server is away, busy or full; worth another try.
    Transient,
    /// A mistake of Offshoot or of whoever set it up; trying again changes nothing.
    Ours,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no connection to the branch server became free while trying to {doing}")]
    Pool {
        doing: String,
        #[source]
        source: deadpool_postgres::PoolError,
    },
    #[error("the branch server refused to {doing}")]
    Refused {
        doing: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("the branch server went away while trying to {doing}")]
    Lost { doing: String },
    #[error("the branch server ran out of {resource} while trying to {doing}")]
    UsedUp {
        doing: String,
        resource: Resource,
        #[source]
        source: Box<tokio_postgres::error::DbError>,
    },
    #[error("timed out while trying to {doing}")]
    TimedOut { doing: String },
    #[error("the branch server is PostgreSQL {found}; Offshoot needs 14 or newer")]
    TooOld { found: String },
    #[error(
        "the role {role} of the branch server's URL is no superuser, and only one can make isolated branches; \
         run `ALTER ROLE \"{role}\" SUPERUSER` there, or give the URL of a superuser in OFFSHOOT_BRANCH_SERVER_URL"
    )]
    NotSuperuser { role: String },
    #[error("{what} {name:?} is not Offshoot's own: it will not touch it")]
    NotOurs { what: &'static str, name: String },
    #[error("the {what} {name:?} is not on the branch server")]
    Missing { what: &'static str, name: String },
    #[error("the extension {name:?} is not on the operator's allow-list")]
    ExtensionNotAllowed { name: String },
    /// Nothing was begun: it would have left less of the disk free than is always kept so.
    #[error("{0}")]
    NoRoom(Shortage),
    #[error(transparent)]
    Name(#[from] InvalidIdent),
}

impl From<Shortage> for EngineError {
    fn from(shortage: Shortage) -> Self {
        Self::NoRoom(shortage)
    }
}

impl EngineError {
    pub(super) fn refused(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let doing = doing.into();
        move |source| if source.is_closed() { Self::Lost { doing } } else { Self::Refused { doing, source } }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect(ConnectError::Refused { source, .. }) | Self::Refused { source, .. } => {
                kind_of(source)
            }
            Self::Connect(ConnectError::Unreachable { .. })
            | Self::Pool { .. }
            | Self::Lost { .. }
            | Self::UsedUp { .. }
            | Self::TimedOut { .. }
            | Self::NoRoom(_) => ErrorKind::Transient,
            _ => ErrorKind::Ours,
        }
    }

    pub fn is_transient(&self) -> bool {
        self.kind() == ErrorKind::Transient
    }

    /// The server's SQLSTATE, where it gave one.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Connect(ConnectError::Refused { source, .. }) | Self::Refused { source, .. } => {
                source.code()
            }
            _ => None,
        }
    }
}

fn kind_of(error: &tokio_postgres::Error) -> ErrorKind {
    let passes = match error.code() {
        // Not from the server at all: the network, or a connection that broke.
        None => true,
        Some(code) => is_passing(code.code()),
    };
    if passes { ErrorKind::Transient } else { ErrorKind::Ours }
}

/// Whether a SQLSTATE speaks of the server's present state and not of what was asked.
pub(super) fn is_passing(code: &str) -> bool {
    // Connections, resources, the operator's intervention, contention; 55006 is a database that someone still uses.
    ["08", "53", "57P", "40", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55006" | "55P03")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_are_told_apart() {
        for code in ["08006", "53100", "53300", "57P03", "40P01", "55006"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["42P01", "42501", "57014", "28P01", "XX000"] {
            assert!(!is_passing(code), "{code}");
        }
    }

    #[test]
    fn a_message_says_what_was_being_done_and_leaves_the_cause_to_its_source() {
        let lost = EngineError::Lost { doing: "freeze the layer \"l\"".to_owned() };
        assert_eq!(lost.to_string(), "the branch server went away while trying to freeze the layer \"l\"");
        assert!(lost.is_transient());
        assert_eq!(EngineError::TooOld { found: "13.2".to_owned() }.kind(), ErrorKind::Ours);
    }
}
