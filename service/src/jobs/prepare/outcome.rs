//! What came of the work on a branch, and how it is recorded.

use std::time::Duration;

use super::{Order, Preparer, held, timings};
use crate::domain::branch::{AppliedMigration, Branch};
use crate::domain::chain::{Difference, MigrationFile};
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::findings::Finding;
use crate::domain::plan::{Because, LayerAtHand};
use crate::domain::seed::{SeedFile, SeededFile};
use crate::domain::state::BranchState;
use crate::engine::Ledger;
use crate::jobs::JobError;
use crate::store::branches::{self, Change};
use crate::store::instances::Taken;

/// The work on one branch while it goes on.
#[derive(Debug)]
pub(super) struct Work<'a> {
    /// The chain to reach, in order.
    pub wanted: &'a [MigrationFile],
    pub applied: Vec<AppliedMigration>,
    pub seeded: Vec<SeededFile>,
    pub findings: Vec<Finding>,
    pub failure: Option<Failure>,
    /// What came of asking for a spare, if that was done already.
    pub spare: Option<Option<Taken>>,
    /// How large the layer is that the new generation began with, where that is known.
    pub began_with_bytes: Option<i64>,
    /// A session for verifying what was run, if one is open: in the live database, or in the new generation.
    pub ledger: Option<Ledger>,
    pub acquire: Duration,
    pub migrate: Duration,
    pub seed: Duration,
}

/// An instance that took its branch's place.
#[derive(Debug)]
pub(super) struct Published {
    pub id: String,
    pub generation: i32,
}

impl<'a> Work<'a> {
    pub(super) fn new(wanted: &'a [MigrationFile], findings: Vec<Finding>) -> Self {
        Self {
            wanted,
            applied: Vec::new(),
            seeded: Vec::new(),
            findings,
            failure: None,
            spare: None,
            began_with_bytes: None,
            ledger: None,
            acquire: Duration::ZERO,
            migrate: Duration::ZERO,
            seed: Duration::ZERO,
        }
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// The first of the wanted migrations came with a layer, or were there before.
    pub(super) fn came_with(&mut self, count: usize) {
        let came = |file: &MigrationFile| AppliedMigration {
            name: file.migration.name.clone(),
            checksum: file.migration.checksum.clone(),
            duration_ms: None,
        };
        self.applied = self.wanted[..count].iter().map(came).collect();
    }

    /// What a layer of the order's base brings is there already.
    pub(super) fn starts_from(&mut self, order: &Order<'_>, layer: &LayerAtHand) {
        self.came_with(layer.chain.len());
        if layer.seeded {
            self.seeded = order.database.base.seeds.iter().map(SeedFile::seeded).collect();
        }
    }

    /// What the author of the branch's data should know of a rebuild.
    pub(super) fn note_rebuild(&mut self, because: &Because, generation: i32) {
        let reasons = match because {
            Because::First if generation == 0 => return,
            // It had one, and nothing is held.
            Because::First => vec!["the database was gone from the server".to_owned()],
            Because::Reset => vec!["a reset was asked for".to_owned()],
            Because::Diverged(differences) => sentences(differences),
            Because::Unfinished { migration } => vec![format!("{migration} had failed in it or was cut off")],
        };
        self.findings.push(Finding::Rebuilt { reasons });
    }
}

/// How many differences are named before the rest is only counted.
const NAMED: usize = 5;

fn sentences(differences: &[Difference]) -> Vec<String> {
    let mut sentences: Vec<String> = differences.iter().take(NAMED).map(sentence).collect();
    if differences.len() > NAMED {
        sentences.push(format!("{} more differences", differences.len() - NAMED));
    }
    sentences
}

fn sentence(difference: &Difference) -> String {
    match difference {
        Difference::Edited { name } => format!("{name} was edited"),
        Difference::Renamed { from, to } => format!("{from} was renamed to {to}"),
        Difference::Removed { name } => format!("{name} was removed"),
        Difference::Reordered { name } => format!("{name} has moved to another place in the order"),
        Difference::InsertedBefore { name, before } => format!("{name} now comes before {before}"),
    }
}

/// The branch keeps its data although its history is no longer the pull request's: the policy says so.
pub(super) fn refused(directory: &str, differences: &[Difference]) -> Failure {
    let reasons = sentences(differences).join("; ");
    let message = format!("the database holds another history and is kept as it is: {reasons}");
    Failure::of_file(FailureKind::Verification, directory, directory, message)
        .with_hint("Reset the branch to rebuild it (`offshoot branch reset`), or set `on_divergence = \"rebuild\"` in `.offshoot.toml`.")
}

impl Preparer<'_> {
    /// Records the verdict, together with the new generation if one was published. `stands` says whether what was worked on is what the
    /// branch's URL leads to: of a generation that was thrown away, nobody's data was seeded.
    pub(super) async fn settle(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        work: Work<'_>,
        published: Option<Published>,
        stands: bool,
    ) -> Result<Branch, JobError> {
        let ready = work.failure.is_none();
        let reached = (ready || published.is_some()).then(|| order.pull.head_sha.clone());
        let change = Change {
            generation: published.as_ref().map(|published| published.generation),
            database_sha: reached,
            timings: Some(timings(order, &work)),
            applied: Some(work.applied),
            seeded: stands.then_some(work.seeded),
            findings: Some(work.findings),
            failure: work.failure,
            // One that was asked for since stays.
            reset_requested: branch.reset_requested.then_some(false),
            held_by: self.held_by,
            ..Change::default()
        };
        let state = if ready { BranchState::Ready } else { BranchState::Failed };
        // The verdict is told to others, and with it goes all that led to it.
        let store = self.store.durable();
        let told = store.at_once(async |tx| {
            let promoted = async {
                match &published {
                    Some(published) => held::promote(tx, branch, &published.id).await,
                    None => Ok(()),
                }
            };
            tokio::try_join!(promoted, branches::settle(tx, branch, state, change))
        });
        let ((), branch) = told.await?;
        record(order, &branch);
        Ok(branch)
    }
}

fn record(order: &Order<'_>, branch: &Branch) {
    let timings = &branch.timings;
    for (step, ms) in [
        ("queued", timings.queued),
        ("read", timings.read),
        ("acquire", timings.acquire),
        ("migrate", timings.migrate),
        ("seed", timings.seed),
        ("total", timings.total),
    ] {
        metrics::histogram!("offshoot_branch_step_seconds", "step" => step).record(ms / 1e3);
    }
    metrics::counter!("offshoot_branches_settled_total", "state" => branch.state.as_str()).increment(1);
    tracing::info!(
        repository = %order.repository, pull = order.pull.id.number, database = %branch.database, branch = branch.id,
        state = %branch.state, generation = branch.generation, sha = branch.head_sha.short(), ms = timings.total,
        "the branch is settled"
    );
}
