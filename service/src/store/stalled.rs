//! What should be going on and is not.

use chrono::{DateTime, TimeDelta, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, query};
use crate::domain::branch::BranchId;
use crate::domain::ids::PullId;

/// For so long GitHub may have been out of reach before a removal.
const UNTOLD: TimeDelta = TimeDelta::days(1);

struct Settled(BranchId, String);

impl FromRow for Settled {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "id")?, get(row, "database_name")?))
    }
}

/// The branches with a verdict whose database should stand, with its name.
pub async fn settled_databases(client: &impl GenericClient) -> Result<Vec<(BranchId, String)>, StoreError> {
    let settled: Vec<Settled> = query(
        "list the databases that should stand",
        "select branches.id, branches.database_name
         from branches join instances on instances.branch = branches.id and instances.state = 'live'
         where branches.state in ('ready', 'failed') order by branches.id",
    )
    .all(client, &[])
    .await?;
    Ok(settled.into_iter().map(|Settled(id, name)| (id, name)).collect())
}

struct Pull(PullId);

impl FromRow for Pull {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(PullId { repository: get(row, "repository")?, number: get(row, "pull_request")? }))
    }
}

/// The pull requests with a branch on its way, or a delivery that nobody took up, since before then, and without a job for it.
pub async fn without_job(
    client: &impl GenericClient,
    before: DateTime<Utc>,
) -> Result<Vec<PullId>, StoreError> {
    let stalled: Vec<Pull> = query(
        "look for work without a job",
        "select repository, pull_request from (
             select repository, pull_request from branches
             where state in ('pending', 'preparing', 'errored', 'deleting') and updated_at < $1
             union
             -- Heard of in the moment in which its repository was removed.
             select branches.repository, branches.pull_request
             from branches join repositories on repositories.github_id = branches.repository
             where branches.state <> 'deleted' and repositories.removed_at < $1
             union
             select split_part(subject, '#', 1)::bigint, split_part(subject, '#', 2)::integer from deliveries
             where absorbed_at is null and received_at < $1 and subject ~ '^-?[0-9]{1,18}#[0-9]{1,9}$'
         ) as waiting
         where not exists (
             select from jobs where kind = 'reconcile_pull' and state in ('available', 'running')
                 and subject = waiting.repository || '#' || waiting.pull_request)
             -- People have to settle something first.
             and not exists (
             select from pull_requests where repository = waiting.repository and number = waiting.pull_request
                 and notice is not null)
         order by repository, pull_request",
    )
    .all(client, &[&before])
    .await?;
    Ok(stalled.into_iter().map(|Pull(pull)| pull).collect())
}

/// The pull requests with a check that began before then, whose branches all have a verdict, and that no job is going to report on.
pub async fn with_unended_checks(
    client: &impl GenericClient,
    before: DateTime<Utc>,
) -> Result<Vec<PullId>, StoreError> {
    let unended: Vec<Pull> = query(
        "look for checks without an end",
        "select distinct checks.repository, checks.pull_request
         from checks join repositories on repositories.github_id = checks.repository and repositories.removed_at is null
         where not checks.ended and checks.updated_at < $1
             and not exists (
                 select from branches where branches.repository = checks.repository
                     and branches.pull_request = checks.pull_request and branches.state in ('pending', 'preparing', 'deleting'))
             and not exists (
                 select from jobs where kind in ('reconcile_pull', 'report_pull') and state in ('available', 'running')
                     and subject = checks.repository || '#' || checks.pull_request)
         order by 1, 2",
    )
    .all(client, &[&before])
    .await?;
    Ok(unended.into_iter().map(|Pull(pull)| pull).collect())
}

/// The pull requests that a repository's removal stopped: what was on its way for them then, a report that GitHub had not taken among it, was let go.
pub async fn by_removal(
    client: &impl GenericClient,
    repository: i64,
    removed_at: DateTime<Utc>,
) -> Result<Vec<PullId>, StoreError> {
    let stopped: Vec<Pull> = query(
        "list what a repository's removal stopped",
        "select repository, number as pull_request from pull_requests
         where repository = $1 and (
             open
             or exists (
                 select from checks
                 where checks.repository = $1 and checks.pull_request = number and not checks.ended)
             or exists (
                 select from branches
                 where branches.repository = $1 and branches.pull_request = number and branches.updated_at >= $2))
         order by number",
    )
    .all(client, &[&repository, &(removed_at - UNTOLD)])
    .await?;
    Ok(stopped.into_iter().map(|Pull(pull)| pull).collect())
}
