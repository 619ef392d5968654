//! Sessions that wait in the spares which are next: to connect, and to read a catalogue for the first time, takes longer than a small migration.
//!
//! They are opened before any of a pull request's SQL has run in the database, and each serves one replay. Where there is none, as after a
//! restart or on another replica, a replay connects, and ends those that wait for somebody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::Engine;
use super::bookkeeping::Ledger;
use super::error::EngineError;
use super::instance::Access;
use super::replay::before_replays_of_spares;
use super::roles::Login;
use super::session::Session;
use crate::postgres::Watched;

/// Spares with sessions in them, of all layers together: each holds two of the server's connections.
const MOST: usize = 8;
/// A session that does not answer in so long is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// What migrations mostly do, with their rows in the bookkeeping, and then undone: whatever a session does for the first time, it reads the
/// catalogues for.
const REHEARSAL: &str = r#"BEGIN;
    INSERT INTO "_prisma_migrations" ("id", "checksum", "started_at", "migration_name")
        SELECT '', '', coalesce(pg_catalog.max("started_at"), pg_catalog.now()), '' FROM "_prisma_migrations";
    UPDATE "_prisma_migrations" SET "applied_steps_count" = "applied_steps_count" + 1, "finished_at" = "started_at" WHERE "id" = '';
    SET CONSTRAINTS ALL IMMEDIATE;
    CREATE TYPE _offshoot_rehearsal_kind AS ENUM ('a');
    CREATE TABLE _offshoot_rehearsal (id SERIAL PRIMARY KEY, kind _offshoot_rehearsal_kind NOT NULL DEFAULT 'a', at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
    CREATE INDEX _offshoot_rehearsal_at ON _offshoot_rehearsal (at);
    ALTER TABLE _offshoot_rehearsal ADD COLUMN parent INTEGER;
    ALTER TABLE _offshoot_rehearsal ADD CONSTRAINT _offshoot_rehearsal_parent FOREIGN KEY (parent) REFERENCES _offshoot_rehearsal (id) ON DELETE CASCADE;
    ROLLBACK"#;

/// The sessions that wait, by their databases' names. Clones of an engine share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Warm {
    waiting: Arc<Mutex<HashMap<String, Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    replay: Option<Ready>,
    ledger: Option<Ledger>,
}

/// A session in which a replay may begin at once, and what the role's login was when it was opened.
#[derive(Debug)]
struct Ready {
    session: Watched,
    process: i32,
    login: Login,
}

impl Waiting {
    fn is_closed(&self) -> bool {
        self.replay.as_ref().is_none_or(|ready| ready.session.client.is_closed())
            || self.ledger.as_ref().is_none_or(Ledger::is_closed)
    }
}

impl Warm {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        // No code panics while it holds the lock, and a map is whole after each of its steps.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session for reading the bookkeeping, if one waits.
    pub(super) fn ledger(&self, database: &str) -> Option<Ledger> {
        let mut waiting = self.lock();
        let found = waiting.get_mut(database)?.ledger.take();
        if waiting.get(database).is_some_and(|rest| rest.replay.is_none()) {
            waiting.remove(database);
        }
        found.filter(|ledger| !ledger.is_closed())
    }

    /// Forgets what the role's login was: it is about to be changed.
    pub(super) fn forget(&self, database: &str) {
        self.lock().remove(database);
    }
}

impl Engine {
    /// Opens sessions in a spare that is next to become a branch's, unless there are some, or enough elsewhere.
    pub async fn warm_up(&self, access: &Access) -> Result<(), EngineError> {
        {
            let waiting = self.warm.lock();
            if waiting.contains_key(&access.database) || waiting.len() >= MOST {
                return Ok(());
            }
        }
        let deadline = Instant::now() + PATIENCE;
        let login = self.login(access).await?;
        // Where another replica's session waits already, that is enough.
        let (session, begun) = self.session_after(access, deadline, &before_replays_of_spares()).await?;
        begun.map_err(EngineError::refused(format!("begin a session in {:?}", access.database)))?;
        let rehearsed = session.bounded(async {
            match session.client.batch_execute(REHEARSAL).await {
                Ok(()) => Ok(()),
                // What cannot be done there is the migrations' to be told.
                Err(_) => session.client.batch_execute("ROLLBACK").await,
            }
        });
        // Triggers on the bookkeeping may take their time, and a server that has other things to do.
        let Some(ended) = rehearsed.await? else { return Ok(()) };
        ended.map_err(EngineError::refused(format!("end a rehearsal in {:?}", access.database)))?;
        let ledger = self.ledger(access).await?;
        // What it reads first stays in its caches. What it says is asked again.
        if ledger.rows().await.is_err() {
            return Ok(());
        }
        let (session, process) = session.into_parts();
        let ready = Ready { session, process, login };
        let waiting = Waiting { replay: Some(ready), ledger: Some(ledger) };
        self.warm.lock().insert(access.database.clone(), waiting);
        Ok(())
    }

    /// A session that waits for a replay, with what the role's login was.
    pub(super) fn warm_session(&self, access: &Access, deadline: Instant) -> Option<(Login, Session<'_>)> {
        let mut waiting = self.warm.lock();
        let found = waiting.get_mut(&access.database)?.replay.take();
        if waiting.get(&access.database).is_some_and(|rest| rest.ledger.is_none()) {
            waiting.remove(&access.database);
        }
        let Ready { session, process, login } = found.filter(|ready| !ready.session.client.is_closed())?;
        Some((login, Session::new(self, access, session, process, deadline)))
    }

    /// Gives up the sessions that no longer answer, so that nobody waits for one that was cut off.
    pub async fn tend_warm_sessions(&self) {
        let taken: Vec<(String, Waiting)> = self.warm.lock().drain().collect();
        let asked = taken.into_iter().map(|(database, waiting)| async move {
            if waiting.is_closed() {
                return None;
            }
            let (Some(ready), Some(ledger)) = (&waiting.replay, &waiting.ledger) else { return None };
            let answers = async { tokio::try_join!(ready.session.client.batch_execute(""), ledger.ping()) };
            timeout(PATIENCE, answers).await.is_ok_and(|asked| asked.is_ok()).then_some((database, waiting))
        });
        let alive = join_all(asked).await;
        self.warm.lock().extend(alive.into_iter().flatten());
    }
}
