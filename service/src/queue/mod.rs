//! The worker's side of the queue. It claims, runs, keeps and settles jobs; what a job does, its [`Handler`] knows.

mod backoff;
mod leases;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::domain::job::{Job, Lane};
use crate::store::jobs::Lease;

pub use run::run;

/// Does the work. It may be dropped at any await, and called again for the same job: by the time that it starts, and after
/// each step, it decides from stored state.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    async fn handle(&self, job: Job, claim: &Claim) -> Outcome;
}

/// How a job ended, as its handler tells it.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// It must wait for something else: an approval, room, GitHub's rate limit. No failure.
    Snooze {
        until: DateTime<Utc>,
        why: String,
    },
    /// It failed, and is tried again after a while that grows with each failure.
    Retry(anyhow::Error),
    /// It failed, and no other try can help.
    GiveUp(anyhow::Error),
}

/// What a handler may know of its claim.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Under which whatever comes of the work is written down. Its attempt counts the claims of the row, from 1.
    pub lease: Lease,
    /// Earlier claims that ended badly.
    pub failures: i32,
    /// When the work was first asked for.
    pub created_at: DateTime<Utc>,
    pub claimed_at: DateTime<Utc>,
    /// Cancelled when the job is no longer this worker's; the handler is dropped at its next await.
    pub lost: CancellationToken,
}

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whose jobs are claimed.
    pub lane: Lane,
    /// Jobs at once.
    pub concurrency: usize,
    /// For how long a job stays a worker's that stopped answering.
    pub lease: Duration,
    /// How often leases are prolonged; well below the lease.
    pub heartbeat: Duration,
    /// How often the table is looked at where no announcement comes.
    pub poll: Duration,
    /// For how long a stop waits for the jobs that run.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lane: Lane::Foreground,
            concurrency: 16,
            lease: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            grace: Duration::from_secs(10),
        }
    }
}
