//! Running migrations as `prisma migrate deploy` does: one session of the branch's own role, Prisma's lock, each file whole as
//! one message, and its row in the bookkeeping table before and after, in that same session, whatever the file did to it. Rows
//! that nobody can miss meanwhile are written together.

mod rows;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use self::rows::{Begun, Clock};
use super::Engine;
use super::error::{EngineError, is_passing};
use super::failure::{ReplayError, Script, log_text};
use super::identity::is_unpublished;
use super::instance::Access;
use super::roles::Login;
use super::session::{Answers, Ended, Session};
use crate::domain::branch::AppliedMigration;
use crate::domain::chain::{Migration, MigrationFile};
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::prisma::{CREATE_TABLE, LOCK, TAKE_LOCK};
use crate::domain::sql::{Effect, effect_on};

/// As long as Prisma waits for its lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// From so many migrations on it pays to ask whether their rows may be written down together.
const MANY: usize = 16;
/// How long it may take to write down what ran before a session was ended.
const LAST_ROWS: Duration = Duration::from_secs(10);
/// How far a replay has come.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    Begun(&'a Migration),
    Applied(&'a AppliedMigration),
}

impl Engine {
    /// Runs migrations in their order. Those before a failure stay applied, as with Prisma; what the files say is only believed
    /// after a look at the bookkeeping table in a session of its own.
    pub async fn replay(
        &self,
        access: &Access,
        files: &[MigrationFile],
        observe: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<Vec<AppliedMigration>, ReplayError> {
        let deadline = tokio::time::Instant::now() + self.limits().job_timeout;
        let (before, session) = match self.warm_session(access, deadline) {
            Some(waiting) => waiting,
            None => self.begin_replay(access, deadline).await?,
        };
        // Prisma reads files this way too: what is not UTF-8 becomes U+FFFD.
        let texts: Vec<_> = files.iter().map(|file| String::from_utf8_lossy(&file.bytes)).collect();
        // Whoever is killed here throws away what it made; a database that is in use already is taken on from what is on record.
        let may_wait = files.len() >= MANY && is_unpublished(&access.database);
        let rows = if may_wait { Rows::AtOnceYet } else { Rows::AtOnce };
        let applied = Vec::with_capacity(files.len());
        let mut run = Run { applied, behind: Vec::new(), running: None, rows };
        let outcome = session.apply_all(files, &texts, &mut run, observe).await;
        if let Err(error) = &outcome
            && run.rows == Rows::Later
            && !self.catch_up(access, &session, &mut run, error).await
        {
            // What ran is not on record: nobody may take this database on.
            let doing = format!("record what ran in {:?}", access.database);
            return Err(EngineError::Lost { doing }.into());
        }
        drop(session);
        let applied = run.applied;
        match outcome {
            Ok(()) => {
                self.restore_login_unless(access, &before).await?;
                Ok(applied)
            }
            Err(ReplayError::Author { failure, .. }) => Err(ReplayError::Author { failure, applied }),
            Err(error) => Err(error),
        }
    }

    /// Writes down what had ended well before something failed, and that; in a session of its own where that one was ended. False where it could not.
    async fn catch_up(
        &self,
        access: &Access,
        session: &Session<'_>,
        run: &mut Run<'_>,
        error: &ReplayError,
    ) -> bool {
        let Some(rows) = run.due() else { return true };
        if let Ok(Some(Ok(()))) = session.bounded(session.client.batch_execute(&rows)).await {
            if let (Some(running), ReplayError::Author { failure, .. }) = (&run.running, error) {
                _ = session.log(running.id, failure).await;
            }
        } else {
            let deadline = tokio::time::Instant::now() + LAST_ROWS;
            let Ok(other) = self.session(access, deadline).await else { return false };
            if other.send(&rows).await.is_err() {
                return false;
            }
        }
        run.settle_behind();
        true
    }

    /// The role's login, and a session that has begun with it as Offshoot makes it.
    async fn begin_replay(
        &self,
        access: &Access,
        deadline: tokio::time::Instant,
    ) -> Result<(Login, Session<'_>), ReplayError> {
        let (before, session) = tokio::join!(self.login(access), self.replay_session(access, deadline));
        let (before, session) = (before?, session);
        if before.is_as_made(self.limits()) {
            return Ok((before, session?));
        }
        // Whoever has the URL can have every session of the role begin as one that may not write.
        drop(session);
        self.restore_login(access).await?;
        Ok((self.login(access).await?, self.replay_session(access, deadline).await?))
    }

    /// A session that has Prisma's lock, in a database that has its table. Prisma makes the table even when there is nothing to apply.
    async fn replay_session(
        &self,
        access: &Access,
        deadline: tokio::time::Instant,
    ) -> Result<Session<'_>, ReplayError> {
        let both = before_replays();
        let first = if is_unpublished(&access.database) { before_replays_of_spares() } else { both.clone() };
        for (may_make_way, sql) in [(true, first), (false, both)] {
            let begun = tokio::time::timeout(LOCK_WAIT, self.session_after(access, deadline, &sql)).await;
            match begun.ok().transpose()? {
                Some((session, Ok(()))) => return Ok(session),
                Some((session, Err(error))) if !is_awaited_in_vain(&error) => {
                    session.prepare(access).await?;
                    return Ok(session);
                }
                // Whoever has the branch's URL can hold Prisma's lock for ever. The role's own `lock_timeout` may end the wait before we do.
                Some(_) | None if may_make_way => self.end_holders_of_lock(access).await?,
                Some(_) | None => {}
            }
        }
        Err(EngineError::TimedOut { doing: taking_lock(access) }.into())
    }

