//! The durable queue: which work waits, who holds which of it, and until when.
//!
//! A row is available, running, done or failed. Of one (kind, subject) at most one row is available and at most one is
//! running; unique indexes see to both. Whoever holds a job writes to it under its [`Lease`] alone, so a worker that was
//! given up cannot touch what another has taken over.

mod figures;
mod held;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

pub use figures::{QueueFigure, are_awaited, figures, is_busy, prune};
pub use held::{complete, fail, give_up, heartbeat, is_held, release, rescue, snooze};

use super::StoreError;
use super::query::{FromRow, get, query};
use crate::domain::job::{Job, Lane};

/// Pull requests of one repository that are worked on at once, so that slow ones leave workers to the others.
const PULLS_OF_A_REPOSITORY: i64 = 12;

/// What a worker holds of a job: its row, by whom, and at which claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub id: i64,
    pub worker: Uuid,
    /// Counts the row's claims.
    pub attempt: i32,
}

/// A job that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    pub lease: Lease,
    pub job: Job,
    /// Claims before this one that ended badly.
    pub failures: i32,
    /// When the work was first asked for.
    pub created_at: DateTime<Utc>,
    /// From when on it could be claimed.
    pub run_at: DateTime<Utc>,
    pub claimed_at: DateTime<Utc>,
}

struct ClaimedRow {
    lease: Lease,
    kind: String,
    subject: String,
    failures: i32,
    created_at: DateTime<Utc>,
    run_at: DateTime<Utc>,
    claimed_at: DateTime<Utc>,
}

impl FromRow for Lease {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { id: get(row, "id")?, worker: get(row, "worker")?, attempt: get(row, "attempt")? })
    }
}

impl FromRow for ClaimedRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            lease: Lease::from_row(row)?,
            kind: get(row, "kind")?,
            subject: get(row, "subject")?,
            failures: get(row, "failures")?,
            created_at: get(row, "created_at")?,
            run_at: get(row, "run_at")?,
            claimed_at: get(row, "started_at")?,
        })
    }
}

/// Asks for work now. Where the same work waits already, that is enough: it only need not wait any longer.
pub async fn enqueue(client: &impl GenericClient, job: &Job) -> Result<(), StoreError> {
    query(
        "enqueue a job",
        "with queued as (
             insert into jobs as waiting (kind, subject, priority) values ($1, $2, $3)
             on conflict (kind, subject) where state = 'available'
             do update set run_at = excluded.run_at where waiting.run_at > excluded.run_at
         )
         select pg_notify('offshoot_jobs', $1)",
    )
    .execute(client, &[&job.kind(), &job.subject(), &job.priority()])
    .await?;
    Ok(())
}

/// Asks for work after a while by the server's clock, or earlier where the same work waits for an earlier time already.
pub async fn enqueue_after(
    client: &impl GenericClient,
    job: &Job,
    delay: Duration,
) -> Result<(), StoreError> {
    query(
        "enqueue a job for later",
        "insert into jobs as waiting (kind, subject, priority, run_at) values ($1, $2, $3, now() + make_interval(secs => $4))
         on conflict (kind, subject) where state = 'available'
         do update set run_at = excluded.run_at where waiting.run_at > excluded.run_at",
    )
    .execute(client, &[&job.kind(), &job.subject(), &job.priority(), &delay.as_secs_f64()])
    .await?;
    Ok(())
}

/// Takes the most urgent job of a lane that is due, and whose like nobody is running, for the length of a lease. Kinds that this version does not
/// know are left to those that do: two versions may run side by side.
pub async fn claim(
    client: &impl GenericClient,
    lane: Lane,
    worker: Uuid,
    lease: Duration,
) -> Result<Option<ClaimedJob>, StoreError> {
    loop {
        let claimed = match claim_row(client, lane, worker, lease).await {
            // Between looking and taking, another worker took a like one: look again.
            Err(error) if error.is_unique_violation() => continue,
            other => other?,
        };
        let Some(row) = claimed else { return Ok(None) };
        match Job::parse(&row.kind, &row.subject) {
            Ok(job) => {
                return Ok(Some(ClaimedJob {
                    lease: row.lease,
                    job,
                    failures: row.failures,
                    created_at: row.created_at,
                    run_at: row.run_at,
                    claimed_at: row.claimed_at,
                }));
            }
            Err(unknown) => {
                give_up(client, row.lease, &format!("the job's subject is not one of its kind: {unknown}"))
                    .await?
            }
        };
    }
}

async fn claim_row(
    client: &impl GenericClient,
    lane: Lane,
    worker: Uuid,
    lease: Duration,
) -> Result<Option<ClaimedRow>, StoreError> {
    query(
        "claim a job",
        "update jobs set
             state = 'running',
             attempt = attempt + 1,
             worker = $1,
             lease_until = now() + make_interval(secs => $2),
             started_at = now()
         where id = (
             select waiting.id from jobs as waiting
             where waiting.state = 'available' and waiting.run_at <= now() and waiting.kind = any($3) and not exists (
                 select from jobs as running
                 where running.state = 'running'
                     and running.kind = waiting.kind and running.subject = waiting.subject
             ) and (waiting.kind <> 'reconcile_pull' or $4 > (
                 select count(*) from jobs as like_it
                 where like_it.state = 'running' and like_it.kind = 'reconcile_pull'
                     and split_part(like_it.subject, '#', 1) = split_part(waiting.subject, '#', 1)
             ))
             order by waiting.priority, waiting.run_at, waiting.id
             limit 1
             for update skip locked
         )
         returning id, worker, attempt, kind, subject, failures, created_at, run_at, started_at",
    )
    .optional(client, &[&worker, &lease.as_secs_f64(), &lane.kinds(), &PULLS_OF_A_REPOSITORY])
    .await
}
