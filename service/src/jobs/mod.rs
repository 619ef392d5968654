//! The jobs: each decides from stored state what is to be done, and ties the adapters together to do it.

pub mod absorb;
mod check_layer;
mod doubts;
mod empty_trash;
mod end_forks;
mod error;
mod fill_forks;
mod follow_base;
mod follow_template;
mod make_room;
pub mod prepare;
pub mod reading;
mod reconcile_pull;
mod refill_pool;
mod report_pull;
pub mod schedule;
mod sweep;
mod sync;
mod teardown;
mod trim_layers;
mod turns;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;

pub use doubts::Doubts;
pub use error::JobError;
pub use turns::{Turn, Turns};

use crate::domain::job::Job;
use crate::domain::pool::PoolLimits;
use crate::domain::size::ByteSize;
use crate::engine::Engine;
use crate::github::Github;
use crate::queue::{Claim, Handler, Outcome};
use crate::store::Store;

/// What the jobs work with.
#[derive(Debug, Clone)]
pub struct Worker {
    pub store: Store,
    pub engine: Engine,
    pub github: Github,
    /// Base of links in reports, without a `/` at its end.
    pub public_url: Arc<str>,
    /// Between what and what each template's pool of spares is sized.
    pub pool: PoolLimits,
    /// For all layers together.
    pub layer_budget: ByteSize,
    /// After how long a branch that nobody uses goes; none for never.
    pub idle_ttl: Option<TimeDelta>,
    /// Whose work on a pull request goes ahead.
    pub turns: Turns,
    /// What GitHub denied lately.
    pub doubts: Doubts,
}

#[async_trait]
impl Handler for Worker {
    async fn handle(&self, job: Job, claim: &Claim) -> Outcome {
        let done = match job {
            Job::ReconcilePull(pull) => self.reconcile_pull(pull, claim).await,
            Job::ReportPull(pull) => self.report_pull(pull).await,
            Job::SyncRepository(repository) => self.sync_repository(repository).await,
            Job::SyncInstallation(installation) => self.sync_installation(installation).await,
            Job::FollowBase { repository, tip } => self.follow_base(repository, &tip).await,
            Job::RefillPool(layer) => self.refill_pool(&layer).await,
            Job::FillForks(branch) => self.fill_forks(branch).await,
            Job::EmptyTrash => self.empty_trash().await,
            Job::Sweep => self.sweep().await,
            Job::MakeRoom => self.make_room(claim).await,
            Job::TrimLayers => self.trim_layers().await,
            Job::CheckLayer => self.check_layer(claim).await,
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(error) => error.into(),
        }
    }
}
