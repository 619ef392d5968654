//! Replays a layer's files from empty beside the cached path and compares, so that a cache can never hide a broken chain.
//!
//! What is compared is a clone of the layer, because that is what a branch gets, with a replay by a role of the same rights.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use super::{JobError, Worker};
use crate::domain::bookkeeping;
use crate::domain::chain::{Chain, MigrationFile};
use crate::domain::fingerprint::{CheckOutcome, Disagreement, Fingerprint};
use crate::domain::job::Job;
use crate::domain::layer::LayerContent;
use crate::domain::seed::{SeedDigest, SeedFile};
use crate::engine::{Identity, InstanceNames, InstanceSpec, LayerNames, ReplayError, Source, Subject};
use crate::queue::Claim;
use crate::secret::Secret;
use crate::store::layer_checks::{self, Candidate};
use crate::store::{instances, jobs, layers, objects, retention};

/// What is frozen changes little; the server around it may.
const AGAIN_AFTER: TimeDelta = TimeDelta::days(1);
/// For how long people's work goes first.
const PATIENCE: TimeDelta = TimeDelta::hours(1);
const WORK_POLL: Duration = Duration::from_millis(250);

impl Worker {
    /// Checks the layer whose turn it is. One at a time, and never while people wait for something.
    pub(super) async fn check_layer(&self, claim: &Claim) -> Result<(), JobError> {
        self.give_way(claim).await?;
        let Some(trial) = self.next_trial().await? else { return Ok(()) };
        // While it is held, nobody drops or replaces the layer, and the sweep leaves the instances alone.
        let _lock = self.engine.layer_lock(&trial.layer.key).await?;
        let compared = tokio::select! {
            compared = trial.compare() => compared,
            wait = self.work_came(claim) => Err(wait),
        };
        let settled = match compared {
            Ok(Some(comparison)) => trial.settle(comparison).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        trial.clear().await?;
        settled?;
        let client = self.store.client().await?;
        let rest = layer_checks::due(&client, Utc::now() - AGAIN_AFTER).await?;
        if rest.iter().any(|layer| layer.unproven && self.is_buildable(layer)) {
            jobs::enqueue(&client, &Job::CheckLayer).await?;
        }
        Ok(())
    }

    /// Comes back later where people wait for something: the later, the longer that lasts.
    async fn give_way(&self, claim: &Claim) -> Result<(), JobError> {
        let waited = Utc::now() - claim.created_at;
        let client = self.store.client().await?;
        if waited > PATIENCE || !jobs::is_busy(&client, Job::Sweep.priority()).await? {
            return Ok(());
        }
        let pause = (waited / 2).clamp(TimeDelta::seconds(1), TimeDelta::minutes(5));
        Err(JobError::Wait { until: Utc::now() + pause, why: "people's work goes first".to_owned() })
    }

    async fn work_came(&self, claim: &Claim) -> JobError {
        loop {
            tokio::time::sleep(WORK_POLL).await;
            if let Err(wait) = self.give_way(claim).await {
                return wait;
            }
        }
    }

    /// The next layer that can be built anew on this server, with its files.
    async fn next_trial(&self) -> Result<Option<Trial<'_>>, JobError> {
        let client = self.store.client().await?;
        let due = layer_checks::due(&client, Utc::now() - AGAIN_AFTER).await?;
        drop(client);
        for layer in due.into_iter().filter(|layer| self.is_buildable(layer)) {
            let Some(recipe) = &layer.recipe else { continue };
            let blobs = objects::get_blobs(&self.store, &recipe.oids()).await?;
            let content = |oid: &_| blobs.get(oid).cloned();
            let (Some(migrations), Some(seeds)) =
                (recipe.migrations(&layer.chain, content), recipe.seeds(content))
            else {
                continue;
            };
            let extensions = recipe.extensions.clone();
            return Ok(Some(Trial::new(self, layer, extensions, migrations, seeds)?));
        }
        Ok(None)
    }

