//! Keeps record of which layer is the template of a base, and its pool in step with that.

use super::prepare::template_key;
use super::reading::Side;
use super::{JobError, Worker};
use crate::domain::detect::Layout;
use crate::domain::job::Job;
use crate::store::templates::{self, Base};
use crate::store::{jobs, layers};

impl Worker {
    /// Records the layer of a base's tip as its template; the pool of the one before is drained.
    pub(super) async fn follow_template(
        &self,
        repository: i64,
        base_ref: &str,
        layout: &Layout,
        tip: &Side,
    ) -> Result<(), JobError> {
        let Some(key) = template_key(self.engine.server(), layout, tip) else { return Ok(()) };
        let client = self.store.client().await?;
        let base = Base { repository, database: &layout.label, base_ref };
        let before = templates::find(&client, base).await?;
        if before.as_ref() != Some(&key) {
            if !layers::is_complete(&client, &key).await? {
                return Ok(());
            }
            templates::set(&client, base, &key).await?;
        }
        for pool in before.iter().filter(|before| **before != key).chain([&key]) {
            jobs::enqueue(&client, &Job::RefillPool(pool.clone())).await?;
        }
        Ok(())
    }
}
