//! The base's own layer: its chain and its seed, built once however many pull requests ask for it.

use std::time::Instant;

use uuid::Uuid;

use super::{Order, Preparer, held, milliseconds};
use crate::domain::bookkeeping;
use crate::domain::chain::Chain;
use crate::domain::detect::Layout;
use crate::domain::ids::DatabaseLabel;
use crate::domain::layer::{LayerContent, LayerKey};
use crate::domain::plan::LayerAtHand;
use crate::domain::recipe::Recipe;
use crate::domain::seed::{self, SeedDigest, SeedOn, SeededFile};
use crate::engine::{
    Access, Engine, Identity, InstanceNames, InstanceSpec, LayerNames, ReplayError, Server, Source, Step,
    Subject,
};
use crate::jobs::JobError;
use crate::jobs::reading::{DatabaseReading, Side};
use crate::jobs::trim_layers;
use crate::secret::Secret;
use crate::store::layers::{self, Layer, NewLayer};
use crate::store::{Store, instances, layer_checks, retention};

/// Whether the base brings data of its own.
pub(super) fn has_seed(layout: &Layout, base: &Side) -> bool {
    layout.seed_on != SeedOn::Never && !base.seeds.is_empty()
}

/// The key of what the base's layer holds; none where the base has nothing to hold.
pub(in crate::jobs) fn template_key(server: &Server, layout: &Layout, base: &Side) -> Option<LayerKey> {
    let holds_something = !base.migrations.is_empty() || has_seed(layout, base);
    holds_something.then(|| base_key(server, layout, base))
}

pub(super) fn base_key(server: &Server, layout: &Layout, base: &Side) -> LayerKey {
    let seed = has_seed(layout, base).then(|| SeedDigest::of(&base.seeds)).flatten();
    key(server, layout, base.chain(), seed.as_ref())
}

fn key(server: &Server, layout: &Layout, chain: &Chain, seed: Option<&SeedDigest>) -> LayerKey {
    LayerContent { server: &server.fingerprint(), extensions: &layout.extensions, chain, seed }.key()
}

/// The base's own layer, whether it stands or not.
pub(super) fn at_base(server: &Server, database: &DatabaseReading) -> Option<LayerAtHand> {
    let DatabaseReading { layout, base, .. } = database;
    let key = template_key(server, layout, base)?;
    Some(LayerAtHand { key, chain: base.chain().clone(), seeded: has_seed(layout, base) })
}

/// The base's own layer, if it stands.
pub(super) async fn of_base(
    preparer: &Preparer<'_>,
    database: &DatabaseReading,
) -> Result<Option<LayerAtHand>, JobError> {
    let Some(layer) = at_base(preparer.engine.server(), database) else { return Ok(None) };
    let client = preparer.store.client().await?;
    Ok(layers::is_complete(&client, &layer.key).await?.then_some(layer))
}

/// Those of the stored layers that hold what a clone for this base may start from: each is known by what would be in it.
pub(super) fn usable(server: &Server, layout: &Layout, base: &Side, stored: Vec<Layer>) -> Vec<LayerAtHand> {
    let wanted = base_key(server, layout, base);
    stored
        .into_iter()
        .filter_map(|layer| {
            let seeded = !layer.seeded.is_empty();
            let fits = if seeded {
                layer.key == wanted
            } else {
                layer.key == key(server, layout, &layer.chain, None)
            };
            fits.then_some(LayerAtHand { key: layer.key, chain: layer.chain, seeded })
        })
        .collect()
}

/// A stored layer's names on the server.
pub(in crate::jobs) fn names(layer: &Layer) -> Result<LayerNames, JobError> {
    Ok(LayerNames::recorded(&layer.database_name, &layer.owner_role)?)
}

/// Makes an instance from a layer or an empty one. A layer that the server does not have any more is forgotten, so that the next try builds it anew.
pub(in crate::jobs) async fn create_instance(
    store: &Store,
    engine: &Engine,
    spec: &InstanceSpec<'_>,
    layer: Option<&LayerNames>,
) -> Result<(), JobError> {
    let Err(error) = engine.create_instance(spec).await else { return Ok(()) };
    if let Some(layer) = layer
        && !engine.layer_is_complete(layer).await?
    {
        let client = store.client().await?;
        layers::forget_database(&client, layer.database.as_str()).await?;
    }
    Err(error.into())
}

