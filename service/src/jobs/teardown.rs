//! Removes branches until nothing is left of them: database, roles, credentials.

use super::prepare::{held_names, recorded_names};
use super::{JobError, Worker};
use crate::domain::branch::Branch;
use crate::domain::job::Job;
use crate::domain::state::BranchState;
use crate::engine::InstanceNames;
use crate::store::branches::{self, Change};
use crate::store::forks;
use crate::store::instances::{self, InstanceState};
use crate::store::jobs;

impl Worker {
    /// Removes branches, with the reason that people are told.
    pub(super) async fn remove_all(&self, branches: &[Branch], why: &str) -> Result<(), JobError> {
        for branch in branches {
            let change = Change { reason: Some(why.to_owned()), ..Change::default() };
            let client = self.store.client().await?;
            let branch = branches::transition(&client, branch.id, BranchState::Deleting, &change).await?;
            drop(client);
            self.tear_down(&branch).await?;
        }
        Ok(())
    }

    /// Takes all that stands for a branch that is being deleted out of reach; it is dropped in the background, where waiting for the disk holds
    /// nobody up. Can be repeated: what is gone already is no error.
    pub(super) async fn tear_down(&self, branch: &Branch) -> Result<(), JobError> {
        let public = InstanceNames::of(&branch.database_name)?;
        let client = self.store.client().await?;
        let standing = instances::of_branch(&client, branch.id).await?;
        drop(client);
        for instance in standing {
            let retired = InstanceNames::retired(&instance.id)?;
            match instance.state {
                InstanceState::Live => self.engine.retire(&public, &retired).await?,
                InstanceState::Preparing => {
                    self.engine.retire(&held_names(&instance.names)?, &retired).await?;
                    // One that was being published may have its place already, and have sent the one before it to the trash.
                    self.engine.retire(&public, &retired).await?;
                    self.engine.discard(&InstanceNames::trash(&instance.id)?).await?;
                }
                _ => continue,
            }
            let client = self.store.client().await?;
            instances::trash(&client, &instance.id, &recorded_names(&retired)).await?;
        }
        let client = self.store.client().await?;
        forks::condemn(&client, branch.id).await?;
        let change = Change { reason: branch.reason.clone(), ..Change::default() };
        branches::transition(&client, branch.id, BranchState::Deleted, &change).await?;
        jobs::enqueue(&client, &Job::EmptyTrash).await?;
        tracing::info!(branch = branch.id, database = branch.database_name, "removed a branch");
        Ok(())
    }
}
