//! `_prisma_migrations`, as far as two databases can be compared by it.

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// A row without what differs from run to run: its id and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookkeepingRow {
    pub migration_name: String,
    pub checksum: String,
    pub finished: bool,
    pub rolled_back: bool,
    pub applied_steps_count: i32,
    /// Whether an error is recorded. Its text is each engine's own.
    pub has_logs: bool,
}

/// The rows of the table in the connection's current schema, in the order in which they were started.
pub async fn bookkeeping_rows(client: &Client) -> Result<Vec<BookkeepingRow>> {
    let sql = r#"
        SELECT migration_name, checksum, finished_at IS NOT NULL AS finished,
               rolled_back_at IS NOT NULL AS rolled_back, applied_steps_count,
               coalesce(logs, '') <> '' AS has_logs
        FROM "_prisma_migrations"
        ORDER BY started_at, migration_name"#;
    let rows = client.query(sql, &[]).await.context("read _prisma_migrations")?;
    let row = |row: tokio_postgres::Row| {
        Ok(BookkeepingRow {
            migration_name: row.try_get("migration_name")?,
            checksum: row.try_get("checksum")?,
            finished: row.try_get("finished")?,
            rolled_back: row.try_get("rolled_back")?,
            applied_steps_count: row.try_get("applied_steps_count")?,
            has_logs: row.try_get("has_logs")?,
        })
    };
    rows.into_iter().map(row).collect()
}
