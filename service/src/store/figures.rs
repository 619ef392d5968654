//! Counts for the gauges that belong to no family of tables alone.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, query};

/// How many rows have a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub state: String,
    pub rows: i64,
}

impl FromRow for Count {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { state: get(row, "state")?, rows: get(row, "rows")? })
    }
}

/// Deliveries that wait to be taken up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waiting {
    pub deliveries: i64,
    /// Seconds; 0 where none waits.
    pub oldest_wait: f64,
}

impl FromRow for Waiting {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { deliveries: get(row, "deliveries")?, oldest_wait: get(row, "oldest_wait")? })
    }
}

/// Databases that stand for branches, by state; a state that none has is left out.
pub async fn instances(client: &impl GenericClient) -> Result<Vec<Count>, StoreError> {
    query("count the instances", "select state, count(*) as rows from instances group by state")
        .all(client, &[])
        .await
}

/// Layers, `complete` or `building`; a state that none has is left out.
pub async fn layers(client: &impl GenericClient) -> Result<Vec<Count>, StoreError> {
    query(
        "count the layers",
        "select case when complete then 'complete' else 'building' end as state, count(*) as rows
         from layers group by complete",
    )
    .all(client, &[])
    .await
}

pub async fn waiting(client: &impl GenericClient) -> Result<Waiting, StoreError> {
    query(
        "count the deliveries that wait",
        "select count(*) as deliveries,
             coalesce(extract(epoch from now() - min(received_at)), 0)::double precision as oldest_wait
         from deliveries where absorbed_at is null",
    )
    .one(client, &[])
    .await
}
