//! The branch server: layers, instances and what is run in them. All SQL that the branch server sees from Offshoot is here.

mod blame;
mod bookkeeping;
mod capacity;
mod clone;
mod discard;
mod error;
mod failure;
mod fingerprint;
mod fork;
mod guard;
mod hints;
mod ident;
mod identity;
mod instance;
mod inventory;
mod layer;
mod making;
mod publish;
mod replay;
mod roles;
mod room;
mod seed;
mod server;
mod session;
mod takeover;
mod warm;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::{Object, Pool};
use tokio_postgres::Client;

pub use blame::Resource;
pub use bookkeeping::Ledger;
pub use capacity::Capacity;
pub use clone::{CloneCost, CloneMethod, CloneMethods, Extent};
pub use error::{EngineError, ErrorKind};
pub use failure::ReplayError;
pub use fork::{ForkSession, ForkSpec};
pub use guard::Ended;
pub use ident::{Ident, InvalidIdent, Literal};
pub use identity::{Identity, Subject, fork_name, instance_name, trash_name};
pub use instance::{Access, InstanceNames, InstanceSpec, Source};
pub use inventory::DatabaseRecord;
pub use layer::{LayerLock, LayerNames};
pub use publish::Place;
pub use replay::Step;
pub use server::Server;

use crate::domain::room::Floor;
use crate::postgres::{self, Endpoint};
use crate::secret::Secret;

/// Begins SQL that lasts with whatever is made to last next on the same server, and does not wait for the disk itself.
const LASTING_WITH_NEXT: &str = "SET LOCAL synchronous_commit = off; ";
/// No setting of a branch's role or SQL in it can name what an administrator's session there means.
const ADMINISTRATOR_OPTIONS: &str =
    "-c search_path=pg_catalog -c row_security=off -c plan_cache_mode=force_generic_plan";

#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// A superuser's URL of the branch server; its database is only for administration.
    pub administrator_url: Secret,
    /// `host:port` in branch URLs, where clients reach the server by another way than we do.
    pub address: Option<String>,
    /// The name of the control database where it is on the same server, to close it to branches.
    pub control_database: Option<String>,
    pub limits: Limits,
    /// What a repository's configuration may ask to have created by the administrator.
    pub allowed_extensions: Vec<String>,
    /// What new databases leave free of the server's disk.
    pub floor: Floor,
    /// Sessions for administration at the same time.
    pub pool_size: usize,
    /// Whether the control database is on this server: what is committed there afterwards carries along what was committed here before.
    pub shares_control_server: bool,
}

/// What a pull request's SQL may use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub statement_timeout: Duration,
    /// How long a statement waits for another's lock.
    pub lock_timeout: Option<Duration>,
    pub idle_in_transaction: Duration,
    /// Sessions at the same time, of the branch's role and of its reader each.
    pub connections: u32,
    /// Megabytes of temporary files of one session.
    pub temp_file_megabytes: u32,
    /// Megabytes of a branch's database on disk.
    pub size_megabytes: u32,
    /// For all migrations, or all seeds, of one run together.
    pub job_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_timeout: Duration::from_secs(60),
            lock_timeout: Some(Duration::from_secs(10)),
            idle_in_transaction: Duration::from_secs(300),
            connections: 20,
            temp_file_megabytes: 1024,
            size_megabytes: 10 * 1024,
            job_timeout: Duration::from_secs(300),
        }
    }
}

/// The branch server, through an administrator's pool and sessions of the branches' own roles.
#[derive(Debug, Clone)]
pub struct Engine {
    administrator: Endpoint,
    address: String,
    /// Databases that are never a branch's.
    reserved: Vec<String>,
    limits: Limits,
    /// Sessions of all branches together.
    connections: u32,
    allowed_extensions: Vec<String>,
    pool: Pool,
    server: Server,
    cloning: clone::Cloning,
    makers: making::Makers,
    warm: warm::Warm,
    shares_control_server: bool,
    room: room::Room,
    /// When the server that we last knew was started. Clones share it.
    started_at: Arc<Mutex<DateTime<Utc>>>,
}

