//! A branch's ready state, made once more and frozen, for forks to be cloned from.
//!
//! Made like a generation, from the files: what somebody wrote into the branch is not in it, and the branch itself is not touched.

use std::time::Instant;

use uuid::Uuid;

use super::outcome::Work;
use super::{Order, Planner, Preparer, layer, milliseconds};
use crate::domain::branch::{AppliedMigration, Branch};
use crate::domain::chain::Chain;
use crate::domain::failure::Failure;
use crate::domain::fork::Origin;
use crate::domain::layer::{LayerKey, SnapshotContent};
use crate::domain::plan::{Decision, Held, Start};
use crate::domain::seed::SeedDigest;
use crate::engine::{Identity, InstanceNames, InstanceSpec, LayerNames, Source, Subject};
use crate::jobs::JobError;
use crate::secret::Secret;
use crate::store::snapshots::{self, Snapshot};

/// What forks can be cloned from.
#[derive(Debug)]
pub enum Frozen {
    Snapshot(Snapshot),
    /// The same files do not lead there again; why, for people.
    Unrepeatable(String),
}

impl Preparer<'_> {
    /// The snapshot of a branch's state, built unless it stands; under a lock that dies with its holder, so that it is built once.
    /// [`JobError::Superseded`] where the branch moves on meanwhile.
    pub async fn snapshot(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        origin: &Origin,
    ) -> Result<Frozen, JobError> {
        let applied = branch.applied.iter().map(AppliedMigration::migration).collect();
        let wanted = order.wanted();
        let chain = Chain::of(&wanted);
        if chain != Chain::in_order(applied) {
            let why = "the base has changed under the pull request since the branch was made; push, or reset the branch";
            return Ok(Frozen::Unrepeatable(why.to_owned()));
        }
        layer::ensure_base(self, order).await?;
        let key = self.snapshot_key(order, origin, &chain);
        let _lock = self.engine.layer_lock(&key).await?;
        let names = LayerNames::of(&key)?;
        let client = self.store.client().await?;
        let (database, owner) = (names.database.as_str(), names.owner.as_str());
        if !snapshots::record(&client, origin, &key, database, owner).await? {
            return Err(JobError::Superseded);
        }
        let standing = snapshots::find(&client, &key).await?.filter(|snapshot| snapshot.complete);
        drop(client);
        if let Some(snapshot) = standing
            && self.engine.layer_is_complete(&names).await?
        {
            return Ok(Frozen::Snapshot(snapshot));
        }
        self.build_snapshot(order, branch, &names, &key).await
    }

    fn snapshot_key(&self, order: &Order<'_>, origin: &Origin, chain: &Chain) -> LayerKey {
        let database = order.database;
        let seed = SeedDigest::of(&database.head.seeds);
        let content = SnapshotContent {
            branch: origin.branch,
            base: &layer::base_key(self.engine.server(), &database.layout, &database.base),
            chain,
            seed: seed.as_ref(),
            seed_on: database.layout.seed_on,
        };
        content.key()
    }

    async fn build_snapshot(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        names: &LayerNames,
        key: &LayerKey,
    ) -> Result<Frozen, JobError> {
        let started = Instant::now();
        // What a drop that was killed halfway left.
        self.engine.drop_layer(names).await?;
        let instance = InstanceNames::new(&Uuid::new_v4().simple().to_string())?;
        let built = self.fill_snapshot(order, branch, &instance, key).await;
        if !matches!(built, Ok(None)) {
            self.engine.discard(&instance).await?;
        }
        if let Some(failure) = built? {
            return Ok(Frozen::Unrepeatable(sentence(&failure)));
        }
        self.engine.freeze(&instance, names, key).await?;
        let client = self.store.client().await?;
        snapshots::complete(&client, key).await?;
        metrics::histogram!("offshoot_snapshot_build_seconds").record(started.elapsed());
        tracing::info!(
            branch = branch.id,
            ms = milliseconds(started.elapsed()),
            "froze a branch's ready state"
        );
        let found = snapshots::find(&client, key).await?;
        let gone = || JobError::Retry(anyhow::anyhow!("the snapshot {key} is not stored any more"));
        Ok(Frozen::Snapshot(found.ok_or_else(gone)?))
    }

    /// Makes the ready state in an instance that nobody else knows of. The author's failure, if the files fail this time.
    async fn fill_snapshot(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        instance: &InstanceNames,
        key: &LayerKey,
    ) -> Result<Option<Failure>, JobError> {
        let wanted = order.wanted();
        let chain = Chain::of(&wanted);
        let planner = Planner { order, branch, held: &Held::Nothing, wanted: &chain };
        let Decision::Build(build) = self.start_somewhere(&planner).await? else {
            unreachable!("of nothing held, a build follows")
        };
        let mut work = Work::new(&wanted, Vec::new());
        let layer = match &build.start {
            Start::Empty => None,
            Start::Layer(layer) => {
                work.starts_from(order, layer);
                Some(LayerNames::of(&layer.key)?)
            }
        };
        let (password, reader_password) = (Secret::generate(), Secret::generate());
        let spec = InstanceSpec {
            names: instance,
            password: &password,
            reader_password: &reader_password,
            // By this the sweep knows that it is being built, for as long as its builder holds the lock.
            identity: &Identity::new(Subject::Layer { layer: key.to_string() }),
            source: layer.as_ref().map_or(Source::Empty, Source::Layer),
            extensions: &order.database.layout.extensions,
        };
        layer::create_instance(self.store, self.engine, &spec, layer.as_ref()).await?;
        let access = instance.access(&password);
        self.take_steps(order, &access, &mut work, &build.steps).await?;
        self.finish(order, &access, &mut work, true).await?;
        Ok(work.failure)
    }
}

fn sentence(failure: &Failure) -> String {
    format!("{} fails this time: {}", failure.file, failure.message)
}
