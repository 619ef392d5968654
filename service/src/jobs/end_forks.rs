//! Drops forks that nobody needs any more, and the snapshots that none is left of.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::empty_trash::AT_ONCE;
use super::{JobError, Worker};
use crate::engine::{InstanceNames, LayerNames};
use crate::store::forks::{self, Fork};
use crate::store::snapshots::{self, Snapshot};

impl Worker {
    /// Forks whose time or whose branch is over, and spares of states that are past.
    pub(super) async fn end_forks(&self) -> Result<(), JobError> {
        let client = self.store.client().await?;
        forks::give_up(&client).await?;
        forks::expire(&client).await?;
        forks::drain(&client).await?;
        let trash = forks::all_trash(&client).await?;
        drop(client);
        let drops = stream::iter(trash).map(|fork| self.drop_fork(fork));
        drops.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
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

    async fn drop_fork(&self, fork: Fork) -> Result<(), JobError> {
        self.engine.discard(&InstanceNames::of(&fork.database_name)?).await?;
        let client = self.store.client().await?;
        forks::dropped(&client, fork.id).await?;
        tracing::debug!(branch = fork.branch, fork = %fork.id.simple(), "dropped a fork");
        Ok(())
    }

    /// Forgotten first: only what no fork refers to is dropped, since its role owns what is in the forks.
    async fn drop_snapshot(&self, snapshot: &Snapshot) -> Result<(), JobError> {
        let _lock = self.engine.layer_lock(&snapshot.key).await?;
        let client = self.store.client().await?;
        let forgotten = snapshots::forget(&client, &snapshot.key).await?;
        drop(client);
        if forgotten {
            let names = LayerNames::recorded(&snapshot.database_name, &snapshot.owner_role)?;
            self.engine.drop_layer(&names).await?;
        }
        Ok(())
    }
}