impl Engine {
    /// Connects, checks that the server will do, and closes its own databases to branches.
    pub async fn connect(settings: EngineSettings) -> Result<Self, EngineError> {
        let administrator = Endpoint::parse(&settings.administrator_url)?.with_options(ADMINISTRATOR_OPTIONS);
        let client = administrator.connect().await?;
        let server = Server::read(&client).await?;
        let maintenance = administrator.database().map(str::to_owned);
        server::found_readers(&client).await?;
        server::harden(&client, settings.control_database.as_deref()).await?;
        let started_at = started_at(&client).await?;
        let connections = capacity::for_branches(capacity::room(&client).await?);
        let mut limits = settings.limits.clone();
        limits.connections = capacity::share(connections, limits.connections);
        if limits.connections < settings.limits.connections {
            tracing::info!(
                asked = settings.limits.connections,
                limit = limits.connections,
                "the branch server has too few connections for the limit of a branch's; it is lowered"
            );
        }
        let mut reserved = ["postgres", "template0", "template1"].map(str::to_owned).to_vec();
        reserved.extend(maintenance.into_iter().chain(settings.control_database));
        Ok(Self {
            address: settings.address.unwrap_or_else(|| administrator.address()),
            pool: administrator.pool(settings.pool_size),
            administrator,
            reserved,
            limits,
            connections,
            allowed_extensions: settings.allowed_extensions,
            cloning: clone::Cloning::new(server.clone_methods()),
            room: room::Room::new(settings.floor),
            server,
            makers: making::Makers::default(),
            warm: warm::Warm::default(),
            shares_control_server: settings.shares_control_server,
            started_at: Arc::new(Mutex::new(started_at)),
        })
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Answers if the branch server does.
    pub async fn ping(&self) -> Result<(), EngineError> {
        let client = self.client("ask whether it is there").await?;
        client.batch_execute("SELECT 1").await.map_err(EngineError::refused("ask whether it is there"))
    }

    /// The URL by which clients reach a database as a role.
    pub fn url(&self, access: &Access) -> Secret {
        let Access { database, role, password } = access;
        let mode = if self.administrator.requires_tls() { "?sslmode=require" } else { "" };
        Secret::new(format!("postgres://{role}:{}@{}/{database}{mode}", password.expose(), self.address))
    }

    /// Ends the administrator's sessions, so that the server can stop without cutting them off.
    pub fn end_sessions(&self) {
        self.pool.close();
        self.makers.end_all();
    }

    /// Ends the administrator's sessions that a burst left.
    pub fn shed_idle_sessions(&self) {
        postgres::shed_idle(&self.pool);
        self.makers.shed_idle();
    }

    /// Begins SQL whose effect is recorded in the control database afterwards. Where both share a server they share its log, and the record makes
    /// the effect last with it; elsewhere it waits for the disk itself.
    fn lasting_later(&self) -> &'static str {
        if self.shares_control_server { LASTING_WITH_NEXT } else { "" }
    }

    /// An administrator's session on the maintenance database.
    async fn client(&self, doing: &str) -> Result<Object, EngineError> {
        self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(source) => EngineError::refused(doing)(source),
            source => EngineError::Pool { doing: doing.to_owned(), source },
        })
    }

    /// An administrator's session in another database.
    async fn client_in(&self, database: &Ident) -> Result<Client, EngineError> {
        Ok(self.administrator.with_database(database.as_str()).connect().await?)
    }

    /// Whether the server that we last knew still runs and takes connections, so that a session that ended was ended on purpose. One that
    /// was started again since is known from then on: whoever asks next asks about a session there.
    async fn is_still_up(&self) -> bool {
        let Ok(client) = self.administrator.connect().await else { return false };
        let Ok(now) = started_at(&client).await else { return false };
        // No code panics while it holds the lock.
        let mut known = self.started_at.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, now) == now
    }
}

async fn started_at(client: &Client) -> Result<DateTime<Utc>, EngineError> {
    let doing = "ask when the branch server was started";
    let row = client.query_one("select pg_catalog.pg_postmaster_start_time() as at", &[]).await;
    Ok(row.map_err(EngineError::refused(doing))?.get("at"))
}

#[cfg(test)]
mod tests;
