//! Making databases: empty ones, and clones of others by the method that is the fastest here.

mod calibrate;
mod method;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_postgres::Client;

pub use method::{CloneCost, CloneMethod, CloneMethods, Extent};

use super::ident::Ident;
use super::instance::Source;
use super::{Engine, EngineError, room};

/// The server's lock of clones that are large. Names of databases, which the locks of their making are made of, hold no such blank.
pub(super) const LARGE_CLONES: &str =
    "select pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('large clones', 1))";
pub(super) const LARGE_CLONES_END: &str =
    "select pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended('large clones', 1))";

/// A server that waits for a lock or copies files does not see by itself that nobody waits for it any more, and keeps what it holds: for hours, where a
/// machine went without a word.
const NOTICE_WHO_IS_GONE: &str = "set client_connection_check_interval = '5s'; set tcp_keepalives_idle = '15s'; \
                                  set tcp_keepalives_interval = '5s'; set tcp_keepalives_count = 3";

/// Clones that this process makes at a time. Each keeps a processor of the server and its disk busy: with 64 at once, two processors made two thirds
/// of the databases that they make with eight, on three file systems.
const AT_ONCE: usize = 6;

/// What is known of cloning on this server, shared by all who clone. Kept in memory: a server that moved to another file
/// system is another one, and measuring it again takes a second or two in the background.
#[derive(Debug, Clone)]
pub(super) struct Cloning {
    state: Arc<Mutex<State>>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    methods: CloneMethods,
    running: usize,
    begun: u64,
}

/// A clone under way. Its time counts only if no other was under way: else it would be the queue's.
struct Running<'c> {
    cloning: &'c Cloning,
    /// Which it was, if it began alone.
    alone: Option<u64>,
}

impl Cloning {
    pub(super) fn new(methods: &[CloneMethod]) -> Self {
        let state = State { methods: CloneMethods::new(methods), running: 0, begun: 0 };
        Self { state: Arc::new(Mutex::new(state)), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Running<'_> {
        let mut state = self.state();
        state.running += 1;
        state.begun += 1;
        Running { cloning: self, alone: (state.running == 1).then_some(state.begun) }
    }
}

impl Running<'_> {
    fn was_alone(&self) -> bool {
        self.alone == Some(self.cloning.state().begun)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.cloning.state().running -= 1;
    }
}

impl Engine {
    /// The server's methods with what was measured so far.
    pub fn clone_methods(&self) -> CloneMethods {
        self.cloning.state().methods.clone()
    }

    /// Makes a database that only an administrator gets into (`CONNECTION LIMIT 0`), until PUBLIC has lost what every new database grants it.
    pub(super) async fn create_database(
        &self,
        client: &Client,
        database: &Ident,
        source: Source<'_>,
    ) -> Result<(), EngineError> {
        match source {
            Source::Empty => {
                let _promised = self.promise(room::EMPTY).await?;
                let sql = format!(
                    "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' CONNECTION LIMIT 0"
                );
                let refused = EngineError::refused(format!("create the database {database}"));
                client.batch_execute(&sql).await.map_err(refused)
            }
            Source::Layer(layer) => self.clone_database(client, database, &layer.database).await,
        }
    }

    /// A clone of a database in which nobody has a session, as `create_database` makes one. Never begun where it would not fit.
    /// Leaves `file_copy_method` set in the session.
    pub(super) async fn clone_database(
        &self,
        client: &Client,
        database: &Ident,
        template: &Ident,
    ) -> Result<(), EngineError> {
        let refused = || EngineError::refused(format!("create the database {database}"));
        let extent = extent(client, template).await.map_err(refused())?;
        loop {
            let (method, writes) = {
                let state = self.cloning.state();
                let method = state.methods.choose(extent);
                (method, room::writes(&state.methods, method, extent.bytes))
            };
            let cloned = async {
                // Nobody closes it. A clone that was given up may go on on the server beside those that come after it.
                let _place = self.cloning.places.acquire().await.ok();
                let _promised = self.promise(writes).await?;
                Ok(self.clone_by(client, database, template, method, extent).await)
            };
            let cloned = match self.is_large(writes).await? {
                true => self.one_at_a_time(client, cloned).await?,
                false => cloned.await?,
            };
            match cloned {
                Err(error) if is_refused(&error) && self.cloning.state().methods.rule_out(method) => {
                    tracing::warn!(%method, %error, "files cannot be copied this way here; doing without it from now on");
                }
                outcome => return outcome.map_err(refused()),
            }
        }
    }

    /// Large clones of all replicas go one after the other, each by the disk as the one before left it. The lock dies with its session, which goes on
    /// to the clone's end where only its job was given up, and ends within a minute where its process or its machine is gone.
    async fn one_at_a_time<T>(
        &self,
        client: &Client,
        clone: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let refused = || EngineError::refused("wait for another large clone");
        if let Err(error) = client.batch_execute(NOTICE_WHO_IS_GONE).await {
            tracing::debug!(%error, "the branch server does not look whether its client is there");
        }
        client.execute(LARGE_CLONES, &[]).await.map_err(refused())?;
        let done = async {
            self.capacity().await?;
            clone.await
        };
        let done = done.await;
        let unlocked = client.execute(LARGE_CLONES_END, &[]).await.map_err(refused());
        let done = done?;
        unlocked.map(|_| done)
    }

    /// Clones by this method, and learns from how long it took.
    pub(super) async fn clone_by(
        &self,
        client: &Client,
        database: &Ident,
        template: &Ident,
        method: CloneMethod,
        extent: Extent,
    ) -> Result<(), tokio_postgres::Error> {
        let running = self.cloning.begin();
        let began = Instant::now();
        let strategy = self.server.strategy(method);
        let create = format!("CREATE DATABASE {database} TEMPLATE {template} {strategy} CONNECTION LIMIT 0");
        match self.server.file_copy_method(method) {
            Some(value) => {
                let set = format!("SET file_copy_method = {value}");
                // Sent together, in this order: two messages, because CREATE DATABASE must be alone in its own.
                let (set, created) =
                    tokio::join!(biased; client.batch_execute(&set), client.batch_execute(&create));
                created.and(set)?;
            }
            None => client.batch_execute(&create).await?,
        }
        if running.was_alone() {
            self.cloning.state().methods.record(method, extent, began.elapsed());
        }
        Ok(())
    }
}

/// What the database takes up on the disk. The files of one in a tablespace of its own are not counted.
async fn extent(client: &Client, database: &Ident) -> Result<Extent, tokio_postgres::Error> {
    let sql = "select pg_catalog.pg_database_size(oid) as bytes,
                   (select count(*) from pg_catalog.pg_ls_dir('base/' || oid::text, true, false)) as files
               from pg_catalog.pg_database where datname = $1::text::name";
    let row = client.query_one(sql, &[&database.as_str()]).await?;
    Ok(Extent { bytes: row.get("bytes"), files: row.get("files") })
}

/// What copying files says where the file system cannot do it, and not where it is full (class 53).
fn is_refused(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        let message = db.message();
        (message.contains("could not clone") || message.contains("could not copy"))
            && !db.code().code().starts_with("53")
    })
}
