//! Brings one branch to the chain of a commit: plan, acquire, replay, seed, verify, publish.
//!
//! Every step may be the last: a crash leaves a branch that is `preparing` and instances that are known of, and the next run starts over from
//! what the branch's own database says that it holds.

mod build;
mod held;
pub(super) use held::{instance_names as held_names, recorded_names};
mod layer;
mod outcome;
mod run;
mod snapshot;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::JobError;
use super::reading::{DatabaseReading, Reading};
use crate::domain::branch::{Branch, Timings};
use crate::domain::chain::{Chain, MigrationFile};
use crate::domain::findings::{self, Finding};
use crate::domain::ids::RepositoryName;
use crate::domain::plan::{self, Build, Decision, Held, Inputs, LayerAtHand, Start};
use crate::domain::pull::PullRequest;
use crate::domain::state::BranchState;
use crate::engine::{Engine, Identity, InstanceNames, Subject};
use crate::store::branches::{self, Change, NewBranch};
use crate::store::{Store, instances, layers, retention};

use outcome::Work;

use layer::ensure_base;
pub use layer::ensure_layer;
pub(super) use layer::{create_instance, names as layer_names, template_key};
pub use snapshot::Frozen;

/// What preparing needs.
#[derive(Debug, Clone, Copy)]
pub struct Preparer<'a> {
    pub store: &'a Store,
    pub engine: &'a Engine,
    /// Cancelled when something newer came: what may take long is given up, what is short is finished.
    pub stop: &'a CancellationToken,
}

/// One database of one pull request at one commit.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub repository: &'a RepositoryName,
    pub pull: &'a PullRequest,
    pub reading: &'a Reading,
    pub database: &'a DatabaseReading,
    pub clock: Clock,
}

/// When the work was asked for, and what was spent before a branch's own part.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub asked_at: DateTime<Utc>,
    pub queued: Duration,
    pub read: Duration,
}

impl Order<'_> {
    /// The migrations to replay, in the order that production will see.
    fn wanted(&self) -> Vec<MigrationFile> {
        let base = self.database.base.chain();
        let files = self.database.head.reached(&base);
        let order = plan::replay_order(&base, &Chain::of(&files));
        let file = |name: &str| files.iter().find(|file| file.migration.name == name);
        order.migrations().iter().filter_map(|migration| file(&migration.name)).cloned().collect()
    }

    fn identity(&self, generation: i32) -> Identity {
        Identity::new(Subject::Branch {
            repository: self.repository.to_string(),
            pull_request: self.pull.id.number,
            database: self.database.layout.label.to_string(),
            generation,
            sha: self.pull.head_sha.to_string(),
            fork: None,
        })
    }

    fn findings(&self) -> Vec<Finding> {
        let (base, head) = (self.database.base.chain(), self.database.head.chain());
        let mut found = findings::of_chains(&base, &head, &self.database.tip);
        found.extend(findings::behind(self.reading.comparison.behind_by, &base, &self.database.tip));
        let undeclared = self.reading.detected.undeclared.iter();
        found.extend(undeclared.map(|directory| Finding::UndeclaredChain { directory: directory.clone() }));
        found
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        let ttl = TimeDelta::from_std(self.reading.detected.branch.ttl).ok()?;
        Utc::now().checked_add_signed(ttl)
    }
}

