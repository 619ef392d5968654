//! Drops the databases and roles that were replaced, in the background.

use super::prepare::held_names;
use super::{JobError, Worker};
use crate::store::instances;

impl Worker {
    pub(super) async fn empty_trash(&self) -> Result<(), JobError> {
        let client = self.store.client().await?;
        instances::drain_forgotten(&client).await?;
        for instance in instances::all_trash(&client).await? {
            self.engine.discard(&held_names(&instance.names)?).await?;
            instances::forget(&client, &instance.id).await?;
            tracing::debug!(instance = instance.id, "dropped a replaced database");
        }
        Ok(())
    }
}
