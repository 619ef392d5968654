//! Keeps the layers that are used, within the operator's budget. A layer is forgotten first and dropped after, so that what is on record
//! always stands; what a kill leaves in between is a database that nothing stands for, which the sweep drops.

use chrono::{TimeDelta, Utc};

use super::{JobError, Worker};
use crate::domain::job::Job;
use crate::domain::layer::LayerKey;
use crate::domain::retention::{Because, Kept, Policy, surplus};
use crate::engine::LayerNames;
use crate::store::{Store, StoreError, instances, jobs, layer_checks, retention};

/// After this long, a layer that is neither complete nor being built was given up.
const UNFINISHED: TimeDelta = TimeDelta::minutes(10);
/// For how long people can look up what checks came to.
const CHECKS_KEPT: TimeDelta = TimeDelta::days(30);

impl Worker {
    pub(super) async fn trim_layers(&self) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let kept = retention::kept(&client).await?;
        let unfinished = retention::unfinished(&client, Utc::now() - UNFINISHED).await?;
        layer_checks::prune(&client, Utc::now() - CHECKS_KEPT).await?;
        drop(client);
        for key in unfinished {
            self.drop_unfinished(&key).await?;
        }
        let policy = Policy { pressed: self.is_pressed().await?, ..Policy::new(self.layer_budget) };
        for (key, because) in surplus(&kept, policy, Utc::now()) {
            if let Some(layer) = kept.iter().find(|layer| layer.key == key) {
                self.drop_surplus(layer, because).await?;
            }
        }
        Ok(())
    }

    /// Under the layer's lock, so that nobody builds it anew while it is dropped; one whose clone is under way is waited for by the server.
    async fn drop_surplus(&self, layer: &Kept, because: Because) -> Result<(), JobError> {
        let _lock = self.engine.layer_lock(&layer.key).await?;
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        let forgotten = retention::forget_surplus(&tx, &layer.key, layer.last_used_at).await?;
        // Spares that its pool had not given back yet.
        if forgotten && instances::drain_forgotten(&tx).await? > 0 {
            jobs::enqueue(&tx, &Job::EmptyTrash).await?;
        }
        Store::commit(tx).await?;
        drop(client);
        if !forgotten {
            return Ok(());
        }
        self.engine.drop_layer(&LayerNames::of(&layer.key)?).await?;
        metrics::counter!("offshoot_layers_dropped_total", "because" => because.as_str()).increment(1);
        tracing::info!(
            layer = &layer.key.as_str()[..12],
            because = because.as_str(),
            size = %layer.size,
            last_used_at = %layer.last_used_at,
            "dropped a layer that nobody needs"
        );
        Ok(())
    }

    /// What a builder left that was killed, where no other came.
    async fn drop_unfinished(&self, key: &LayerKey) -> Result<(), JobError> {
        if !self.engine.layer_is_unattended(key.as_str()).await? {
            return Ok(());
        }
        let _lock = self.engine.layer_lock(key).await?;
        let client = self.store.client().await?;
        let forgotten = retention::forget_unfinished(&client, key).await?;
        drop(client);
        if forgotten {
            self.engine.drop_layer(&LayerNames::of(key)?).await?;
        }
        Ok(())
    }
}

/// What follows a layer's building: room is made, and one that was continued from another has to prove itself.
pub(super) async fn after_build(store: &Store, continued: bool) -> Result<(), StoreError> {
    let client = store.client().await?;
    jobs::enqueue(&client, &Job::TrimLayers).await?;
    if continued {
        jobs::enqueue(&client, &Job::CheckLayer).await?;
    }
    Ok(())
}