/// Builds the layer of an order's base, unless it stands. False where it cannot be built because the base's own files fail:
/// the pull request then meets that failure itself.
pub(super) async fn ensure_base(preparer: &Preparer<'_>, order: &Order<'_>) -> Result<bool, JobError> {
    let database = order.database;
    ensure_layer(preparer, order.pull.id.repository, &database.layout, &database.base).await
}

/// Builds the layer of a base, unless it stands. Under a lock that dies with its holder, so that it is built once.
pub async fn ensure_layer(
    preparer: &Preparer<'_>,
    repository: i64,
    layout: &Layout,
    base: &Side,
) -> Result<bool, JobError> {
    let Some(key) = template_key(preparer.engine.server(), layout, base) else { return Ok(false) };
    if stands(preparer, &key, repository, &layout.label).await? {
        return Ok(true);
    }
    let _lock = preparer.engine.layer_lock(&key).await?;
    if stands(preparer, &key, repository, &layout.label).await? {
        return Ok(true);
    }
    let builder = Builder { preparer, repository, layout, base, key: &key };
    builder.build().await
}

/// Whether the layer is complete here and on the server; then it is in use by this database.
async fn stands(
    preparer: &Preparer<'_>,
    key: &LayerKey,
    repository: i64,
    label: &DatabaseLabel,
) -> Result<bool, JobError> {
    let client = preparer.store.client().await?;
    let Some(layer) = layers::find(&client, key).await?.filter(|layer| layer.complete) else {
        return Ok(false);
    };
    drop(client);
    let is_complete = preparer.engine.layer_is_complete(&names(&layer)?).await?;
    let client = preparer.store.client().await?;
    if !is_complete {
        layers::forget(&client, key).await?;
        return Ok(false);
    }
    layers::touch(&client, key, repository, label).await?;
    Ok(true)
}

struct Builder<'a> {
    preparer: &'a Preparer<'a>,
    repository: i64,
    layout: &'a Layout,
    base: &'a Side,
    key: &'a LayerKey,
}

