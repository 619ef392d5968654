//! Keeps spares waiting: clones of a template that a branch only has to be given.

use uuid::Uuid;

use chrono::{TimeDelta, Utc};

use super::prepare::{create_instance, held_names, layer_names, recorded_names};
use super::{JobError, Worker};
use crate::domain::job::{Job, Lane};
use crate::domain::layer::LayerKey;
use crate::domain::pool::{self, PoolLimits};
use crate::engine::{Identity, InstanceNames, InstanceSpec, LayerNames, Source, Subject};
use crate::secret::Secret;
use crate::store::branches::Credentials;
use crate::store::instances::{self, NewSpare};
use crate::store::{jobs, layers};

/// In how many of a layer's spares sessions wait.
const WARM_SPARES: usize = 2;
/// How long the pool waits for branches that are being made.
const YIELD: TimeDelta = TimeDelta::milliseconds(100);

impl Worker {
    /// Makes spares of a layer one by one, or drains them, until there are as many as there should be.
    pub(super) async fn refill_pool(&self, key: &LayerKey) -> Result<(), JobError> {
        self.clear_filling(key).await?;
        loop {
            let limits = if self.is_pressed().await? { PoolLimits::NONE } else { self.pool };
            let client = self.store.client().await?;
            let stock = instances::stock(&client, key, pool::LATELY).await?;
            let target = pool::target(&stock.demand, limits);
            if stock.spares > target {
                instances::drain(&client, key, stock.spares - target).await?;
                return Ok(jobs::enqueue(&client, &Job::EmptyTrash).await?);
            }
            if jobs::are_awaited(&client, Lane::Foreground).await? {
                let why = "branches are being made first".to_owned();
                return Err(JobError::Wait { until: Utc::now() + YIELD, why });
            }
            drop(client);
            self.warm_up(key).await?;
            let client = self.store.client().await?;
            let layer = layers::find(&client, key).await?.filter(|layer| layer.complete);
            let Some(layer) = layer.filter(|_| stock.spares < target) else { return Ok(()) };
            drop(client);
            if !self.engine.has_room_to_spare().await? {
                return Ok(());
            }
            self.make_spare(key, &layer_names(&layer)?).await?;
        }
    }

    /// Opens sessions in the spares that are next. One that was taken meanwhile, or does not answer, does without.
    async fn warm_up(&self, key: &LayerKey) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let next = instances::next(&client, self.store.vault(), key, WARM_SPARES).await?;
        drop(client);
        for spare in next {
            let access = held_names(&spare.names)?.access(&spare.credentials.password);
            if let Err(error) = self.engine.warm_up(&access).await {
                tracing::debug!(spare = spare.id, %error, "no session waits in a spare");
            }
        }
        Ok(())
    }

    async fn make_spare(&self, key: &LayerKey, layer: &LayerNames) -> Result<(), JobError> {
        let id = Uuid::new_v4().simple().to_string();
        let names = InstanceNames::new(&id)?;
        let credentials = Credentials { password: Secret::generate(), reader_password: Secret::generate() };
        let recorded = recorded_names(&names);
        let new = NewSpare { id: &id, layer: key, names: &recorded, credentials: &credentials };
        let client = self.store.client().await?;
        instances::fill(&client, self.store.vault(), &new).await?;
        drop(client);
        let identity = Identity::new(Subject::Spare { spare: key.to_string() });
        let spec = InstanceSpec {
            names: &names,
            password: &credentials.password,
            reader_password: &credentials.reader_password,
            identity: &identity,
            source: Source::Layer(layer),
            extensions: &[],
        };
        create_instance(&self.store, &self.engine, &spec, Some(layer)).await?;
        let client = self.store.client().await?;
        let waits = instances::filled(&client, &id).await?;
        drop(client);
        if !waits {
            self.engine.discard(&names).await?;
        }
        Ok(())
    }

    /// One job at a time makes a layer's spares: what is on its way at its start, a crash left behind.
    async fn clear_filling(&self, key: &LayerKey) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let filling = instances::filling(&client, key).await?;
        drop(client);
        for instance in filling {
            self.engine.discard(&held_names(&instance.names)?).await?;
            let client = self.store.client().await?;
            instances::forget(&client, &instance.id).await?;
        }
        Ok(())
    }
}