impl Preparer<'_> {
    /// Brings the branch of an order to its commit. What the author did wrong is a state of the branch; an error is ours.
    #[tracing::instrument(level = "debug", skip_all, fields(database = %order.database.layout.label))]
    pub async fn prepare(&self, order: &Order<'_>) -> Result<Branch, JobError> {
        let (branch, settled) = self.begin(order).await?;
        if settled {
            return Ok(branch);
        }
        match self.carry_out(order, &branch).await {
            Ok(branch) => Ok(branch),
            Err(JobError::Superseded) => Err(JobError::Superseded),
            Err(error) => {
                self.errored(&branch, &error).await;
                Err(error)
            }
        }
    }

    /// The branch, made if there is none, as `preparing` for the order's commit; or as it is, where nothing was pushed or asked for since
    /// its verdict: another look would only waste the data of a failed one.
    async fn begin(&self, order: &Order<'_>) -> Result<(Branch, bool), JobError> {
        let client = self.store.client().await?;
        let new = NewBranch {
            pull: order.pull.id,
            repository: order.repository,
            database: &order.database.layout.label,
            head_sha: &order.pull.head_sha,
            base_ref: &order.pull.base_ref,
            expires_at: order.expires_at(),
        };
        let branch = branches::create(&client, self.store.vault(), &new).await?;
        if is_settled(order, &branch) {
            return Ok((branch, true));
        }
        let change = Change {
            head_sha: Some(order.pull.head_sha.clone()),
            base_ref: Some(order.pull.base_ref.clone()),
            expires_at: order.expires_at(),
            ..Change::default()
        };
        let branch = branches::transition(&client, branch.id, BranchState::Preparing, &change).await?;
        Ok((branch, false))
    }

    async fn carry_out(&self, order: &Order<'_>, branch: &Branch) -> Result<Branch, JobError> {
        let branch = &self.clear_leftovers(branch).await?;
        let started = Instant::now();
        let (held, ledger) = self.held(branch).await?;
        let wanted = order.wanted();
        let chain = Chain::of(&wanted);
        if let Some(key) =
            layer::template_key(self.engine.server(), &order.database.layout, &order.database.base)
        {
            let client = self.store.client().await?;
            retention::need(&client, branch.id, &key).await?;
        }
        let decision = self.decide(order, branch, &held, &chain).await?;
        let mut work = Work::new(&wanted, order.findings(), started.elapsed());
        work.ledger = ledger;
        match decision {
            Decision::Keep => self.in_place(order, branch, work, chain.len()..chain.len()).await,
            Decision::Extend(range) => self.in_place(order, branch, work, range).await,
            Decision::Build(build) => {
                work.note_rebuild(&build.because);
                self.build(order, branch, work, &build, matches!(held, Held::Applied(_))).await
            }
            Decision::Refuse(differences) => {
                work.fail(outcome::refused(&order.database.layout.migrations, &differences));
                self.settle(order, branch, work, None, false).await
            }
        }
    }

    /// Nearly every build starts from the base's own layer, which is made where it is missing; others are looked for only where that does not fit.
    async fn decide(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        held: &Held,
        wanted: &Chain,
    ) -> Result<Decision, JobError> {
        let database = order.database;
        let base = database.base.chain();
        let decide = |layers: &[LayerAtHand]| {
            plan::decide(&Inputs {
                held,
                base: &base,
                wanted,
                layers,
                base_has_seed: layer::has_seed(&database.layout, &database.base),
                on_divergence: order.reading.detected.branch.on_divergence,
                reset: branch.reset_requested,
            })
        };
        let mut decision = decide(&[]);
        if starts_from_nothing(&decision) {
            decision = decide(layer::of_base(self, database).await?.as_slice());
        }
        if starts_from_nothing(&decision) && ensure_base(self, order).await? {
            decision = decide(layer::of_base(self, database).await?.as_slice());
        }
        if starts_from_nothing(&decision) {
            let client = self.store.client().await?;
            let stored = layers::at_hand(&client, order.pull.id.repository, &database.layout.label).await?;
            let usable = layer::usable(self.engine.server(), &database.layout, &database.base, stored);
            decision = decide(&usable);
        }
        Ok(decision)
    }

    /// Waits for work that may take long, unless something newer comes.
    async fn unless_superseded<T>(&self, work: impl Future<Output = T>) -> Result<T, JobError> {
        tokio::select! {
            done = work => Ok(done),
            () = self.stop.cancelled() => Err(JobError::Superseded),
        }
    }

    /// Says on the branch that it is our turn; the error itself goes up to the queue.
    async fn errored(&self, branch: &Branch, error: &JobError) {
        let change = Change { reason: Some(error.for_people()), ..Change::default() };
        let told = async {
            let client = self.store.client().await?;
            branches::transition(&client, branch.id, BranchState::Errored, &change).await
        };
        if let Err(error) = told.await {
            tracing::warn!(branch = branch.id, error = %error, "a branch's trouble could not be recorded");
        }
    }

    /// The names of a branch's place on the server.
    fn place(branch: &Branch) -> Result<InstanceNames, JobError> {
        Ok(InstanceNames::of(&branch.database_name)?)
    }

    /// Throws away what a crash left half-made, or finishes what it had published already. The branch as it is then.
    async fn clear_leftovers(&self, branch: &Branch) -> Result<Branch, JobError> {
        let client = self.store.client().await?;
        let leftovers = instances::preparing_of(&client, branch.id).await?;
        for instance in &leftovers {
            if !self.was_published(branch, instance).await? {
                instances::trash(&client, &instance.id, &instance.names).await?;
            }
        }
        if leftovers.is_empty() {
            return Ok(branch.clone());
        }
        let missing = || JobError::Retry(anyhow::anyhow!("branch {} is not stored any more", branch.id));
        branches::find_by_id(&client, branch.id).await?.ok_or_else(missing)
    }
}

fn starts_from_nothing(decision: &Decision) -> bool {
    matches!(decision, Decision::Build(Build { start: Start::Empty, .. }))
}

/// Whether a branch's verdict is already about what is asked for.
fn is_settled(order: &Order<'_>, branch: &Branch) -> bool {
    matches!(branch.state, BranchState::Ready | BranchState::Failed)
        && branch.head_sha == order.pull.head_sha
        && branch.base_ref == order.pull.base_ref
        && !branch.reset_requested
}

/// Milliseconds with their fraction.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The timings of work that ends now.
fn timings(order: &Order<'_>, work: &Work<'_>) -> Timings {
    let total = (Utc::now() - order.clock.asked_at).to_std().unwrap_or_default();
    Timings {
        queued: milliseconds(order.clock.queued),
        read: milliseconds(order.clock.read),
        acquire: milliseconds(work.acquire),
        migrate: milliseconds(work.migrate),
        seed: milliseconds(work.seed),
        total: milliseconds(total),
    }
}
