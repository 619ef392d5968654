//! What happens to a job that is held: its lease goes on, it ends, or it goes back to wait.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;

use super::super::StoreError;
use super::super::query::{Parameters, Query, query};
use super::Lease;
use crate::domain::job::Lane;

/// Prolongs leases; returns those that are lost, because the job was rescued from a worker that seemed gone.
pub async fn heartbeat(
    client: &impl GenericClient,
    leases: &[Lease],
    length: Duration,
) -> Result<Vec<Lease>, StoreError> {
    let ids: Vec<i64> = leases.iter().map(|lease| lease.id).collect();
    let workers: Vec<uuid::Uuid> = leases.iter().map(|lease| lease.worker).collect();
    let attempts: Vec<i32> = leases.iter().map(|lease| lease.attempt).collect();
    let held: Vec<Lease> = query(
        "prolong the leases of jobs",
        "update jobs set lease_until = now() + make_interval(secs => $4)
         from unnest($1::bigint[], $2::uuid[], $3::integer[]) as held (id, worker, attempt)
         where jobs.id = held.id and jobs.worker = held.worker and jobs.attempt = held.attempt
             and jobs.state = 'running'
         returning jobs.id, jobs.worker, jobs.attempt",
    )
    .all(client, &[&ids, &workers, &attempts, &length.as_secs_f64()])
    .await?;
    Ok(leases.iter().filter(|lease| !held.contains(lease)).copied().collect())
}

/// Whether a job is still its holder's.
pub async fn is_held(client: &impl GenericClient, lease: Lease) -> Result<bool, StoreError> {
    let held = query(
        "ask whether a job is still held",
        "select 1 from jobs where id = $1 and worker = $2 and attempt = $3 and state = 'running'",
    )
    .execute(client, &[&lease.id, &lease.worker, &lease.attempt])
    .await?;
    Ok(held > 0)
}

/// Ends a job well. Like all that follow: false where the lease was lost, and nothing changed.
pub async fn complete(client: &impl GenericClient, lease: Lease) -> Result<bool, StoreError> {
    let held = query(
        "complete a job",
        "update jobs set state = 'done', worker = null, lease_until = null, last_error = null, finished_at = now()
         where id = $1 and worker = $2 and attempt = $3 and state = 'running'",
    )
    .execute(client, &[&lease.id, &lease.worker, &lease.attempt])
    .await?;
    Ok(held > 0)
}

/// Ends a job that no other try can help.
pub async fn give_up(client: &impl GenericClient, lease: Lease, error: &str) -> Result<bool, StoreError> {
    let held = query(
        "give up a job",
        "update jobs set
             state = 'failed',
             failures = failures + 1,
             worker = null,
             lease_until = null,
             last_error = $4,
             finished_at = now()
         where id = $1 and worker = $2 and attempt = $3 and state = 'running'",
    )
    .execute(client, &[&lease.id, &lease.worker, &lease.attempt, &error])
    .await?;
    Ok(held > 0)
}

/// Puts a job that failed back, to be tried again after a while.
pub async fn fail(
    client: &impl GenericClient,
    lease: Lease,
    error: &str,
    retry_in: Duration,
) -> Result<bool, StoreError> {
    put_back(client, lease, PutBack { failures: 1, note: Some(error), run: Run::In(retry_in) }).await
}

/// Puts a job that must wait for something back; this counts as no failure.
pub async fn snooze(
    client: &impl GenericClient,
    lease: Lease,
    until: DateTime<Utc>,
    why: &str,
) -> Result<bool, StoreError> {
    put_back(client, lease, PutBack { failures: 0, note: Some(why), run: Run::At(until) }).await
}

/// Puts a job back for another worker to take at once: this one is stopping.
pub async fn release(client: &impl GenericClient, lease: Lease) -> Result<bool, StoreError> {
    put_back(client, lease, PutBack { failures: 0, note: None, run: Run::In(Duration::ZERO) }).await
}

struct PutBack<'a> {
    failures: i32,
    note: Option<&'a str>,
    run: Run,
}

/// A time of ours is one of the server's only where both clocks agree: what lies as far ahead of ours is due no later than that.
enum Run {
    At(DateTime<Utc>),
    In(Duration),
}

/// What is due by a clock of ours that runs ahead is not asked for again at once.
const SOON: Duration = Duration::from_secs(1);

/// Where the same work waits already, that row is the one to go on, and this one is done with.
async fn put_back(
    client: &impl GenericClient,
    lease: Lease,
    PutBack { failures, note, run }: PutBack<'_>,
) -> Result<bool, StoreError> {
    let (run_at, run_in) = match run {
        Run::At(time) => {
            let ahead = (time - Utc::now()).to_std().unwrap_or_default();
            (Some(time), ahead.max(SOON))
        }
        Run::In(delay) => (None, delay),
    };
    let statement = query(
        "put a job back",
        "update jobs set
             state = case when twin.waits then 'done' else 'available' end,
             failures = failures + $4,
             last_error = coalesce($5, last_error),
             run_at = least($6, now() + make_interval(secs => $7)),
             worker = null,
             lease_until = null,
             finished_at = case when twin.waits then now() end
         from (
             select exists (
                 select from jobs as waiting join jobs as held
                     on waiting.kind = held.kind and waiting.subject = held.subject
                 where held.id = $1 and waiting.state = 'available'
             ) as waits
         ) as twin
         where id = $1 and worker = $2 and attempt = $3 and state = 'running'",
    );
    let parameters: Parameters<'_> =
        &[&lease.id, &lease.worker, &lease.attempt, &failures, &note, &run_at, &run_in.as_secs_f64()];
    Ok(until_alone(client, statement, parameters).await? > 0)
}

/// Puts a lane's jobs whose leases ran out back, to be taken at once; says how many. Not the asker's own: where the database answers nobody for a
/// while, who works is not gone.
pub async fn rescue(client: &impl GenericClient, lane: Lane, own: &[Lease]) -> Result<u64, StoreError> {
    let own: Vec<i64> = own.iter().map(|lease| lease.id).collect();
    let statement = query(
        "rescue jobs",
        "with expired as (
             select id, exists (
                 select from jobs as waiting
                 where waiting.kind = held.kind and waiting.subject = held.subject
                     and waiting.state = 'available'
             ) as twin_waits
             from jobs as held
             where state = 'running' and lease_until < now() and kind = any($1) and id <> all($2)
             for update skip locked
         )
         update jobs set
             state = case when expired.twin_waits then 'done' else 'available' end,
             failures = failures + 1,
             last_error = 'the worker that held it stopped answering',
             run_at = now(),
             worker = null,
             lease_until = null,
             finished_at = case when expired.twin_waits then now() end
         from expired
         where jobs.id = expired.id",
    );
    until_alone(client, statement, &[&lane.kinds(), &own]).await
}

/// Runs a statement that makes rows available, again where the same work was enqueued while it looked for just that.
async fn until_alone(
    client: &impl GenericClient,
    statement: Query,
    parameters: Parameters<'_>,
) -> Result<u64, StoreError> {
    loop {
        match statement.execute(client, parameters).await {
            Err(error) if error.is_unique_violation() => {}
            other => return other,
        }
    }
}
