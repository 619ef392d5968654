//! Removes branches until nothing is left of them: database, roles, credentials.

use super::prepare::held_names;
use super::{JobError, Worker};
use crate::domain::branch::Branch;
use crate::domain::state::BranchState;
use crate::store::branches::{self, Change};
use crate::store::instances::{self, InstanceState};

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

    /// Drops all that stands for a branch that is being deleted. Can be repeated: what is gone already is no error.
    pub(super) async fn tear_down(&self, branch: &Branch) -> Result<(), JobError> {
        let client = self.store.client().await?;
        for instance in instances::of_branch(&client, branch.id).await? {
            self.engine.discard(&held_names(&instance.names)?).await?;
            // One that was being published may have its place already.
            if instance.state == InstanceState::Preparing {
                self.engine
                    .discard(&held_names(&instances::InstanceNames::both(&branch.database_name))?)
                    .await?;
                self.engine
                    .discard(&held_names(&instances::InstanceNames::both(&crate::engine::trash_name(
                        &instance.id,
                    )))?)
                    .await?;
            }
            instances::forget(&client, &instance.id).await?;
        }
        let change = Change { reason: branch.reason.clone(), ..Change::default() };
        branches::transition(&client, branch.id, BranchState::Deleted, &change).await?;
        tracing::info!(branch = branch.id, database = branch.database_name, "removed a branch");
        Ok(())
    }
}
