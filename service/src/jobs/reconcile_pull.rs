//! Brings a pull request's branches to what its head, its base and its state ask for.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::absorb::Known;
use super::prepare::{Clock, Order, Preparer};
use super::reading::{DatabaseReading, ReadError, Reader, Reading};
use super::turns::Turn;
use super::{JobError, Worker};
use crate::domain::branch::Branch;
use crate::domain::config::Forks;
use crate::domain::ids::PullId;
use crate::domain::job::Job;
use crate::domain::pull::{APPROVAL_COMMAND, APPROVAL_LABEL, Wanted};
use crate::domain::report::Notice;
use crate::domain::state::BranchState;
use crate::queue::Claim;
use crate::source::SourceError;
use crate::store::branches::{self, Change, NewBranch};
use crate::store::deliveries;
use crate::store::jobs::{self, Lease};
use crate::store::pulls::{self, StoredPull};
use crate::store::reports;
use crate::store::repositories::Repository;
use crate::store::{Store, StoreError};

/// How often a job asks whether something newer came while it works.
const SUPERSEDED_POLL: Duration = Duration::from_millis(250);
/// A branch that is ready sooner is reported once, without an "in progress" before.
const PATIENCE: Duration = Duration::from_millis(700);
/// What is left to do after a verdict waits for so long. To make another spare, and to tell GitHub, keeps the machine busy, and whoever waits for the
/// database goes first.
const ANSWER_FIRST: Duration = Duration::from_millis(15);
/// And so long the next pull request: about as it takes to answer.
const ANSWERING: Duration = Duration::from_millis(8);
/// For how long more deliveries are waited for after some that told nothing new.
const HEARING: Duration = Duration::from_millis(50);

/// What the work on a pull request is done for, and until when.
struct Call<'a> {
    asked_at: DateTime<Utc>,
    /// Until its turn came.
    queued: Duration,
    lease: Lease,
    stop: &'a CancellationToken,
    turn: &'a Turn,
}

impl Worker {
    pub(super) async fn reconcile_pull(&self, id: PullId, claim: &Claim) -> Result<(), JobError> {
        let turn = self.turns.take().await;
        let began_at = Utc::now();
        let Known { repository, pull, branches, heard: told } = self.absorb(id).await?;
        let asked_at = told.map_or(claim.created_at, |told| told.first_at);
        let queued = (began_at - asked_at).to_std().unwrap_or_default();
        let stored = match pull {
            Some(stored) => stored,
            None => {
                // No webhook told of it.
                let told = self.ask(id, None).await?;
                pulls::save(&self.store.client().await?, &told).await?
            }
        };
        let missing = || JobError::Retry(anyhow::anyhow!("the repository of {id} is not known"));
        let repository = repository.ok_or_else(missing)?;

        let stop = CancellationToken::new();
        let call = Call { asked_at, queued, lease: claim.lease, stop: &stop, turn: &turn };
        let work = self.converge(&repository, &stored, branches, &call);
        let work = async {
            tokio::select! {
                done = work => done,
                never = self.watch(id, &stop) => match never {},
            }
        };
        let (told_of, done) = tokio::join!(self.report_after(id, PATIENCE), work);
        if let Err(error) = told_of {
            // It is reported on below in any case, or by the job that supersedes this one.
            tracing::warn!(repository = %repository.facts.name, pull = id.number, %error, "a report on the work could not be asked for");
        }
        if matches!(done, Err(JobError::Superseded)) {
            tracing::info!(repository = %repository.facts.name, pull = id.number, "superseded by a newer delivery");
            return Ok(());
        }
        let client = self.store.client().await?;
        jobs::enqueue(&client, &Job::ReportPull(id)).await?;
        drop(client);
        done?;
        turn.end();
        if told.is_some_and(|told| !told.news) {
            // Whoever talks much and says nothing new is heard out: what comes meanwhile is taken up together.
            tokio::time::sleep(HEARING).await;
        }
        Ok(())
    }

    /// Has the pull request reported on, however far the work on it is by then.
    async fn report_after(&self, id: PullId, delay: Duration) -> Result<(), StoreError> {
        let client = self.store.client().await?;
        jobs::enqueue_after(&client, &Job::ReportPull(id), delay).await
    }

