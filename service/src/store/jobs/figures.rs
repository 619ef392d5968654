//! The queue in figures, and the forgetting of what is finished.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::super::StoreError;
use super::super::page::Total;
use super::super::query::{FromRow, get, query};
use crate::domain::job::Lane;

/// Whether a job more urgent than a priority runs, or is due.
pub async fn is_busy(client: &impl GenericClient, priority: i16) -> Result<bool, StoreError> {
    let Total(found) = query(
        "look for urgent jobs",
        "select count(*) as total from (
             select from jobs
             where priority < $1 and (state = 'running' or state = 'available' and run_at <= now()) limit 1
         ) as any_job",
    )
    .one(client, &[&priority])
    .await?;
    Ok(found > 0)
}

/// Whether somebody waits for jobs of a lane: some are due, or were taken up a moment ago. One that takes longer keeps nobody.
pub async fn are_awaited(client: &impl GenericClient, lane: Lane) -> Result<bool, StoreError> {
    let Total(found) = query(
        "look for awaited jobs",
        "select count(*) as total from (
             select from jobs
             where kind = any($1) and (
                 state = 'available' and run_at <= now()
                 or state = 'running' and started_at > now() - make_interval(secs => 2)
             )
             limit 1
         ) as any_job",
    )
    .one(client, &[&lane.kinds()])
    .await?;
    Ok(found > 0)
}

/// The jobs of one kind that are in one state.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueFigure {
    pub kind: String,
    /// `available`, `running`, `done` or `failed`.
    pub state: String,
    pub jobs: i64,
    /// For how many seconds the one that is due the longest has been waiting for a worker; 0 where none is due.
    pub oldest_wait: f64,
}

impl FromRow for QueueFigure {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            kind: get(row, "kind")?,
            state: get(row, "state")?,
            jobs: get(row, "jobs")?,
            oldest_wait: get(row, "oldest_wait")?,
        })
    }
}

pub async fn figures(client: &impl GenericClient) -> Result<Vec<QueueFigure>, StoreError> {
    query(
        "count the jobs",
        "select kind, state, count(*) as jobs,
             coalesce(
                 extract(epoch from now() - min(run_at) filter (where state = 'available' and run_at <= now())), 0
             )::double precision as oldest_wait
         from jobs group by kind, state order by kind, state",
    )
    .all(client, &[])
    .await
}

/// Forgets the jobs that finished before a time; says how many.
pub async fn prune(client: &impl GenericClient, before: DateTime<Utc>) -> Result<u64, StoreError> {
    query("forget finished jobs", "delete from jobs where state in ('done', 'failed') and finished_at < $1")
        .execute(client, &[&before])
        .await
}
