//! A new generation: made beside the live one, then put in its place in one step.

use std::time::Instant;

use tracing::Instrument as _;
use uuid::Uuid;

use super::outcome::{Published, Work};
use super::{Order, Preparer, held, layer};
use crate::domain::branch::Branch;
use crate::domain::plan::{Build, LayerAtHand, Start, Step};
use crate::engine::{Access, InstanceNames, InstanceSpec, LayerNames, Source};
use crate::jobs::JobError;
use crate::store::instances::{self, Taken};
use crate::store::{branches, layers};

/// A database that the next generation is prepared in.
struct Acquired {
    id: String,
    names: InstanceNames,
    access: Access,
}

impl Preparer<'_> {
    /// Builds and publishes. One that fails while a good generation stands is thrown away again; otherwise it is published for a look.
    pub(super) async fn build(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        mut work: Work<'_>,
        build: &Build,
        good_one_stands: bool,
    ) -> Result<Branch, JobError> {
        let generation = branch.generation + 1;
        // That one was in the generation before.
        work.ledger = None;
        let started = Instant::now();
        let Acquired { id, names, access } = self.acquire(order, branch, &build.start, &mut work).await?;
        work.acquire += started.elapsed();
        self.leave_queue(branch).await?;
        self.take_steps(order, &access, &mut work, &build.steps).await?;
        self.finish(order, &access, &mut work, true).await?;
        work.ledger = None;
        if work.failure.is_some() && good_one_stands {
            // Dropping it waits for a checkpoint; the verdict does not wait for that.
            let client = self.store.client().await?;
            instances::trash(&client, &id, &held::recorded_names(&names)).await?;
            drop(client);
            return self.settle(order, branch, work, None, false).await;
        }
        let public = Self::place(branch)?;
        let trash = InstanceNames::trash(&id)?;
        let identity = order.identity(generation);
        let publish = self.engine.publish(&names, &public, &trash, &identity);
        publish.instrument(tracing::debug_span!("publish")).await?;
        let branch = self.settle(order, branch, work, Some(Published { id, generation }), true).await?;
        if let Start::Layer(LayerAtHand { key, .. }) = &build.start {
            let client = self.store.client().await?;
            layers::touch(&client, key, order.pull.id.repository, &order.database.layout.label).await?;
        }
        Ok(branch)
    }

    /// A database of the branch's own: a spare, a clone of a layer, or an empty one.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn acquire(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        start: &Start,
        work: &mut Work<'_>,
    ) -> Result<Acquired, JobError> {
        let Start::Layer(layer) = start else {
            return self.create(order, branch, None).await;
        };
        let spare = match work.spare.take() {
            Some(spare) => spare,
            None => {
                let client = self.store.client().await?;
                instances::take(&client, self.store.vault(), &layer.key, branch.id).await?.spare
            }
        };
        work.starts_from(order, layer);
        metrics::counter!("offshoot_spares_asked_total", "found" => if spare.is_some() { "yes" } else { "no" })
            .increment(1);
        match spare {
            Some(spare) => self.admit(branch, spare).await,
            None => self.create(order, branch, Some(&LayerNames::of(&layer.key)?)).await,
        }
    }

    /// A spare as the branch's: its roles get the branch's passwords, unless it was the branch that took over theirs.
    async fn admit(&self, branch: &Branch, spare: Taken) -> Result<Acquired, JobError> {
        let names = held::instance_names(&spare.names)?;
        if spare.adopted {
            return Ok(Acquired { access: names.access(&spare.credentials.password), id: spare.id, names });
        }
        let client = self.store.client().await?;
        let own = branches::credentials(&client, self.store.vault(), branch.id).await?;
        drop(client);
        self.engine.set_passwords(&names, &own.password, &own.reader_password).await?;
        Ok(Acquired { access: names.access(&own.password), id: spare.id, names })
    }

    /// A new database, recorded before it is made.
    async fn create(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        layer: Option<&LayerNames>,
    ) -> Result<Acquired, JobError> {
        if let Some(turn) = self.turn {
            turn.end();
        }
        let id = Uuid::new_v4().simple().to_string();
        let names = InstanceNames::new(&id)?;
        let client = self.store.client().await?;
        let credentials = branches::credentials(&client, self.store.vault(), branch.id).await?;
        instances::create(&client, &id, branch.id, &held::recorded_names(&names)).await?;
        drop(client);
        let identity = order.identity(branch.generation + 1);
        let spec = InstanceSpec {
            names: &names,
            password: &credentials.password,
            reader_password: &credentials.reader_password,
            identity: &identity,
            source: layer.map_or(Source::Empty, Source::Layer),
            extensions: &order.database.layout.extensions,
        };
        layer::create_instance(self.store, self.engine, &spec, layer).await?;
        Ok(Acquired { access: names.access(&credentials.password), id, names })
    }

    pub(super) async fn take_steps(
        &self,
        order: &Order<'_>,
        access: &Access,
        work: &mut Work<'_>,
        steps: &[Step],
    ) -> Result<(), JobError> {
        if work.wanted.is_empty() {
            // Prisma makes its table even where there is nothing to apply.
            self.replay(access, work, 0..0).await?;
        }
        for (at, step) in steps.iter().enumerate() {
            if at > 0 {
                self.verify(order, access, work, work.applied.len()).await?;
            }
            match step {
                Step::Replay(range) => self.replay(access, work, range.clone()).await?,
                Step::SeedBase => {
                    let seeds: Vec<_> = order.database.base.seeds.iter().collect();
                    self.seed(access, work, &seeds).await?;
                }
            }
        }
        Ok(())
    }
}
