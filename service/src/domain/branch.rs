//! A branch as it is stored and shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chain::{Checksum, Migration};
use super::expiry::Lifetime;
use super::failure::Failure;
use super::findings::Finding;
use super::ids::{DatabaseLabel, Oid, PullId};
use super::seed::SeededFile;
use super::state::BranchState;

/// The control database's number of a branch.
pub type BranchId = i64;

/// A migration that was applied, with how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppliedMigration {
    pub name: String,
    #[schema(value_type = String)]
    pub checksum: Checksum,
    /// Absent where it came with a layer and was not run for this branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
}

impl AppliedMigration {
    pub fn migration(&self) -> Migration {
        Migration { name: self.name.clone(), checksum: self.checksum.clone() }
    }
}

/// Where the time went, in milliseconds, for the last time that the branch was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    /// From the delivery's arrival to a worker's claim.
    pub queued: f64,
    /// Reading the chains from GitHub.
    pub read: f64,
    /// Getting hold of a database: a clone of a layer, with the layer's building where it was missing.
    pub acquire: f64,
    pub migrate: f64,
    pub seed: f64,
    /// From the delivery's arrival to ready.
    pub total: f64,
}

/// The isolated database of one (repository, pull request, database).
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    pub id: BranchId,
    pub pull: PullId,
    pub database: DatabaseLabel,
    pub state: BranchState,
    /// Counts the rebuilds, from 1 once there is a database.
    pub generation: i32,
    /// The commit that the state speaks of.
    pub head_sha: Oid,
    /// The commit whose chain the reachable database holds; none before the first.
    pub database_sha: Option<Oid>,
    pub base_ref: String,
    /// Stable name of the database and of its login role, across generations.
    pub database_name: String,
    pub applied: Vec<AppliedMigration>,
    pub failure: Option<Failure>,
    pub findings: Vec<Finding>,
    pub seeded: Vec<SeededFile>,
    pub timings: Timings,
    /// Why it waits or could not be served, for people.
    pub reason: Option<String>,
    pub protected: bool,
    /// A rebuild that somebody asked for, and that has not been carried out.
    pub reset_requested: bool,
    pub created_at: DateTime<Utc>,
    pub ready_at: Option<DateTime<Utc>>,
    /// The commit that it is ready for, or was when it went.
    pub ready_sha: Option<Oid>,
    pub expires_at: Option<DateTime<Utc>>,
    /// From when on people are told of that.
    pub expiry_told_from: Option<DateTime<Utc>>,
    /// When its database was last seen in use; a time to come where somebody extended it until then.
    pub active_at: Option<DateTime<Utc>>,
    pub queue: Queue,
}

/// A branch's part in the queue for room on the branch server's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// Since when it waits; kept while it is tried again, so that it does not lose its place.
    pub wanted_at: Option<DateTime<Utc>>,
    /// Bytes that there was no room for when it was last tried.
    pub needs: i64,
    /// How many wait before it: all that wait, if it does not wait itself.
    pub ahead: i64,
}

impl Branch {
    /// Whether a database stands behind the branch's URL, whatever it holds.
    pub fn is_reachable(&self) -> bool {
        self.database_sha.is_some() && !self.state.is_gone()
    }

    /// What decides when it goes although its pull request is open.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime {
            protected: self.protected,
            expires_at: self.expires_at,
            told_from: self.expiry_told_from,
            active_at: self.active_at.filter(|_| self.is_reachable()),
        }
    }

    /// Its place in the queue for room, from 1; none where it waits for nothing or for something else.
    pub fn place(&self) -> Option<i64> {
        let waits = self.state == BranchState::Blocked && self.queue.wanted_at.is_some();
        waits.then_some(self.queue.ahead + 1)
    }

    /// Why it waits or could not be served, with its place where it is in a queue.
    pub fn why(&self) -> Option<String> {
        let reason = self.reason.clone()?;
        Some(match self.place() {
            Some(place) => format!("{reason} Its place in the queue is {place}."),
            None => reason,
        })
    }
}
