//! The control database: what GitHub told, what is to be done, and what stands on the branch server. All of its SQL is here,
//! a module for each family of tables: `branches::find`, `jobs::claim`.
//!
//! Functions take a client; one that must be part of the caller's transaction takes that.

pub mod audit;
pub mod branches;
pub mod deliveries;
mod error;
pub mod figures;
pub mod forks;
pub mod instances;
pub mod jobs;
pub mod layer_checks;
pub mod layer_list;
pub mod layers;
mod listener;
pub mod objects;
mod page;
pub mod pulls;
mod query;
pub mod reports;
pub mod repositories;
pub mod retention;
mod schema;
pub mod sealed;
pub mod sessions;
pub mod snapshots;
pub mod stalled;
pub mod templates;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
pub mod tokens;

use deadpool_postgres::{Client, Pool, Transaction};

pub use error::StoreError;
pub use listener::{Event, Listener};
pub use page::{Page, PageRequest};

use crate::postgres::{self, ConnectError, Endpoint};
use crate::secret::{Secret, Vault};

/// Sessions that the whole process shares, for each of the two ways of committing. Each is held for the length of a statement or a short transaction, never while another is asked for, and
/// never while GitHub or the branch server is: one alone would do. More of them would make a burst wait, because to open one takes the server
/// longer than some ten statements.
const POOL_SIZE: usize = 8;

/// Statements are prepared once and find their rows by an index, whatever they are asked for: to plan them anew each time takes longer than to
/// run them.
const PLAN_ONCE: &str = "-c plan_cache_mode=force_generic_plan";

/// The control database, and the key to the credentials that it keeps.
#[derive(Debug, Clone)]
pub struct Store {
    endpoint: Endpoint,
    pool: Pool,
    /// Sessions of [`Store::working`].
    working: Pool,
    commits: Commits,
    vault: Vault,
    recent: objects::Recent,
}

/// A session in a transaction. Its end undoes that.
struct Unfinished(Option<Client>);

impl Unfinished {
    fn client(&self) -> &Client {
        self.0.as_ref().expect("it is there until the end")
    }

    fn finish(mut self) {
        // It goes back to its pool.
        drop(self.0.take());
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        drop(self.0.take().map(Client::take));
    }
}

/// Whether a commit waits until the server's disk has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commits {
    Durable,
    Working,
}

impl Store {
    /// The control database that a URL names. Nothing is connected yet: a server that is down is found at the first use.
    pub fn connect(url: &Secret, vault: Vault) -> Result<Self, ConnectError> {
        let endpoint = Endpoint::parse(url)?;
        let planned_once = endpoint.with_more_options(PLAN_ONCE);
        let pool = planned_once.pool(POOL_SIZE);
        let working = planned_once.with_more_options("-c synchronous_commit=off").pool(POOL_SIZE);
        Ok(Self { endpoint, pool, working, commits: Commits::Durable, vault, recent: objects::Recent::new() })
    }

    /// The same store for work that is done again where it is lost: its commits do not wait for the server's disk. A crash of the server, not
    /// of this process, takes back its last moments, in order; whatever is committed durably afterwards carries all before it along.
    pub fn working(&self) -> Self {
        Self { commits: Commits::Working, ..self.clone() }
    }

    /// The same store for what others are told of: a commit is on the server's disk when it returns.
    pub fn durable(&self) -> Self {
        Self { commits: Commits::Durable, ..self.clone() }
    }

    /// Brings the schema up to date; several processes may do so at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.endpoint).await
    }

    /// Whether the database answers with the schema that this version was built for.
    pub async fn schema_is_current(&self) -> Result<bool, StoreError> {
        schema::is_current(&self.endpoint).await
    }

    /// Ends the sessions, so that the server can stop without cutting them off.
    pub fn end_sessions(&self) {
        self.pool.close();
        self.working.close();
    }

    /// Ends the sessions that a burst left.
    pub fn shed_idle_sessions(&self) {
        postgres::shed_idle(&self.pool);
        postgres::shed_idle(&self.working);
    }

    /// A session from the pool.
    pub async fn client(&self) -> Result<Client, StoreError> {
        let pool = match self.commits {
            Commits::Durable => &self.pool,
            Commits::Working => &self.working,
        };
        Ok(pool.get().await?)
    }

    /// Begins a transaction on a session from the pool; dropped without [`Store::commit`], it is undone.
    pub async fn begin(client: &mut Client) -> Result<Transaction<'_>, StoreError> {
        client
            .transaction()
            .await
            .map_err(|source| StoreError::Database { doing: "begin a transaction", source })
    }

    /// Commits a transaction.
    pub async fn commit(tx: Transaction<'_>) -> Result<(), StoreError> {
        tx.commit().await.map_err(|source| StoreError::Database { doing: "commit a transaction", source })
    }

    /// Runs statements in one transaction that nobody waits to begin: the beginning is sent right before the first of them. Where one fails, or this is
    /// dropped, all are undone.
    pub async fn at_once<T>(
        &self,
        statements: impl AsyncFnOnce(&Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let session = Unfinished(Some(self.client().await?));
        let client = session.client();
        let say = async |sql, doing| {
            client.batch_execute(sql).await.map_err(|source| StoreError::Database { doing, source })
        };
        let begun = say("begin", "begin a transaction");
        let ((), outcome) = tokio::try_join!(biased; begun, statements(client))?;
        say("commit", "commit a transaction").await?;
        session.finish();
        Ok(outcome)
    }

    /// The key to the credentials.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Starts to listen for what the database announces, for the whole process.
    pub fn listener(&self) -> Listener {
        Listener::start(self.endpoint.clone())
    }
}