impl Builder<'_> {
    async fn build(&self) -> Result<bool, JobError> {
        let started = Instant::now();
        let layer = LayerNames::of(self.key)?;
        let parent = self.parent().await?;
        self.record(&layer, parent.as_ref()).await?;
        // What an earlier builder left when it died.
        let id = Uuid::new_v4().simple().to_string();
        let instance = InstanceNames::new(&id)?;
        match self.fill(&instance, parent.as_ref()).await {
            Ok(true) => {}
            other => {
                let client = self.preparer.store.client().await?;
                instances::abandon(&client, &id, &held::recorded_names(&instance)).await?;
                layers::forget(&client, self.key).await?;
                return other;
            }
        }
        self.preparer.engine.freeze(&instance, &layer, self.key).await?;
        let size = self.preparer.engine.database_size(&layer.database).await?;
        let client = self.preparer.store.client().await?;
        layers::complete(&client, self.key, size, milliseconds(started.elapsed())).await?;
        drop(client);
        metrics::histogram!("offshoot_layer_build_seconds").record(started.elapsed());
        tracing::info!(
            layer = &self.key.as_str()[..12],
            migrations = self.base.migrations.len(),
            from = parent.is_some(),
            ms = milliseconds(started.elapsed()),
            "built a layer"
        );
        trim_layers::after_build(self.preparer.store, parent.is_some()).await?;
        Ok(true)
    }

    /// The longest layer that this one continues: the same seed's files run before, and a shorter chain. None where that was tried
    /// before and came to something else than a replay from empty.
    async fn parent(&self) -> Result<Option<Layer>, JobError> {
        let client = self.preparer.store.client().await?;
        if layer_checks::is_condemned(&client, self.key).await? {
            return Ok(None);
        }
        let chain = self.base.chain();
        let seeds: Vec<SeededFile> = self.seeds().iter().map(|file| file.seeded()).collect();
        let continued = |layer: &Layer| {
            let digest = SeedDigest::of_seeded(&layer.seeded);
            layer.chain.is_prefix_of(chain)
                && layer.seeded.iter().all(|file| seeds.contains(file))
                && layer.key == key(self.preparer.engine.server(), self.layout, &layer.chain, digest.as_ref())
        };
        let stored = layers::at_hand(&client, self.repository, &self.layout.label).await?;
        Ok(stored.into_iter().filter(continued).max_by_key(|layer| (layer.chain.len(), layer.seeded.len())))
    }

    fn seeds(&self) -> &[seed::SeedFile] {
        if has_seed(self.layout, self.base) { &self.base.seeds } else { &[] }
    }

    async fn record(&self, layer: &LayerNames, parent: Option<&Layer>) -> Result<(), JobError> {
        let seeded: Vec<SeededFile> = self.seeds().iter().map(seed::SeedFile::seeded).collect();
        let new = NewLayer {
            key: self.key,
            database_name: layer.database.as_str(),
            owner_role: layer.owner.as_str(),
            chain: self.base.chain(),
            seeded: &seeded,
        };
        let mut client = self.preparer.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        layers::record(&tx, &new, self.repository, &self.layout.label).await?;
        let recipe = Recipe::of(&self.layout.extensions, &self.base.migrations, self.seeds());
        retention::describe(&tx, self.key, &recipe, parent.map(|layer| &layer.key)).await?;
        Ok(Store::commit(tx).await?)
    }

    /// Makes the layer's content in an instance. False where the base's own files fail.
    async fn fill(&self, instance: &InstanceNames, parent: Option<&Layer>) -> Result<bool, JobError> {
        let (password, reader_password) = (Secret::generate(), Secret::generate());
        let parent_names = parent.map(names).transpose()?;
        let identity = Identity::new(Subject::Layer { layer: self.key.to_string() });
        let spec = InstanceSpec {
            names: instance,
            password: &password,
            reader_password: &reader_password,
            identity: &identity,
            source: parent_names.as_ref().map_or(Source::Empty, Source::Layer),
            extensions: &self.layout.extensions,
        };
        let engine = self.preparer.engine;
        engine.create_instance(&spec).await?;
        let access = instance.access(&password);
        let replayed = parent.map_or(0, |layer| layer.chain.len());
        let mut observe = |_: Step<'_>| {};
        let replay = engine.replay(&access, &self.base.migrations[replayed..], &mut observe);
        if !applied(self.preparer.unless_superseded(replay).await?.map(|_| ()))? {
            return Ok(false);
        }
        let ran = parent.map_or(&[][..], |layer| &layer.seeded);
        let pending: Vec<_> =
            self.seeds().iter().filter(|file| !ran.contains(&file.seeded())).cloned().collect();
        if !applied(self.preparer.unless_superseded(engine.seed(&access, &pending)).await?)? {
            return Ok(false);
        }
        if !self.holds_its_chain(&access).await? {
            return Ok(false);
        }
        if !pending.is_empty() {
            engine.settle_rows(&access).await?;
        }
        Ok(true)
    }

    /// Files that ran without an error may have left nothing: one that says BEGIN without COMMIT undoes itself and all after it.
    async fn holds_its_chain(&self, access: &Access) -> Result<bool, JobError> {
        let rows = self.preparer.engine.bookkeeping(access).await;
        let verified =
            |rows: Vec<_>| Ok(bookkeeping::verify(&rows, self.base.chain()).map_err(|failure| *failure)?);
        applied(rows.and_then(verified))
    }
}

/// Whether it ran. The author's failures are met again, and reported, where the pull request itself is replayed.
fn applied(ran: Result<(), ReplayError>) -> Result<bool, JobError> {
    match ran {
        Ok(()) => Ok(true),
        Err(ReplayError::Author { failure, .. }) => {
            tracing::info!(
                file = failure.file,
                line = failure.line,
                "a base's own files fail; it gets no layer"
            );
            Ok(false)
        }
        Err(ReplayError::Engine(error)) => Err(error.into()),
    }
}