    /// Whether a layer's recipe makes that very layer here: one of an older server's is only kept until nobody needs it.
    fn is_buildable(&self, layer: &Candidate) -> bool {
        let seed = SeedDigest::of_seeded(&layer.seeded);
        layer.recipe.as_ref().is_some_and(|recipe| {
            let content = LayerContent {
                server: &self.engine.server().fingerprint(),
                extensions: &recipe.extensions,
                chain: &layer.chain,
                seed: seed.as_ref(),
            };
            content.key() == layer.key
        })
    }
}

/// A layer, its files, and the throw-away instances of the comparison.
struct Trial<'a> {
    worker: &'a Worker,
    layer: Candidate,
    extensions: Vec<String>,
    migrations: Vec<MigrationFile>,
    seeds: Vec<SeedFile>,
    clone: InstanceNames,
    first: InstanceNames,
    second: InstanceNames,
    started: Instant,
}

/// What the comparison found.
struct Comparison {
    outcome: CheckOutcome,
    findings: Vec<String>,
}

impl<'a> Trial<'a> {
    fn new(
        worker: &'a Worker,
        layer: Candidate,
        extensions: Vec<String>,
        migrations: Vec<MigrationFile>,
        seeds: Vec<SeedFile>,
    ) -> Result<Self, JobError> {
        let names = || InstanceNames::new(&Uuid::new_v4().simple().to_string());
        let (clone, first, second) = (names()?, names()?, names()?);
        Ok(Self {
            worker,
            layer,
            extensions,
            migrations,
            seeds,
            clone,
            first,
            second,
            started: Instant::now(),
        })
    }

    /// None where the layer is not there any more.
    async fn compare(&self) -> Result<Option<Comparison>, JobError> {
        let client = self.worker.store.client().await?;
        if !layers::find(&client, &self.layer.key).await?.is_some_and(|layer| layer.complete) {
            return Ok(None);
        }
        drop(client);
        let cached = self.cached().await?;
        let Some(first) = Disagreement::between(&cached, &self.replayed(&self.first).await?) else {
            return Ok(Some(Comparison { outcome: CheckOutcome::Same, findings: Vec::new() }));
        };
        let second = Disagreement::between(&cached, &self.replayed(&self.second).await?);
        let outcome = CheckOutcome::of(&first, second.as_ref());
        Ok(Some(Comparison { outcome, findings: first.findings() }))
    }

    async fn cached(&self) -> Result<Fingerprint, JobError> {
        let layer = self.layer_names()?;
        let password = self.make(&self.clone, Source::Layer(&layer)).await?;
        let print = self.worker.engine.fingerprint(&self.clone, &self.clone.access(&password)).await;
        print.map_err(unreadable)
    }

    /// A replay from empty, or what is wrong with the files.
    async fn replayed(&self, names: &InstanceNames) -> Result<Result<Fingerprint, String>, JobError> {
        let password = self.make(names, Source::Empty).await?;
        let (engine, access) = (&self.worker.engine, names.access(&password));
        let run = async {
            engine.replay(&access, &self.migrations, &mut |_| {}).await?;
            engine.seed(&access, &self.seeds).await?;
            let rows = engine.bookkeeping(&access).await?;
            bookkeeping::verify(&rows, &Chain::of(&self.migrations)).map_err(|failure| *failure)?;
            engine.fingerprint(names, &access).await
        };
        match run.await {
            Ok(print) => Ok(Ok(print)),
            Err(ReplayError::Author { failure, .. }) => {
                let line = failure.line.map_or_else(String::new, |line| format!(", line {line}"));
                Ok(Err(format!("{}{line}: {}", failure.file, failure.message)))
            }
            Err(ReplayError::Engine(error)) => Err(error.into()),
        }
    }

    async fn make(&self, names: &InstanceNames, source: Source<'_>) -> Result<Secret, JobError> {
        let (password, reader_password) = (Secret::generate(), Secret::generate());
        let identity = Identity::new(Subject::Layer { layer: self.layer.key.to_string() });
        let spec = InstanceSpec {
            names,
            password: &password,
            reader_password: &reader_password,
            identity: &identity,
            source,
            extensions: &self.extensions,
        };
        self.worker.engine.create_instance(&spec).await?;
        Ok(password)
    }

