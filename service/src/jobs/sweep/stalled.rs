//! What should be going on and is not: databases that vanished, work without a job, check runs without an end.

use std::collections::HashSet;

use chrono::{TimeDelta, Utc};

use super::mended;
use crate::domain::job::Job;
use crate::domain::state::BranchState;
use crate::engine::{DatabaseRecord, InstanceNames};
use crate::jobs::{JobError, Worker};
use crate::store::branches::{self, Change};
use crate::store::{Store, StoreError, instances, jobs, stalled};

/// Nothing that goes on as it should is without a job for that long.
const PATIENCE: TimeDelta = TimeDelta::minutes(5);

impl Worker {
    /// Branches whose database somebody dropped by hand, or that a restored server does not have. A look at what is held is asked for and no
    /// reset: should the database be there after all, its data stays.
    pub(super) async fn rebuild_vanished(&self, standing: &[DatabaseRecord]) -> Result<(), JobError> {
        let standing = names_of_whole(standing);
        let client = self.store.client().await?;
        let settled = stalled::settled_databases(&client).await?;
        drop(client);
        for (id, database_name) in settled {
            if standing.contains(database_name.as_str()) {
                continue;
            }
            // What stood a moment ago may only have been on its way from one name to another.
            let names = InstanceNames::of(&database_name)?;
            if self.engine.stands(&names.database).await? {
                continue;
            }
            let mut client = self.store.client().await?;
            let tx = Store::begin(&mut client).await?;
            let Some(branch) = branches::find_by_id(&tx, id).await? else { continue };
            if !matches!(branch.state, BranchState::Ready | BranchState::Failed) {
                continue;
            }
            match branches::transition(&tx, id, BranchState::Preparing, &Change::default()).await {
                Ok(_) => {}
                Err(StoreError::IllegalTransition { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            jobs::enqueue(&tx, &Job::ReconcilePull(branch.pull)).await?;
            Store::commit(tx).await?;
            mended("vanished");
            tracing::warn!(
                branch = id,
                database = database_name,
                pull = branch.pull.number,
                "a branch's database is gone from the server; it is built anew"
            );
        }
        Ok(())
    }

    /// Spares that nobody could be given.
    pub(super) async fn give_up_vanished_spares(&self, standing: &[DatabaseRecord]) -> Result<(), JobError> {
        let standing = names_of_whole(standing);
        let client = self.store.client().await?;
        let spares = instances::waiting(&client).await?;
        drop(client);
        for spare in spares.iter().filter(|spare| !standing.contains(spare.names.database.as_str())) {
            if self.engine.stands(&InstanceNames::of(&spare.names.database)?.database).await? {
                continue;
            }
            let client = self.store.client().await?;
            if instances::give_one_up(&client, &spare.id).await? {
                mended("vanished");
                tracing::warn!(database = spare.names.database, "a spare's database is gone from the server");
            }
        }
        Ok(())
    }

    /// Branches and deliveries that wait for a job that is not there, and check runs that nobody is going to end: after the control database
    /// was restored, or somebody cleared the queue.
    pub(super) async fn wake_stalled(&self) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let before = Utc::now() - PATIENCE;
        for pull in stalled::without_job(&client, before).await? {
            jobs::enqueue(&client, &Job::ReconcilePull(pull)).await?;
            mended("stalled");
            tracing::warn!(%pull, "a pull request waited for a job that was not there; it is asked for again");
        }
        for pull in stalled::with_unended_checks(&client, before).await? {
            jobs::enqueue(&client, &Job::ReconcilePull(pull)).await?;
            mended("unended_check");
            tracing::warn!(%pull, "a check was left without an end; its pull request is looked at again");
        }
        Ok(())
    }
}

fn names_of_whole(standing: &[DatabaseRecord]) -> HashSet<&str> {
    standing.iter().filter(|database| !database.half_dropped).map(|database| database.name.as_str()).collect()
}
