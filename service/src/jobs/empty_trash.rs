//! Drops the databases and roles that were replaced or given up, in the background.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::prepare::held_names;
use super::{JobError, Worker};
use crate::store::instances::{self, Instance};

/// Databases dropped at the same time: each waits for a checkpoint, and those that wait together share one.
pub(super) const AT_ONCE: usize = 4;

impl Worker {
    pub(super) async fn empty_trash(&self) -> Result<(), JobError> {
        let client = self.store.client().await?;
        instances::drain_forgotten(&client).await?;
        let trash = instances::all_trash(&client).await?;
        drop(client);
        let drops = stream::iter(trash).map(|instance| self.throw_away(instance));
        drops.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        self.end_forks().await
    }

    async fn throw_away(&self, instance: Instance) -> Result<(), JobError> {
        self.engine.discard(&held_names(&instance.names)?).await?;
        let client = self.store.client().await?;
        instances::forget(&client, &instance.id).await?;
        tracing::debug!(instance = instance.id, "dropped a replaced database");
        Ok(())
    }
}