    fn layer_names(&self) -> Result<LayerNames, JobError> {
        Ok(LayerNames::recorded(&self.layer.database_name, &self.layer.owner_role)?)
    }

    /// Writes down what was found, and then acts on it: what is condemned on record is not continued again, whatever happens here.
    async fn settle(&self, found: Comparison) -> Result<(), JobError> {
        let Comparison { mut outcome, findings } = found;
        let client = self.worker.store.client().await?;
        let key = &self.layer.key;
        let before = layer_checks::last(&client, key).await?.map(|check| check.outcome);
        if outcome == CheckOutcome::Differs && before == Some(CheckOutcome::Differs) {
            // It was replaced by a replay, and clones of that differ again: another replacement would not help.
            outcome = CheckOutcome::Unstable;
        }
        let took_ms = self.started.elapsed().as_secs_f64() * 1e3;
        layer_checks::record(&client, key, outcome, &findings, took_ms).await?;
        metrics::counter!("offshoot_layer_checks_total", "outcome" => outcome.as_str()).increment(1);
        let branches = retention::branches_from(&client, key).await?;
        drop(client);
        let (layer, text) = (&key.as_str()[..12], findings.join("; "));
        match outcome {
            CheckOutcome::Same => tracing::info!(layer, took_ms, "a layer is what a replay from empty makes"),
            CheckOutcome::Unstable if before == Some(CheckOutcome::Unstable) => {}
            CheckOutcome::Unstable => {
                tracing::warn!(
                    layer,
                    findings = text,
                    "replays of a layer's files do not agree among themselves"
                );
            }
            CheckOutcome::Differs | CheckOutcome::Broken => {
                tracing::error!(
                    layer, %outcome, branches, findings = text,
                    "a layer is not what a replay from empty makes; it is replaced, and branches built from it need a reset"
                );
            }
        }
        match outcome {
            CheckOutcome::Differs => self.replace().await,
            CheckOutcome::Broken => self.remove().await,
            CheckOutcome::Same | CheckOutcome::Unstable => Ok(()),
        }
    }

    /// The second replay is what the layer should have been, so it becomes the layer. In between, a build finds that the layer is gone.
    async fn replace(&self) -> Result<(), JobError> {
        let engine = &self.worker.engine;
        let names = self.layer_names()?;
        engine.drop_layer(&names).await?;
        engine.freeze(&self.second, &names, &self.layer.key).await?;
        let size = engine.database_size(&names.database).await?;
        let client = self.worker.store.client().await?;
        let took_ms = self.started.elapsed().as_secs_f64() * 1e3;
        // One that was forgotten meanwhile is adopted by its next builder.
        retention::replaced(&client, &self.layer.key, size, took_ms).await?;
        instances::give_up(&client, &self.layer.key).await?;
        Ok(jobs::enqueue(&client, &Job::EmptyTrash).await?)
    }

    /// Nothing can take its place: whoever needs the layer is told what is wrong with the files.
    async fn remove(&self) -> Result<(), JobError> {
        let engine = &self.worker.engine;
        let client = self.worker.store.client().await?;
        instances::give_up(&client, &self.layer.key).await?;
        layers::forget(&client, &self.layer.key).await?;
        drop(client);
        engine.drop_layer(&self.layer_names()?).await?;
        let client = self.worker.store.client().await?;
        Ok(jobs::enqueue(&client, &Job::EmptyTrash).await?)
    }

    /// Drops what was made for the comparison. What is gone, or became the layer, is no error.
    async fn clear(&self) -> Result<(), JobError> {
        for names in [&self.clone, &self.first, &self.second] {
            self.worker.engine.discard(names).await?;
        }
        Ok(())
    }
}

/// A clone whose schema cannot be read is not the files' fault: they were replayed when the layer was built.
fn unreadable(error: ReplayError) -> JobError {
    match error {
        ReplayError::Author { failure, .. } => {
            JobError::Retry(anyhow::anyhow!("the clone of a layer cannot be read: {}", failure.message))
        }
        ReplayError::Engine(error) => error.into(),
    }
}
