//! Runs migrations and seeds in a branch's database and looks at what they left.

use std::ops::Range;
use std::time::Instant;

use super::outcome::Work;
use super::{Order, Preparer};
use crate::domain::bookkeeping::{self, BookkeepingRow};
use crate::domain::branch::Branch;
use crate::domain::chain::{Chain, Migration};
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::seed::{self, SeedFile};
use crate::engine::{Access, Ledger, ReplayError, Step};
use crate::jobs::JobError;
use crate::store::branches;

impl Preparer<'_> {
    /// Replays part of the wanted chain. What fails by the author's fault is noted in the work; nothing more is run then.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn replay(
        &self,
        access: &Access,
        work: &mut Work<'_>,
        range: Range<usize>,
    ) -> Result<(), JobError> {
        if work.failure.is_some() {
            return Ok(());
        }
        let started = Instant::now();
        let mut observe = |_: Step<'_>| {};
        let replay = self.engine.replay(access, &work.wanted[range], &mut observe);
        // The session that verifies is opened beside the one that runs: connecting takes longer than a small migration.
        let both = async { tokio::join!(replay, self.ledger(access, work.ledger.take())) };
        let (replayed, ledger) = self.unless_superseded(both).await?;
        work.ledger = Some(ledger?);
        work.migrate += started.elapsed();
        match replayed {
            Ok(applied) => work.applied.extend(applied),
            Err(ReplayError::Author { applied, failure }) => {
                work.applied.extend(applied);
                work.fail(*failure);
            }
            Err(ReplayError::Engine(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// The session that is open already, or a new one.
    async fn ledger(&self, access: &Access, open: Option<Ledger>) -> Result<Ledger, JobError> {
        match open {
            Some(ledger) => Ok(ledger),
            None => Ok(self.engine.ledger(access).await?),
        }
    }

    /// What the database says of itself. A session that was ended from within it is opened again.
    async fn read_ledger(
        &self,
        access: &Access,
        work: &mut Work<'_>,
    ) -> Result<Vec<BookkeepingRow>, ReplayError> {
        if let Some(ledger) = work.ledger.take() {
            let read = ledger.rows().await;
            if read.is_ok() || !ledger.is_closed() {
                work.ledger = Some(ledger);
                return read;
            }
        }
        let ledger = self.engine.ledger(access).await?;
        let read = ledger.rows().await;
        work.ledger = Some(ledger);
        read
    }

    /// Runs seed files, each in a transaction of its own, and remembers those that were run.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn seed(
        &self,
        access: &Access,
        work: &mut Work<'_>,
        files: &[&SeedFile],
    ) -> Result<(), JobError> {
        let started = Instant::now();
        for file in files {
            if work.failure.is_some() {
                break;
            }
            let seed = self.engine.seed(access, std::slice::from_ref(*file));
            match self.unless_superseded(seed).await? {
                Ok(()) => {
                    work.seeded.retain(|seeded| seeded.path != file.path);
                    work.seeded.push(file.seeded());
                }
                Err(ReplayError::Author { failure, .. }) => work.fail(*failure),
                Err(ReplayError::Engine(error)) => return Err(error.into()),
            }
        }
        work.seed += started.elapsed();
        Ok(())
    }

    /// Runs what the head's seeds still lack, then compares what the database says of itself with what is wanted.
    pub(super) async fn finish(
        &self,
        order: &Order<'_>,
        access: &Access,
        work: &mut Work<'_>,
        created: bool,
    ) -> Result<(), JobError> {
        if work.failure.is_none()
            && let Some(broken) = &order.database.head.broken
        {
            work.fail(broken.failure.clone());
        }
        let layout = &order.database.layout;
        let pending = seed::pending(layout.seed_on, created, &order.database.head.seeds, &work.seeded);
        if !pending.is_empty() {
            // A seed that misses what a migration lost would be blamed for it.
            self.verify(order, access, work, work.wanted.len()).await?;
            self.seed(access, work, &pending).await?;
        }
        let verify = self.verify(order, access, work, work.wanted.len());
        let (verified, held) = tokio::join!(verify, self.ensure_held());
        held?;
        verified?;
        let wrote_for = work.migrate + work.seed;
        let had_no_time = work
            .began_with_bytes
            .is_some_and(|bytes| self.engine.limits().cannot_be_outgrown(bytes, wrote_for));
        if !had_no_time && self.engine.has_outgrown(&access.database).await? {
            let directory = &order.database.layout.migrations;
            let size = self.engine.limits().size_megabytes;
            let message = format!("the database is larger than the {size} MB that a branch may have");
            let failure = Failure::of_file(FailureKind::Verification, directory, directory, message);
            work.fail(failure.with_hint(
                "Load less, or ask the operator for more (OFFSHOOT_SIZE_LIMIT). A reset brings an empty one.",
            ));
        }
        Ok(())
    }

    /// Compares what the database says of itself, in a session of its own, with the first of the wanted migrations, which were run.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn verify(
        &self,
        order: &Order<'_>,
        access: &Access,
        work: &mut Work<'_>,
        count: usize,
    ) -> Result<(), JobError> {
        let rows = match self.read_ledger(access, work).await {
            Ok(rows) => rows,
            Err(ReplayError::Author { mut failure, .. }) => {
                failure.file.clone_from(&order.database.layout.migrations);
                work.fail(*failure);
                return Ok(());
            }
            Err(ReplayError::Engine(error)) => return Err(error.into()),
        };
        if let Err(mut failure) = bookkeeping::verify(&rows, &Chain::of(&work.wanted[..count])) {
            let blamed = work.wanted.iter().find(|file| file.migration.name == failure.migration);
            failure.file =
                blamed.map_or_else(|| order.database.layout.migrations.clone(), |file| file.path.clone());
            work.fail(*failure);
        }
        if work.failure.is_some() {
            // What was run before a failure may be undone all the same, where a file leaves its transaction open.
            let stands =
                |migration: &Migration| rows.iter().any(|row| row.finished && row.migration == *migration);
            work.applied.retain(|applied| stands(&applied.migration()));
        }
        Ok(())
    }

    /// Takes the live database on from where it stands: the rest of the chain, then the seeds that changed. Its data stays.
    pub(super) async fn in_place(
        &self,
        order: &Order<'_>,
        branch: &Branch,
        mut work: Work<'_>,
        range: Range<usize>,
    ) -> Result<Branch, JobError> {
        self.leave_queue(branch).await?;
        let client = self.store.client().await?;
        let credentials = branches::credentials(&client, self.store.vault(), branch.id).await?;
        drop(client);
        let names = Self::place(branch)?;
        let access = names.access(&credentials.password);
        work.came_with(range.start);
        work.remember_durations(branch);
        work.seeded = branch.seeded.clone();
        if !range.is_empty() {
            self.replay(&access, &mut work, range).await?;
        }
        self.finish(order, &access, &mut work, false).await?;
        if work.failure.is_none() {
            self.engine.identify(&names.database, &order.identity(branch.generation)).await?;
        }
        self.settle(order, branch, work, None, true).await
    }
}

impl Work<'_> {
    /// The pull request's own migrations that were run by an earlier push keep their times.
    fn remember_durations(&mut self, branch: &Branch) {
        for applied in &mut self.applied {
            let run = branch.applied.iter().find(|old| old.migration() == applied.migration());
            applied.duration_ms = run.and_then(|old| old.duration_ms);
        }
    }
}