    /// Cancels the work once a newer delivery for the pull request has come: its job takes over. What cannot be asked now is asked again.
    async fn watch(&self, id: PullId, stop: &CancellationToken) -> Infallible {
        loop {
            tokio::time::sleep(SUPERSEDED_POLL).await;
            let asked = async {
                let client = self.store.client().await?;
                deliveries::has_unabsorbed(&client, id).await
            };
            match asked.await {
                Ok(true) => stop.cancel(),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "whether something newer came could not be asked"),
            }
        }
    }

    async fn converge(
        &self,
        repository: &Repository,
        stored: &StoredPull,
        branches: Vec<Branch>,
        call: &Call<'_>,
    ) -> Result<(), JobError> {
        let pull = &stored.pull;
        if !pull.open || repository.removed {
            let why = match (repository.removed, pull.merged) {
                (true, _) => "Offshoot was removed from the repository.",
                (false, true) => "The pull request was merged.",
                (false, false) => {
                    "The pull request was closed without a merge; reopening it brings a fresh database."
                }
            };
            return self.remove_all(&branches, why).await;
        }
        for branch in branches.iter().filter(|branch| branch.state == BranchState::Deleting) {
            self.tear_down(branch).await?;
        }
        let live: Vec<&Branch> =
            branches.iter().filter(|branch| branch.state != BranchState::Deleting).collect();
        let unwanted = stored.wanted() == Wanted::No;
        if unwanted && live.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let mut reading = match self.read(repository, stored).await? {
            Some(reading) => reading,
            None => return Ok(()),
        };
        let clock = Clock { asked_at: call.asked_at, queued: call.queued, read: started.elapsed() };
        self.remove_undeclared(&branches, &reading).await?;
        if unwanted {
            // Only some of its databases were removed; the others go on.
            let stands = |database: &DatabaseReading| {
                live.iter().any(|branch| branch.database == database.layout.label)
            };
            reading.databases.retain(stands);
        }
        if reading.databases.len() > 1 || stored.wanted() == Wanted::Anew {
            self.make_known(repository, stored, &reading).await?;
        }
        if let Some(why) = blocked(stored, reading.detected.branch.forks) {
            return self.block(repository, stored, &reading, &why, call.lease).await;
        }
        self.prepare_all(repository, stored, &reading, clock, call).await
    }

    /// The chains and the configuration; none where people have to settle something first, which is noted on the pull request.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn read(&self, repository: &Repository, stored: &StoredPull) -> Result<Option<Reading>, JobError> {
        let facts = &repository.facts;
        let source = self.github.repository(&facts.name, facts.installation);
        let reader = Reader { store: &self.store, source: &source, repository: facts.github_id };
        let (reading, notice, error) = match reader.pull(&stored.pull).await {
            Ok(reading) => (Some(reading), None, None),
            Err(ReadError::Notice(notice)) => (None, Some(notice), None),
            Err(ReadError::Source(error)) => {
                if matches!(error, SourceError::Missing(_)) {
                    // Perhaps the repository is gone, and the delivery that told so came before it was known.
                    let client = self.store.client().await?;
                    jobs::enqueue(&client, &Job::SyncRepository(facts.github_id)).await?;
                }
                let error = JobError::from(error);
                (None, Some(Notice::Errored { message: error.for_people() }), Some(error))
            }
            Err(ReadError::Store(error)) => return Err(error.into()),
        };
        if notice != stored.notice {
            let client = self.store.client().await?;
            pulls::set_notice(&client, stored.pull.id, notice.as_ref()).await?;
            if notice.is_none() {
                // What the check said at its end is over with it.
                reports::reopen_check(&client, stored.pull.id, &stored.pull.head_sha).await?;
            }
        }
        match error {
            Some(error) => Err(error),
            None => Ok(reading),
        }
    }

    async fn prepare_all(
        &self,
        repository: &Repository,
        stored: &StoredPull,
        reading: &Reading,
        clock: Clock,
        call: &Call<'_>,
    ) -> Result<(), JobError> {
        let preparer = Preparer {
            store: &self.store,
            engine: &self.engine,
            stop: call.stop,
            held_by: Some(call.lease),
            turn: Some(call.turn),
        };
        let mut first_error = None;
        for database in &reading.databases {
            let order =
                Order { repository: &repository.facts.name, pull: &stored.pull, reading, database, clock };
            // One database's trouble does not keep the others waiting.
            match preparer.prepare(&order).await {
                Ok(_) => {}
                Err(error @ (JobError::Superseded | JobError::NotHeld)) => return Err(error),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        tokio::time::sleep(ANSWERING).await;
        call.turn.end();
        tokio::time::sleep(ANSWER_FIRST - ANSWERING).await;
        if reading.comparison.merge_base == reading.comparison.tip {
            for database in &reading.databases {
                let DatabaseReading { layout, base, .. } = database;
                self.follow_template(repository.facts.github_id, &stored.pull.base_ref, layout, base).await?;
            }
        }
        let client = self.store.client().await?;
        jobs::enqueue(&client, &Job::EmptyTrash).await?;
        first_error.map_or(Ok(()), Err)
    }

    /// Databases that the configuration no longer declares.
    async fn remove_undeclared(&self, branches: &[Branch], reading: &Reading) -> Result<(), JobError> {
        let declared = |branch: &&Branch| {
            reading.databases.iter().any(|database| database.layout.label == branch.database)
        };
        let undeclared: Vec<Branch> = branches
            .iter()
            .filter(|branch| branch.state != BranchState::Deleting && !declared(branch))
            .cloned()
            .collect();
        self.remove_all(&undeclared, "The base's configuration no longer declares this database.").await
    }

    /// Makes the branches that are missing, before any of them is prepared: one that is ready may not speak for those that are still to come.
    async fn make_known(
        &self,
        repository: &Repository,
        stored: &StoredPull,
        reading: &Reading,
    ) -> Result<(), JobError> {
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        for database in &reading.databases {
            branches::create(&tx, self.store.vault(), &new_branch(repository, stored, database)).await?;
        }
        if stored.wanted() == Wanted::Anew {
            pulls::note_wanted(&tx, stored.pull.id, &stored.pull.head_sha).await?;
        }
        Ok(Store::commit(tx).await?)
    }

    async fn block(
        &self,
        repository: &Repository,
        stored: &StoredPull,
        reading: &Reading,
        why: &str,
        lease: Lease,
    ) -> Result<(), JobError> {
        let client = self.store.client().await?;
        for database in &reading.databases {
            let new = new_branch(repository, stored, database);
            let branch = branches::create(&client, self.store.vault(), &new).await?.branch;
            let change = Change {
                reason: Some(why.to_owned()),
                head_sha: Some(stored.pull.head_sha.clone()),
                base_ref: Some(stored.pull.base_ref.clone()),
                held_by: Some(lease),
                ..Change::default()
            };
            branches::transition(&client, branch.id, BranchState::Blocked, &change).await?;
        }
        Ok(())
    }
}

fn new_branch<'a>(
    repository: &'a Repository,
    stored: &'a StoredPull,
    database: &'a DatabaseReading,
) -> NewBranch<'a> {
    NewBranch {
        pull: stored.pull.id,
        repository: &repository.facts.name,
        database: &database.layout.label,
        head_sha: &stored.pull.head_sha,
        base_ref: &stored.pull.base_ref,
        state: BranchState::Pending,
        expires_at: None,
    }
}

/// Why a pull request gets no database yet, by the base's policy for forks.
fn blocked(stored: &StoredPull, forks: Forks) -> Option<String> {
    let pull = &stored.pull;
    let approved = stored.approval.as_ref().is_some_and(|approval| approval.sha == pull.head_sha);
    match forks {
        _ if !pull.from_fork => None,
        Forks::Always => None,
        Forks::Approve if approved => None,
        Forks::Approve => Some(format!(
            "This pull request comes from a fork: its SQL is run once a maintainer puts the label {APPROVAL_LABEL} on it or comments {APPROVAL_COMMAND}, for the commit {} alone. After a push, take the label off and put it on again, or comment again.",
            pull.head_sha.short()
        )),
        Forks::Never => {
            Some("Pull requests from forks get no database here (`forks = \"never\"`).".to_owned())
        }
    }
}
