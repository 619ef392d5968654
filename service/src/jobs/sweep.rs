//! Compares the store, the branch server and GitHub, and mends what differs. Drops only what Offshoot made.

mod ends;
mod orphans;
mod stalled;

use chrono::{TimeDelta, Utc};

use super::{JobError, Worker};
use crate::domain::job::Job;
use crate::store::{audit, branches, deliveries, instances, jobs, repositories};

/// How long a repository that is out of reach is asked for again.
const REMEMBERED: TimeDelta = TimeDelta::days(7);

impl Worker {
    pub(super) async fn sweep(&self) -> Result<(), JobError> {
        let mended = self.sweep_server().await;
        self.wake_stalled().await?;
        let client = self.store.client().await?;
        let mut watched = repositories::list(&client).await?;
        watched.extend(repositories::removed_since(&client, Utc::now() - REMEMBERED).await?);
        for repository in &watched {
            jobs::enqueue(&client, &Job::SyncRepository(repository.facts.github_id)).await?;
        }
        for layer in instances::pooled_layers(&client).await? {
            jobs::enqueue(&client, &Job::RefillPool(layer)).await?;
        }
        jobs::enqueue(&client, &Job::EmptyTrash).await?;
        if branches::waiting_for_room(&client).await? > 0 {
            jobs::enqueue(&client, &Job::MakeRoom).await?;
        }
        instances::prune_demand(&client, Utc::now() - TimeDelta::days(2)).await?;
        // GitHub redelivers for three days: what came before is not asked for again.
        deliveries::prune(&client, Utc::now() - TimeDelta::days(14)).await?;
        jobs::prune(&client, Utc::now() - TimeDelta::days(7)).await?;
        audit::prune(&client, Utc::now() - TimeDelta::days(365)).await?;
        // A server that is away, and what cannot be dropped there, keep nothing else waiting.
        mended
    }

    /// What stands on the branch server, against what should. Looked up on the server first and in the store after: what is being made is
    /// recorded before it is there.
    async fn sweep_server(&self) -> Result<(), JobError> {
        let standing = self.engine.inventory().await?;
        self.end_branches(&standing).await?;
        self.give_up_vanished_spares(&standing).await?;
        self.rebuild_vanished(&standing).await?;
        self.drop_orphans(standing).await
    }
}

/// Counts what the sweep mended; each kind has a line in the log as well.
fn mended(what: &'static str) {
    metrics::counter!("offshoot_mended_total", "what" => what).increment(1);
}
