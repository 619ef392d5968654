//! Drops forks that nobody needs any more, and the snapshots that none is left of.

use super::{JobError, Worker};
use crate::domain::branch::BranchId;
use crate::engine::{InstanceNames, LayerNames};
use crate::store::forks::{self, Fork};
use crate::store::snapshots::{self, Snapshot};

impl Worker {
    /// Forks whose time is over, spares of states that are past, and what of these was left undone.
    pub(super) async fn end_forks(&self) -> Result<(), JobError> {
        let client = self.store.client().await?;
        forks::give_up(&client).await?;
        forks::expire(&client).await?;
        forks::drain(&client).await?;
        let trash = forks::all_trash(&client).await?;
        drop(client);
        self.drop_forks(&trash).await?;
        let client = self.store.client().await?;
        let unused = snapshots::unused(&client).await?;
        forks::prune(&client).await?;
        drop(client);
        for snapshot in &unused {
            // One that is just being built is in use before a fork says so.
            if self.engine.layer_is_unattended(snapshot.key.as_str()).await? {
                self.drop_snapshot(snapshot).await?;
            }
        }
        Ok(())
    }

    /// All forks of a branch that is being removed, and what they were made from.
    pub(super) async fn remove_forks(&self, branch: BranchId) -> Result<(), JobError> {
        let client = self.store.client().await?;
        forks::condemn(&client, branch).await?;
        let trash = forks::trash_of(&client, branch).await?;
        drop(client);
        self.drop_forks(&trash).await?;
        let client = self.store.client().await?;
        let snapshots = snapshots::of_branch(&client, branch).await?;
        drop(client);
        for snapshot in &snapshots {
            self.drop_snapshot(snapshot).await?;
        }
        Ok(())
    }

    async fn drop_forks(&self, trash: &[Fork]) -> Result<(), JobError> {
        for fork in trash {
            self.engine.discard(&InstanceNames::of(&fork.database_name)?).await?;
            let client = self.store.client().await?;
            forks::dropped(&client, fork.id).await?;
            tracing::debug!(branch = fork.branch, fork = %fork.id.simple(), "dropped a fork");
        }
        Ok(())
    }

    /// Forgotten first: only what no fork refers to is dropped, since its role owns what is in the forks.
    async fn drop_snapshot(&self, snapshot: &Snapshot) -> Result<(), JobError> {
        let _lock = self.engine.layer_lock(&snapshot.key).await?;
        let client = self.store.client().await?;
        if snapshots::forget(&client, &snapshot.key).await? {
            let names = LayerNames::recorded(&snapshot.database_name, &snapshot.owner_role)?;
            self.engine.drop_layer(&names).await?;
        }
        Ok(())
    }
}
