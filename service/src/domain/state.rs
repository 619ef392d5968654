//! The states of a branch and the steps that are legal between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::InvalidId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BranchState {
    /// Known, not begun.
    Pending,
    /// Being brought to a commit's chain. An earlier generation may still be reachable.
    Preparing,
    /// Holds exactly the chain of its head commit.
    Ready,
    /// A migration or a seed of the pull request did not apply.
    Failed,
    /// Offshoot, its servers or GitHub failed; retried.
    Errored,
    /// Waits for an approval or for room.
    Blocked,
    /// The pull request is closed; being removed.
    Deleting,
    /// Nothing is left of it.
    Deleted,
}

impl BranchState {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Preparing,
        Self::Ready,
        Self::Failed,
        Self::Errored,
        Self::Blocked,
        Self::Deleting,
        Self::Deleted,
    ];

    /// What a branch may be called until it is deleted.
    pub const LIVE_NAMES: &[&str] =
        &["pending", "preparing", "ready", "failed", "errored", "blocked", "deleting"];

    /// The states from which this one may be entered. Every UPDATE of a branch's state filters on them.
    pub const fn predecessors(self) -> &'static [Self] {
        use BranchState::{Blocked, Deleting, Errored, Failed, Pending, Preparing, Ready};
        match self {
            Self::Pending => &[Blocked],
            Self::Preparing => &[Pending, Preparing, Ready, Failed, Errored, Blocked],
            Self::Ready | Self::Failed => &[Preparing],
            Self::Errored => &[Pending, Preparing, Blocked],
            Self::Blocked => &[Pending, Preparing, Ready, Failed, Errored, Blocked],
            Self::Deleting => &[Pending, Preparing, Ready, Failed, Errored, Blocked, Deleting],
            Self::Deleted => &[Deleting],
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Errored => "errored",
            Self::Blocked => "blocked",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }

    pub fn may_follow(self, before: Self) -> bool {
        self.predecessors().contains(&before)
    }

    /// Whether its database is gone, or going.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Deleting | Self::Deleted)
    }

    /// Whether a database may exist for it.
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Deleted)
    }
}

impl fmt::Display for BranchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BranchState {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| InvalidId::new(text, "a branch's state"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_text() {
        for state in BranchState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("asleep".parse::<BranchState>().is_err());
    }

    #[test]
    fn nothing_follows_deleted_and_only_deleting_precedes_it() {
        for state in BranchState::ALL {
            assert!(!state.may_follow(BranchState::Deleted), "{state} after deleted");
            assert_eq!(BranchState::Deleted.may_follow(state), state == BranchState::Deleting);
        }
    }

    #[test]
    fn a_close_wins_over_everything() {
        for state in BranchState::ALL.into_iter().filter(|state| state.is_live()) {
            assert!(BranchState::Deleting.may_follow(state), "deleting after {state}");
        }
    }

    #[test]
    fn a_verdict_is_reached_only_by_preparing() {
        for state in BranchState::ALL {
            assert_eq!(BranchState::Ready.may_follow(state), state == BranchState::Preparing);
            assert_eq!(BranchState::Failed.may_follow(state), state == BranchState::Preparing);
        }
    }
}