    /// Ends the sessions that hold Prisma's lock, or wait for it: the branch's reader can take it as well.
    async fn end_holders_of_lock(&self, access: &Access) -> Result<(), EngineError> {
        let doing = format!("end the sessions that hold Prisma's lock in {:?}", access.database);
        let client = self.client(&doing).await?;
        // Waits for each of them to be gone, half a second at most.
        let end = "select pg_catalog.pg_terminate_backend(l.pid, 500)
                   from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database
                   where d.datname = $1::text::name and l.locktype = 'advisory'
                     and (l.classid, l.objid, l.objsubid) = (0, $2::bigint::oid, 1)";
        client.execute(end, &[&access.database, &LOCK]).await.map(drop).map_err(EngineError::refused(doing))
    }
}

fn taking_lock(access: &Access) -> String {
    format!("take Prisma's lock in {:?}", access.database)
}

/// Whether the server gave up waiting for another session.
fn is_awaited_in_vain(error: &Error) -> bool {
    error.code().is_some_and(|code| [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(code))
}

/// Brings a session that has begun to where a migration may run.
pub(super) fn before_replays() -> String {
    format!("{TAKE_LOCK}; {CREATE_TABLE}")
}

/// The same in a spare, where nobody has Prisma's lock but a session that waits there for another replica: it is not waited for.
pub(super) fn before_replays_of_spares() -> String {
    format!("SET lock_timeout = '100ms'; {}; RESET lock_timeout", before_replays())
}

/// A migration that ran, and whose end is not on record yet.
struct Ran<'a> {
    begun: Begun<'a>,
    finished_at: DateTime<Utc>,
    /// Whether its beginning is.
    is_on_record: bool,
    script: Script<'a>,
    applied: AppliedMigration,
}

/// How far a replay is.
struct Run<'a> {
    applied: Vec<AppliedMigration>,
    /// What ran since, in its order.
    behind: Vec<Ran<'a>>,
    /// The one whose text was sent without its row.
    running: Option<Begun<'a>>,
    rows: Rows,
}

/// When the rows of files are written that cannot tell the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// Before and after each file.
    AtOnce,
    /// The same until it is asked whether they may be written together.
    AtOnceYet,
    /// Together, behind many files.
    Later,
}

impl Run<'_> {
    /// What ran is on record.
    fn settle_behind(&mut self) {
        self.applied.extend(self.behind.drain(..).map(|ran| ran.applied));
    }

    /// Puts on record what is not: the end of what began there, and whole rows of the rest, which does no harm if they are there. None where nothing ran.
    fn due(&self) -> Option<String> {
        let unless_there = if self.rows == Rows::Later { r#" AND "finished_at" IS NULL"# } else { "" };
        let ends = self.behind.iter().filter(|ran| ran.is_on_record);
        let ends = ends.map(|ran| rows::end(&ran.begun, ran.finished_at) + unless_there);
        let later = self.behind.iter().filter(|ran| !ran.is_on_record);
        let later = later.map(|ran| (&ran.begun, Some(ran.finished_at)));
        let whole = rows::whole(later.chain(self.running.iter().map(|begun| (begun, None))));
        let due: Vec<String> = ends.chain(whole).collect();
        (!due.is_empty()).then(|| due.join("; "))
    }
}

/// How a text ended, and after how long.
struct Outcome {
    took: Duration,
    ended: Result<usize, Ended>,
}

