//! Brings one branch to the chain of a commit: plan, acquire, replay, seed, verify, publish.
//!
//! Every step may be the last: a crash leaves a branch that is `preparing` and instances that are known of, and the next run starts over from
//! what the branch's own database says that it holds.

mod build;
mod held;
pub(super) use held::{instance_names as held_names, recorded_names};
mod layer;
mod outcome;
mod room;
mod run;
mod snapshot;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::reading::{DatabaseReading, Reading};
use super::{JobError, Turn};
use crate::domain::branch::{Branch, Timings};
use crate::domain::chain::{Chain, MigrationFile};
use crate::domain::findings::{self, Finding};
use crate::domain::ids::RepositoryName;
use crate::domain::plan::{self, Build, Decision, Held, Inputs, LayerAtHand, Start};
use crate::domain::pull::PullRequest;
use crate::domain::room::NoRoom;
use crate::domain::state::BranchState;
use crate::engine::{Engine, Identity, InstanceNames, Subject};
use crate::store::branches::{self, Change, Created, NewBranch};
use crate::store::jobs::Lease;
use crate::store::{Store, StoreError, instances, jobs, layers, retention};

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
    /// The job that the work is done for. Once it is another worker's, that one decides what becomes of the branch: nothing more is
    /// published or written down. None where no job is.
    pub held_by: Option<Lease>,
    /// Ended where a database has to be made: others go ahead meanwhile.
    pub turn: Option<&'a Turn>,
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
        plan::replay_order(base, self.database.head.reached(base), |file| &file.migration.name)
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
        let mut found = findings::of_chains(base, head, &self.database.tip);
        found.extend(findings::behind(self.reading.comparison.behind_by, base, &self.database.tip));
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
        let (branch, fresh) = match self.begin(order).await? {
            Begun::Settled(branch) => return Ok(branch),
            Begun::Fresh(branch) => (branch, true),
            Begun::Anew(branch) => (branch, false),
        };
        match self.carry_out(order, &branch, fresh).await {
            Ok(branch) => Ok(branch),
            Err(error @ (JobError::Superseded | JobError::NotHeld)) => Err(error),
            Err(JobError::NoRoom(why)) => self.wait_for_room(order, &branch, why).await,
            Err(error) => {
                self.errored(&branch, &error).await;
                Err(error)
            }
        }
    }

    /// The branch, made if there is none, as `preparing` for the order's commit; or as it is, where nothing was pushed or asked for since
    /// its verdict: another look would only waste the data of a failed one.
    async fn begin(&self, order: &Order<'_>) -> Result<Begun, JobError> {
        let client = self.store.client().await?;
        let new = NewBranch {
            pull: order.pull.id,
            repository: order.repository,
            database: &order.database.layout.label,
            head_sha: &order.pull.head_sha,
            base_ref: &order.pull.base_ref,
            state: BranchState::Preparing,
            expires_at: order.expires_at(),
        };
        let Created { branch, fresh } = branches::create(&client, self.store.vault(), &new).await?;
        if fresh {
            return Ok(Begun::Fresh(branch));
        }
        if is_settled(order, &branch) {
            return Ok(Begun::Settled(branch));
        }
        if branch.place().is_some_and(|place| place > 1) {
            drop(client);
            return Ok(Begun::Settled(self.wait_for_room(order, &branch, NoRoom::Turn).await?));
        }
        let change = Change {
            head_sha: Some(order.pull.head_sha.clone()),
            base_ref: Some(order.pull.base_ref.clone()),
            expires_at: order.expires_at(),
            held_by: self.held_by,
            ..Change::default()
        };
        let branch = branches::transition(&client, branch.id, BranchState::Preparing, &change).await?;
        Ok(Begun::Anew(branch))
    }

    async fn carry_out(&self, order: &Order<'_>, branch: &Branch, fresh: bool) -> Result<Branch, JobError> {
        let started = Instant::now();
        let (branch, held, ledger) = if fresh {
            (branch.clone(), Held::Nothing, None)
        } else {
            let branch = self.clear_leftovers(branch).await?;
            let (held, ledger) = self.held(&branch).await?;
            (branch, held, ledger)
        };
        let branch = &branch;
        let wanted = order.wanted();
        let chain = Chain::of(&wanted);
        let mut work = Work::new(&wanted, order.findings());
        work.ledger = ledger;
        let planner = Planner { order, branch, held: &held, wanted: &chain };
        let without_layers = planner.decide(&[]);
        if !is_only_a_look(&without_layers) {
            self.take_turn(branch).await?;
        }
        let decision = match self.reserve(&planner, without_layers, &mut work).await? {
            Some(decision) => decision,
            None => self.start_somewhere(&planner).await?,
        };
        work.acquire = started.elapsed();
        match decision {
            Decision::Keep => self.in_place(order, branch, work, chain.len()..chain.len()).await,
            Decision::Extend(range) => self.in_place(order, branch, work, range).await,
            Decision::Build(build) => {
                work.note_rebuild(&build.because, branch.generation);
                self.build(order, branch, work, &build, matches!(held, Held::Applied(_))).await
            }
            Decision::Refuse(differences) => {
                work.fail(outcome::refused(&order.database.layout.migrations, &differences));
                self.settle(order, branch, work, None, false).await
            }
        }
    }

    /// Records what the branch needs, and takes a spare of its base's layer where it is to be built from that, as nearly every one is: all in one
    /// statement. None where the layer does not stand, or another fits better.
    async fn reserve(
        &self,
        planner: &Planner<'_>,
        without_layers: Decision,
        work: &mut Work<'_>,
    ) -> Result<Option<Decision>, JobError> {
        let Planner { order, branch, .. } = planner;
        let Some(layer) = layer::at_base(self.engine.server(), order.database) else {
            return Ok((!starts_from_nothing(&without_layers)).then_some(without_layers));
        };
        let client = self.store.client().await?;
        if !starts_from_nothing(&without_layers) {
            retention::need(&client, branch.id, &layer.key).await?;
            return Ok(Some(without_layers));
        }
        let decision = planner.decide(std::slice::from_ref(&layer));
        if starts_from_nothing(&decision) {
            retention::need(&client, branch.id, &layer.key).await?;
            return Ok(None);
        }
        let asked = instances::take(&client, self.store.vault(), &layer.key, branch.id).await?;
        work.began_with_bytes = asked.layer_bytes;
        work.spare = asked.stands.then_some(asked.spare);
        Ok(asked.stands.then_some(decision))
    }

    /// Where a build that holds nothing starts. The base's own layer is made where it is missing; others are looked for only where it does not fit.
    async fn start_somewhere(&self, planner: &Planner<'_>) -> Result<Decision, JobError> {
        let Order { pull, database, .. } = planner.order;
        let of_base = || layer::of_base(self, database);
        let mut decision = planner.decide(of_base().await?.as_slice());
        if starts_from_nothing(&decision) && ensure_base(self, planner.order).await? {
            decision = planner.decide(of_base().await?.as_slice());
        }
        if starts_from_nothing(&decision) {
            let client = self.store.client().await?;
            let stored = layers::at_hand(&client, pull.id.repository, &database.layout.label).await?;
            let usable = layer::usable(self.engine.server(), &database.layout, &database.base, stored);
            decision = planner.decide(&usable);
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
        let change = Change { reason: Some(error.for_people()), held_by: self.held_by, ..Change::default() };
        let told = async {
            let client = self.store.client().await?;
            branches::transition(&client, branch.id, BranchState::Errored, &change).await
        };
        match told.await {
            Ok(_) | Err(StoreError::NotHeld) => {}
            Err(error) => {
                tracing::warn!(branch = branch.id, error = %error, "a branch's trouble could not be recorded");
            }
        }
    }

    /// Fails where the job is another worker's by now, who may be at the same database.
    async fn ensure_held(&self) -> Result<(), JobError> {
        let Some(lease) = self.held_by else { return Ok(()) };
        let client = self.store.client().await?;
        if jobs::is_held(&client, lease).await? { Ok(()) } else { Err(JobError::NotHeld) }
    }

    /// The names of a branch's place on the server.
    fn place(branch: &Branch) -> Result<InstanceNames, JobError> {
        Ok(InstanceNames::of(&branch.database_name)?)
    }

    /// Throws away what a crash left half-made, or finishes what it had published already. The branch as it is then.
    async fn clear_leftovers(&self, branch: &Branch) -> Result<Branch, JobError> {
        let client = self.store.client().await?;
        let leftovers = instances::preparing_of(&client, branch.id).await?;
        drop(client);
        if leftovers.is_empty() {
            return Ok(branch.clone());
        }
        for instance in &leftovers {
            if !self.was_published(branch, instance).await? {
                let client = self.store.client().await?;
                instances::trash(&client, &instance.id, &instance.names).await?;
            }
        }
        let client = self.store.client().await?;
        let missing = || JobError::Retry(anyhow::anyhow!("branch {} is not stored any more", branch.id));
        branches::find_by_id(&client, branch.id).await?.ok_or_else(missing)
    }
}

/// A branch when its work begins.
#[derive(Debug)]
enum Begun {
    /// It was made just now: there is nothing of it anywhere.
    Fresh(Branch),
    Anew(Branch),
    /// Its verdict is already about what is asked for, or its turn has not come.
    Settled(Branch),
}

/// What decides, but for the layers at hand.
struct Planner<'a> {
    order: &'a Order<'a>,
    branch: &'a Branch,
    held: &'a Held,
    wanted: &'a Chain,
}

impl Planner<'_> {
    fn decide(&self, layers: &[LayerAtHand]) -> Decision {
        let DatabaseReading { layout, base, .. } = self.order.database;
        plan::decide(&Inputs {
            held: self.held,
            base: base.chain(),
            wanted: self.wanted,
            layers,
            base_has_seed: layer::has_seed(layout, base),
            on_divergence: self.order.reading.detected.branch.on_divergence,
            reset: self.branch.reset_requested,
        })
    }
}

/// Whether nothing will be written: that needs no room.
fn is_only_a_look(decision: &Decision) -> bool {
    matches!(decision, Decision::Keep | Decision::Refuse(_))
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
