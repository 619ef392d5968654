//! Forks: throw-away clones of a branch's ready state, each for one test run.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::branch::{Branch, BranchId};
use super::ids::Oid;
use super::state::BranchState;

/// For how long a fork stays where its caller does not say.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// The state of a branch that a fork is a clone of: its chain and seeds at one commit, without what was written to it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub branch: BranchId,
    pub generation: i32,
    pub sha: Oid,
}

impl Origin {
    /// What forks of a branch are made from now; none while it is not ready.
    pub fn of(branch: &Branch) -> Option<Self> {
        let sha = branch.database_sha.clone()?;
        let ready = branch.state == BranchState::Ready && !branch.reset_requested;
        ready.then_some(Self { branch: branch.id, generation: branch.generation, sha })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkState {
    /// Somebody waits for it, and nothing of it is there yet.
    Wanted,
    /// Being made; what a crash left in this state is half-made.
    Filling,
    /// Waits in its branch's pool, or for whoever it was made for.
    Spare,
    /// Handed out.
    Live,
    /// To be dropped.
    Trash,
    /// Nothing is left of it.
    Dropped,
}

impl ForkState {
    const ALL: [Self; 6] = [Self::Wanted, Self::Filling, Self::Spare, Self::Live, Self::Trash, Self::Dropped];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Filling => "filling",
            Self::Spare => "spare",
            Self::Live => "live",
            Self::Trash => "trash",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for ForkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ForkState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is not a fork's state"))
    }
}

/// How many forks of a branch there are, and were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    pub wanted: i64,
    /// Waiting in the pool or being made for it.
    pub spare: i64,
    /// Handed out within the last ten minutes.
    pub recent: i64,
    /// All that have a database, or are about to.
    pub standing: i64,
}

/// How many forks of one branch may stand: a client that never deletes any is stopped before the disk is.
pub const MOST_OF_A_BRANCH: i64 = 200;
/// Spares of a branch that is forked from now and then.
const FEWEST: i64 = 2;
/// And of one that is forked from all the time: a test run of eight shards finds one for each.
const MOST: i64 = 8;

impl Demand {
    /// How many spares to make now.
    pub fn missing_spares(self) -> i64 {
        let target = (self.recent / 2).clamp(FEWEST, MOST);
        (target - self.spare).min(MOST_OF_A_BRANCH - self.standing).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_text() {
        for state in ForkState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("asleep".parse::<ForkState>().is_err());
    }

    #[test]
    fn the_pool_follows_demand_between_its_bounds() {
        let missing =
            |recent, spare, standing| Demand { wanted: 0, recent, spare, standing }.missing_spares();
        assert_eq!(missing(0, 0, 0), 2);
        assert_eq!(missing(1, 1, 2), 1);
        assert_eq!(missing(10, 0, 10), 5);
        assert_eq!(missing(1000, 0, 50), 8);
        assert_eq!(missing(0, 5, 5), 0, "one too many is not dropped for that");
        assert_eq!(missing(1000, 0, 197), 3, "no more than the branch may have");
        assert_eq!(missing(1000, 0, 200), 0);
    }
}