impl Session<'_> {
    /// Prisma's lock, then its table, one after the other, to tell which of the two is refused.
    async fn prepare(&self, access: &Access) -> Result<(), ReplayError> {
        let doing = taking_lock(access);
        let taken = tokio::time::timeout(LOCK_WAIT, self.client.batch_execute(TAKE_LOCK)).await;
        taken
            .map_err(|_| EngineError::TimedOut { doing: doing.clone() })?
            .map_err(EngineError::refused(doing))?;
        let Err(error) = self.client.batch_execute(CREATE_TABLE).await else { return Ok(()) };
        match error.as_db_error() {
            // An earlier migration dropped schema `public`, or took the right to create in it away.
            Some(refused) if !is_passing(refused.code().code()) => {
                let message = format!("Prisma's bookkeeping table cannot be made: {}", refused.message());
                Err(Failure::of_file(FailureKind::Verification, "_prisma_migrations", "", message).into())
            }
            _ => {
                Err(EngineError::refused(format!("make Prisma's table in {:?}", access.database))(error)
                    .into())
            }
        }
    }

    /// Two messages for each file: its text, and before it the row of the file before with its own. Where the server is sure to refuse the text
    /// if it refused the rows, both go at once: it never waits for us between two files, and as with Prisma nothing runs without its row.
    ///
    /// Of many files that cannot tell the difference only the texts are sent, and their rows together behind them.
    async fn apply_all<'f>(
        &self,
        files: &'f [MigrationFile],
        texts: &'f [Cow<'f, str>],
        run: &mut Run<'f>,
        observe: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), ReplayError> {
        let mut clock = Clock::start();
        for (file, text) in files.iter().zip(texts) {
            let migration = &file.migration;
            let script =
                Script { kind: FailureKind::Migration, name: &migration.name, path: &file.path, text };
            let begun = Begun { id: Uuid::new_v4(), started_at: clock.tick(), migration };
            observe(Step::Begun(migration));
            let effect = match run.rows {
                Rows::AtOnce => Effect::Any,
                Rows::AtOnceYet | Rows::Later => effect_on(text, "_prisma_migrations"),
            };
            if effect == Effect::None && run.rows == Rows::AtOnceYet && self.transaction.is_idle() {
                run.rows = self.may_wait(run).await?;
            }
            let later = effect == Effect::None && run.rows == Rows::Later;
            let outcome = if later {
                run.running = Some(begun);
                self.timed(&script).await
            } else {
                // Whoever may look at the rows finds them as Prisma leaves them.
                let due = run.behind.last().map(|ran| ran.script).zip(run.due());
                let (rows, outcome) = self.turn_over(due, &script, &clock.began(&begun)).await?;
                clock.answered(rows);
                run.settle_behind();
                if effect == Effect::Any && run.rows == Rows::Later {
                    run.rows = Rows::AtOnceYet;
                }
                outcome
            };
            let ran = self.settle(begun, &script, outcome, !later).await?;
            run.running = None;
            observe(Step::Applied(&ran.applied));
            run.behind.push(ran);
        }
        if let (Some(ran), Some(rows)) = (run.behind.last(), run.due()) {
            self.write_down(&ran.script, &rows).await?;
            run.settle_behind();
        }
        Ok(())
    }

    /// Rows may be written later where nobody but us does anything with the table, and the clock is not behind what is in it. What ran is put on record
    /// first.
    async fn may_wait(&self, run: &mut Run<'_>) -> Result<Rows, ReplayError> {
        let ask = rows::may_wait(Utc::now());
        let plain = match (run.behind.last(), run.due()) {
            (Some(ran), Some(due)) => {
                let plain = self.write_down(&ran.script, &format!("{due}; {ask}")).await?;
                run.settle_behind();
                plain
            }
            // Where there is no table, whoever needs it says so.
            _ => self.send(&ask).await.unwrap_or_default(),
        };
        Ok(if plain == 1 { Rows::Later } else { Rows::AtOnce })
    }

    /// Writes down that what ran last finished and that the next begins, and runs that one. Rows that are refused are written one after the other, to
    /// tell whose fault it is. With how many rows it was answered, and what became of the text.
    async fn turn_over(
        &self,
        due: Option<(Script<'_>, String)>,
        next: &Script<'_>,
        began: &str,
    ) -> Result<(usize, Outcome), ReplayError> {
        let (last, finished) = due.unzip();
        let blamed = last.unwrap_or(*next);
        let rows = finished.iter().map(String::as_str).chain([began]).collect::<Vec<_>>().join("; ");
        let (written, sent) = match self.transaction.is_idle() && next.needs_rows() {
            true => {
                let asked = self.ask(&rows::in_a_block(&rows)).await;
                let (at, answers) = (Instant::now(), self.ask(next.text).await);
                // In their order: the driver reads nothing for the second while much is left of the first.
                (self.hear(asked).await, Some((at, answers)))
            }
            false => (self.send(&rows).await, None),
        };
        let stop = match written {
            Ok(rows) => {
                let outcome = match sent {
                    Some((at, answers)) => Outcome { ended: self.hear(answers).await, took: at.elapsed() },
                    None => self.timed(next).await,
                };
                return Ok((rows, outcome));
            }
            Err(Ended::Lost(error)) => return Err(error.into()),
            Err(Ended::Stopped(stop)) if stop.by_deadline => {
                return Err(self.overrun(&blamed, usize::MAX).into());
            }
            Err(Ended::Stopped(stop)) => stop,
        };
        if let Some((_, answers)) = sent {
            self.take_back(next, answers).await?;
        }
        let is_gone = |ping: Option<Result<(), Error>>| matches!(ping, Some(Err(error)) if error.is_closed());
        if is_gone(self.bounded(self.client.batch_execute("")).await?) {
            // What the rows were refused with was the session's last word.
            return Err(self.unrecorded(&blamed, &stop.error).await);
        }
        if let (Some(last), Some(finished)) = (last, &finished) {
            self.write_down(&last, finished).await?;
        }
        let rows = self.write_down(next, began).await?;
        Ok((rows, self.timed(next).await))
    }

    /// Ends the block in which rows were refused, and with them the text that was sent behind it.
    async fn take_back(&self, next: &Script<'_>, answers: Answers) -> Result<(), ReplayError> {
        match self.hear(answers).await {
            Err(Ended::Stopped(stop)) if stop.error.is_closed() => Ok(()),
            Err(Ended::Stopped(stop)) if stop.is_at_first() && self.transaction.has_failed() => {
                self.bounded(self.client.batch_execute("ROLLBACK")).await.map(drop).map_err(Into::into)
            }
            Err(Ended::Lost(error)) => Err(error.into()),
            // The rows were refused at the block's end: what ran since has none.
            Ok(_) | Err(Ended::Stopped(_)) => {
                Err(EngineError::Lost { doing: format!("record {:?} as begun", next.name) }.into())
            }
        }
    }

    async fn timed(&self, script: &Script<'_>) -> Outcome {
        let began = Instant::now();
        let ended = self.send(script.text).await;
        Outcome { took: began.elapsed(), ended }
    }

    /// What a migration that ran comes to. What it failed of is written down as well, where its row is there.
    async fn settle<'a>(
        &self,
        begun: Begun<'a>,
        script: &Script<'a>,
        outcome: Outcome,
        is_on_record: bool,
    ) -> Result<Ran<'a>, ReplayError> {
        let ran = self.told(script, outcome.ended).await;
        if let Err(ReplayError::Author { failure, .. }) = &ran
            && is_on_record
        {
            self.log(begun.id, failure).await?;
        }
        ran?;
        let finished_at = Utc::now();
        let duration_ms = Some(outcome.took.as_secs_f64() * 1000.0);
        let Migration { name, checksum } = begun.migration;
        let applied = AppliedMigration { name: name.clone(), checksum: checksum.clone(), duration_ms };
        Ok(Ran { begun, finished_at, is_on_record, script: *script, applied })
    }

    /// In a session that is gone or in a failed transaction, Prisma cannot either, and the row stays without a text.
    async fn log(&self, id: Uuid, failure: &Failure) -> Result<(), EngineError> {
        let sql = rows::log(id, &log_text(failure));
        if let Some(Err(error)) = self.bounded(self.client.batch_execute(&sql)).await? {
            tracing::debug!(
                code = error.code().map(|code| code.code()),
                "the failure's text was not recorded"
            );
        }
        Ok(())
    }

    /// A statement of the bookkeeping, which fails by the fault of what ran in the session before it.
    async fn write_down(&self, script: &Script<'_>, sql: &str) -> Result<usize, ReplayError> {
        match self.send(sql).await {
            Err(Ended::Stopped(stop)) if !stop.by_deadline => Err(self.unrecorded(script, &stop.error).await),
            Err(Ended::Stopped(_)) => Err(self.overrun(script, usize::MAX).into()),
            Err(Ended::Lost(error)) => Err(error.into()),
            Ok(rows) => Ok(rows),
        }
    }

    async fn unrecorded(&self, script: &Script<'_>, error: &Error) -> ReplayError {
        if let Some(lost) = self.lost(error, script.path).await {
            return lost.into();
        }
        match error.as_db_error() {
            Some(refused) => script.unrecorded(refused).into(),
            None => EngineError::Lost { doing: format!("record {:?} as applied", script.name) }.into(),
        }
    }
}
