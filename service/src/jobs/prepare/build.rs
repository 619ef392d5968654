//! A new generation: made beside the live one, then put in its place in one step.

use std::time::Instant;

use uuid::Uuid;

use super::outcome::{Published, Work};
use super::{Order, Preparer, layer};
use crate::domain::branch::Branch;
use crate::domain::plan::{Build, Start, Step};
use crate::engine::{Access, InstanceNames, InstanceSpec, LayerNames, Source};
use crate::jobs::JobError;
use crate::store::{branches, instances, layers};

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
        let id = Uuid::new_v4().simple().to_string();
        let started = Instant::now();
        let (names, access) = self.acquire(order, branch, &id, &build.start, &mut work).await?;
        work.acquire += started.elapsed();
        self.take_steps(order, &access, &mut work, &build.steps).await?;
        self.finish(order, &access, &mut work, true).await?;
        if work.failure.is_some() && good_one_stands {
            self.engine.discard(&names).await?;
            let client = self.store.client().await?;
            instances::forget(&client, &id).await?;
            return self.settle(order, branch, work, None, false).await;
        }
        let public = Self::place(branch)?;
        let trash = InstanceNames::trash(&id)?;
        self.engine.publish(&names, &public, &trash, &order.identity(generation)).await?;
        self.settle(order, branch, work, Some(Published { id, generation }), true).await
    }

    /// A database of the branch's own, empty or a clone of a layer, recorded before it is made.
    async fn acquire(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        id: &str,
        start: &Start,
        work: &mut Work<'_>,
    ) -> Result<(InstanceNames, Access), JobError> {
        let names = InstanceNames::new(id)?;
        let recorded = instances::InstanceNames {
            database: names.database.as_str().to_owned(),
            role: names.role.as_str().to_owned(),
        };
        let client = self.store.client().await?;
        let credentials = branches::credentials(&client, self.store.vault(), branch.id).await?;
        instances::create(&client, id, branch.id, &recorded).await?;
        let layer = match start {
            Start::Empty => None,
            Start::Layer(key) => {
                let found = layers::find(&client, key).await?;
                let layer = found.ok_or_else(|| {
                    JobError::Retry(anyhow::anyhow!("the layer {key} was dropped meanwhile"))
                })?;
                layers::touch(&client, key, order.pull.id.repository, &order.database.layout.label).await?;
                work.came_with(layer.chain.len());
                work.seeded = layer.seeded.clone();
                Some(layer::names(&layer)?)
            }
        };
        let identity = order.identity(branch.generation + 1);
        let spec = InstanceSpec {
            names: &names,
            password: &credentials.password,
            reader_password: &credentials.reader_password,
            identity: &identity,
            source: layer.as_ref().map_or(Source::Empty, Source::Layer),
            extensions: &order.database.layout.extensions,
        };
        self.create(&spec, layer.as_ref()).await?;
        let access = names.access(&credentials.password);
        Ok((names, access))
    }

    /// A layer that the server does not have any more is forgotten, so that the next try builds it anew.
    async fn create(&self, spec: &InstanceSpec<'_>, layer: Option<&LayerNames>) -> Result<(), JobError> {
        let Err(error) = self.engine.create_instance(spec).await else { return Ok(()) };
        if let Some(layer) = layer
            && !self.engine.layer_is_complete(layer).await?
        {
            let client = self.store.client().await?;
            layers::forget_database(&client, layer.database.as_str()).await?;
        }
        Err(error.into())
    }

    async fn take_steps(
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
