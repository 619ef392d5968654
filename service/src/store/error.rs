//! What can go wrong with the control database, and whether another try can help.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::domain::branch::BranchId;
use crate::domain::state::BranchState;
use crate::secret::VaultError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection to the control database could be had.
    #[error("could not get a connection to the control database")]
    Connection(#[source] anyhow::Error),
    #[error("could not get a connection to the control database from the pool")]
    Pool(#[from] PoolError),
    #[error("could not {doing} in the control database")]
    Database {
        doing: &'static str,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("could not bring the control database's schema up to date")]
    Schema(#[source] refinery::Error),
    /// A row holds what this version cannot read: written by a newer one, or by hand.
    #[error("column {column} of the control database cannot be read: {why}")]
    Unreadable { column: &'static str, why: String },
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("branch {id} is {from}, which {to} may not follow")]
    IllegalTransition { id: BranchId, from: BranchState, to: BranchState },
    #[error("the job that this was done for is another worker's by now")]
    NotHeld,
    #[error("the control database holds no {0}")]
    Missing(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anything being mended by hand or in the code.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection(_) => true,
            Self::Pool(PoolError::Timeout(_)) => true,
            Self::Pool(PoolError::Backend(source)) | Self::Database { source, .. } => is_transient(source),
            _ => false,
        }
    }

    pub(super) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database { source, .. } if source.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}

/// The server went away, is starting or stopping, is out of something, or asks for the transaction to be run again.
fn is_transient(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(state) => is_transient_state(state.code()),
        None => {
            let by_network = error.source().is_some_and(|source| source.is::<std::io::Error>());
            error.is_closed() || by_network
        }
    }
}

/// By PostgreSQL's appendix A: connection exceptions, transaction rollbacks, insufficient resources, lock not available,
/// operator intervention.
fn is_transient_state(sqlstate: &str) -> bool {
    ["08", "40", "53"].iter().any(|class| sqlstate.starts_with(class))
        || sqlstate.starts_with("57P0")
        || sqlstate == "55P03"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_transient() {
        for state in ["08006", "40001", "40P01", "53100", "53300", "57P01", "57P03", "55P03"] {
            assert!(is_transient_state(state), "{state}");
        }
        for state in ["23505", "42P01", "22P02", "28P01", "57014"] {
            assert!(!is_transient_state(state), "{state}");
        }
    }

    #[test]
    fn a_wrong_step_is_ours() {
        let error =
            StoreError::IllegalTransition { id: 7, from: BranchState::Ready, to: BranchState::Deleted };
        assert!(!error.is_transient());
        assert_eq!(error.to_string(), "branch 7 is ready, which deleted may not follow");
    }
}
