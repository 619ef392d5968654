//! Sessions that make and remove instances, each holding the lock of the one that it is at.
//!
//! One that is given up in the middle ends: on the server it goes on with what it was at, and holds the lock until that is done. One that came to its
//! end is kept for the next instance, because to open another takes longer than some of what is done in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::Engine;
use super::error::EngineError;
use super::ident::{Ident, Literal};
use super::instance::{InstanceNames, lock_making};

/// After this long without use a session was only a burst's.
const IDLE: Duration = Duration::from_secs(20);

/// Those that nobody uses, with when somebody did last. Clones of an engine share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Makers(Arc<Mutex<Vec<(Client, Instant)>>>);

impl Makers {
    fn lock(&self) -> MutexGuard<'_, Vec<(Client, Instant)>> {
        // Nothing that is done under it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shed_idle(&self) {
        self.lock().retain(|(_, used)| used.elapsed() < IDLE);
    }

    pub(super) fn end_all(&self) {
        self.lock().clear();
    }

    /// The one that was used last: it knows the most.
    fn take(&self) -> Option<Client> {
        let mut idle = self.lock();
        idle.retain(|(client, _)| !client.is_closed());
        idle.pop().map(|(client, _)| client)
    }
}

/// An administrator's session that holds the lock of an instance's making. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Making {
    client: Client,
    database: Ident,
    makers: Makers,
}

impl Making {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Gives the lock back, and the session to whoever makes an instance next.
    pub(super) async fn end(self) {
        let Self { client, database, makers } = self;
        // Where that fails, the lock goes with the session.
        if client.batch_execute(&unlock(&database)).await.is_ok() {
            makers.lock().push((client, Instant::now()));
        }
    }
}

/// Gives the lock of a database's making back.
pub(super) fn unlock(database: &Ident) -> String {
    format!(
        "SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended({}, 1));",
        Literal(database.as_str())
    )
}

impl Engine {
    /// A session that holds the lock of an instance's making; whoever removes the instance waits for it.
    pub(super) async fn instance_lock(&self, names: &InstanceNames) -> Result<Making, EngineError> {
        let making =
            |client| Making { client, database: names.database.clone(), makers: self.makers.clone() };
        if let Some(kept) = self.makers.take() {
            match lock_making(&kept, names).await {
                Ok(()) => return Ok(making(kept)),
                // It was cut off since it was used.
                Err(_) if kept.is_closed() => {}
                Err(error) => return Err(error),
            }
        }
        let session = self.administrator.connect().await?;
        lock_making(&session, names).await?;
        Ok(making(session))
    }
}
