//! Reading back what a database says was applied to it.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::Engine;
use super::blame::is_raised;
use super::error::{EngineError, is_passing};
use super::failure::ReplayError;
use super::instance::Access;
use crate::domain::bookkeeping::BookkeepingRow;
use crate::domain::chain::{Checksum, Migration};
use crate::domain::failure::{Failure, FailureKind};
use crate::postgres::Watched;

/// Set by the connection, so that they go before what the role's own SQL may have set for it.
const OPTIONS: &str = "-c search_path=pg_catalog -c row_security=off -c statement_timeout=10s -c lock_timeout=10s \
                       -c default_transaction_read_only=on -c client_encoding=UTF8";

/// Whether there is a table, and whether it is an ordinary one: a view could compute its answer, and a type of the pull request's own brings
/// casts that run its code.
const KIND: &str = "SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped \
    AND atttypid >= 16384) THEN 'typed' ELSE relkind::text END \
    FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relname = '_prisma_migrations'";

/// More than the statements' own timeout: code in the database can catch that one.
const PATIENCE: Duration = Duration::from_secs(15);

const ROWS: &str = "SELECT migration_name::text, checksum::text, (finished_at IS NOT NULL)::text, \
    (rolled_back_at IS NOT NULL)::text, applied_steps_count::text, (logs IS NOT NULL)::text \
    FROM ONLY public._prisma_migrations ORDER BY started_at, finished_at, migration_name";

/// A session of the branch's own role in which only the bookkeeping is read, never an administrator's: a pull request decides what stands under
/// that name. It may be opened before what it is to verify is run: nothing that runs in another session changes what it means here.
#[derive(Debug)]
pub struct Ledger {
    client: Client,
    access: Access,
}

impl Engine {
    /// Opens a session for reading a database's bookkeeping.
    pub async fn ledger(&self, access: &Access) -> Result<Ledger, EngineError> {
        if let Some(ledger) = self.warm.ledger(&access.database) {
            return Ok(ledger);
        }
        let Watched { client, .. } = self.connect_as(access, OPTIONS).await?;
        Ok(Ledger { client, access: access.clone() })
    }

    /// The rows of a database's bookkeeping, read in a fresh session.
    pub async fn bookkeeping(&self, access: &Access) -> Result<Vec<BookkeepingRow>, ReplayError> {
        self.ledger(access).await?.rows().await
    }
}

impl Ledger {
    /// Whether the session is over: SQL that ran as the same role may have ended it.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Answers if the session does.
    pub(super) async fn ping(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("").await
    }

    /// The rows of `public._prisma_migrations` in the order in which they began; none where there is no such table.
    pub async fn rows(&self) -> Result<Vec<BookkeepingRow>, ReplayError> {
        let Self { client, access } = self;
        let unreadable = |error: tokio_postgres::Error| match error.as_db_error() {
            // A policy for rows is SQL as well, and can say that the server is full.
            Some(refused) if is_raised(refused) || !is_passing(refused.code().code()) => {
                let mut failure =
                    refuse(format!("Prisma's bookkeeping table cannot be read: {}", refused.message()));
                failure.sqlstate = Some(refused.code().code().to_owned());
                ReplayError::from(failure)
            }
            _ => EngineError::refused(format!("read the bookkeeping of {:?}", access.database))(error).into(),
        };
        let kind = client.simple_query(KIND).await.map_err(unreadable)?;
        match cells(&kind).first().and_then(|row| row[0]) {
            None => return Ok(Vec::new()),
            Some("r") => {}
            Some(_) => return Err(refuse("public._prisma_migrations is no ordinary table".to_owned()).into()),
        }
        let Ok(answer) = tokio::time::timeout(PATIENCE, client.simple_query(ROWS)).await else {
            // The guard ends the session.
            return Err(refuse("reading public._prisma_migrations does not end".to_owned()).into());
        };
        let answer = answer.map_err(unreadable)?;
        Ok(cells(&answer).into_iter().map(|row| read(&row)).collect())
    }
}

fn cells(answer: &[SimpleQueryMessage]) -> Vec<Vec<Option<&str>>> {
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column)).collect()),
        _ => None,
    });
    rows.collect()
}

/// Everything as text, because the table's columns may have been changed to any type.
fn read(row: &[Option<&str>]) -> BookkeepingRow {
    let text = |column: usize| row[column].unwrap_or_default();
    BookkeepingRow {
        migration: Migration { name: text(0).to_owned(), checksum: Checksum::recorded(text(1)) },
        finished: text(2) == "true",
        rolled_back: text(3) == "true",
        steps: text(4).parse().unwrap_or_default(),
        has_logs: text(5) == "true",
    }
}

fn refuse(message: String) -> Failure {
    Failure::of_file(FailureKind::Verification, "_prisma_migrations", "", message)
        .with_hint("Does a migration change or replace _prisma_migrations? That table is Prisma's own.")
}
