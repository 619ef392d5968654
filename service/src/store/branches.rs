//! Branches: one isolated database of one (repository, pull request, database), and its way through the states.

/// What a [`Branch`] is read from.
macro_rules! columns {
    () => {
        "branches.id, branches.repository, branches.pull_request, branches.database,
         branches.state, branches.generation, branches.head_sha, branches.database_sha,
         branches.base_ref, branches.database_name, branches.applied, branches.failure,
         branches.findings, branches.seeded, branches.timings, branches.reason,
         branches.protected, branches.reset_requested, branches.created_at, branches.ready_at, branches.ready_sha,
         branches.expires_at, branches.expiry_told_from, branches.active_at, branches.room_wanted_at, branches.room_needed,
         (select count(*) from branches ahead
             where ahead.room_wanted_at is not null and ahead.state in ('blocked', 'preparing') and ahead.id <> branches.id
                 and (branches.room_wanted_at is null
                     or (ahead.room_wanted_at, ahead.id) < (branches.room_wanted_at, branches.id))) as ahead"
    };
}

mod credentials;
mod lifetimes;
mod lists;
mod queue;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

pub use credentials::{Credentials, credentials};
pub use lifetimes::{Aging, aging, note_sessions, set_expiry, set_protected};
pub use lists::{Count, Filter, Listed, Named, counts, find_by_name, list, live_names};
pub use queue::{first_waiting, leave_queue, waiting_for_room, waiting_pulls};

use super::StoreError;
use super::jobs::{self, Lease};
use super::query::{FromRow, Query, get, json, json_optional, parsed, parsed_optional, query};
use crate::domain::branch::{AppliedMigration, Branch, BranchId, Queue, Timings};
use crate::domain::expiry;
use crate::domain::failure::Failure;
use crate::domain::findings::Finding;
use crate::domain::ids::{DatabaseLabel, Oid, PullId, RepositoryName};
use crate::domain::names::branch_database;
use crate::domain::seed::SeededFile;
use crate::domain::state::BranchState;
use crate::secret::{Secret, Vault};

impl FromRow for Branch {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            pull: PullId { repository: get(row, "repository")?, number: get(row, "pull_request")? },
            database: parsed(row, "database")?,
            state: parsed(row, "state")?,
            generation: get(row, "generation")?,
            head_sha: parsed(row, "head_sha")?,
            database_sha: parsed_optional(row, "database_sha")?,
            base_ref: get(row, "base_ref")?,
            database_name: get(row, "database_name")?,
            applied: json(row, "applied")?,
            failure: json_optional(row, "failure")?,
            findings: json(row, "findings")?,
            seeded: json(row, "seeded")?,
            timings: json(row, "timings")?,
            reason: get(row, "reason")?,
            protected: get(row, "protected")?,
            reset_requested: get(row, "reset_requested")?,
            created_at: get(row, "created_at")?,
            ready_at: get(row, "ready_at")?,
            ready_sha: parsed_optional(row, "ready_sha")?,
            expires_at: get(row, "expires_at")?,
            expiry_told_from: get(row, "expiry_told_from")?,
            active_at: get(row, "active_at")?,
            queue: Queue {
                wanted_at: get(row, "room_wanted_at")?,
                needs: get::<Option<i64>>(row, "room_needed")?.unwrap_or_default(),
                ahead: get(row, "ahead")?,
            },
        })
    }
}

/// A branch that is to be.
#[derive(Debug, Clone, Copy)]
pub struct NewBranch<'a> {
    pub pull: PullId,
    pub repository: &'a RepositoryName,
    pub database: &'a DatabaseLabel,
    pub head_sha: &'a Oid,
    pub base_ref: &'a str,
    pub state: BranchState,
    pub expires_at: Option<DateTime<Utc>>,
}

/// A branch, and whether it was made just now.
#[derive(Debug, Clone)]
pub struct Created {
    pub branch: Branch,
    pub fresh: bool,
}

/// What changes together with a branch's state. What is none stays as it is, but for `failure` and `reason`: they speak of
/// the state, so each step says them anew.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub failure: Option<Failure>,
    pub reason: Option<String>,
    pub generation: Option<i32>,
    pub head_sha: Option<Oid>,
    pub database_sha: Option<Oid>,
    pub base_ref: Option<String>,
    pub applied: Option<Vec<AppliedMigration>>,
    pub findings: Option<Vec<Finding>>,
    pub seeded: Option<Vec<SeededFile>>,
    pub timings: Option<Timings>,
    pub reset_requested: Option<bool>,
    pub expires_at: Option<DateTime<Utc>>,
    /// The job that this is done for: where it is another worker's by now, nothing changes. None where no job is.
    pub held_by: Option<Lease>,
    /// With `blocked`: it waits for room for so many bytes, and keeps the place that it had.
    pub room_needed: Option<i64>,
}

/// Makes a branch with fresh credentials, or finds the live one that there is. Its name is the plain one, unless another
/// branch has that.
pub async fn create(
    client: &impl GenericClient,
    vault: &Vault,
    new: &NewBranch<'_>,
) -> Result<Created, StoreError> {
    let (password, reader_password) =
        (vault.encrypt(&Secret::generate()), vault.encrypt(&Secret::generate()));
    for distinct in [false, true] {
        let name = branch_database(new.repository, new.pull.number, new.database, distinct);
        let created = query(
            "create a branch",
            concat!("
             insert into branches (repository, pull_request, database, head_sha, base_ref, database_name, password,
                 reader_password, timings, expires_at, expiry_told_from, state)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             on conflict do nothing
             returning ", columns!()),
        )
        .optional(
            client,
            &[
                &new.pull.repository,
                &new.pull.number,
                &new.database.as_str(),
                &new.head_sha.as_str(),
                &new.base_ref,
                &name,
                &password,
                &reader_password,
                &Json(Timings::default()),
                &new.expires_at,
                &told_from(new.expires_at),
                &new.state.as_str(),
            ],
        )
        .await?;
        if let Some(branch) = created {
            return Ok(Created { branch, fresh: true });
        }
        if let Some(branch) = find(client, new.pull, new.database).await? {
            return Ok(Created { branch, fresh: false });
        }
    }
    Err(StoreError::Missing(format!("free name for the database {} of {}", new.database, new.pull)))
}

/// The live branch of a pull request's database.
pub async fn find(
    client: &impl GenericClient,
    pull: PullId,
    database: &DatabaseLabel,
) -> Result<Option<Branch>, StoreError> {
    Ok(find_last(client, pull, database).await?.filter(|branch| branch.state.is_live()))
}

/// The last branch that a pull request's database had, deleted or not.
pub async fn find_last(
    client: &impl GenericClient,
    pull: PullId,
    database: &DatabaseLabel,
) -> Result<Option<Branch>, StoreError> {
    query(
        "find a branch",
        concat!(
            "select ",
            columns!(),
            " from branches where repository = $1 and pull_request = $2 and database = $3
         order by id desc limit 1"
        ),
    )
    .optional(client, &[&pull.repository, &pull.number, &database.as_str()])
    .await
}

/// The live branches of a pull request, by their databases' labels.
pub async fn of_pull(client: &impl GenericClient, pull: PullId) -> Result<Vec<Branch>, StoreError> {
    query(
        "list a pull request's branches",
        concat!(
            "select ",
            columns!(),
            " from branches where repository = $1 and pull_request = $2 and state <> 'deleted' order by database"
        ),
    )
    .all(client, &[&pull.repository, &pull.number])
    .await
}

/// The last branch of each of a pull request's databases, deleted or not, by their labels.
pub async fn last_of_pull(client: &impl GenericClient, pull: PullId) -> Result<Vec<Branch>, StoreError> {
    query(
        "list a pull request's last branches",
        concat!(
            "select distinct on (database) ",
            columns!(),
            " from branches where repository = $1 and pull_request = $2 order by database, id desc"
        ),
    )
    .all(client, &[&pull.repository, &pull.number])
    .await
}

pub async fn find_by_id(client: &impl GenericClient, id: BranchId) -> Result<Option<Branch>, StoreError> {
    query("find a branch by its number", concat!("select ", columns!(), " from branches where id = $1"))
        .optional(client, &[&id])
        .await
}

/// The step from one state to another, without what it returns.
macro_rules! step {
    () => {
        "with held as (
             select id from jobs where id = $16 and worker = $17 and attempt = $18 and state = 'running'
             for key share
         )
         update branches set
             state = $2,
             failure = $4,
             reason = $5,
             generation = coalesce($6, generation),
             head_sha = coalesce($7, head_sha),
             database_sha = coalesce($8, database_sha),
             base_ref = coalesce($9, base_ref),
             applied = coalesce($10, applied),
             findings = coalesce($11, findings),
             seeded = coalesce($12, seeded),
             timings = coalesce($13, timings),
             reset_requested = coalesce($14, reset_requested),
             expires_at = greatest($15, expires_at),
             expiry_told_from = case when $15 > expires_at is not false then coalesce($20, expiry_told_from) else expiry_told_from end,
             active_at = case when $2 = 'preparing' then greatest(active_at, now()) else active_at end,
             room_wanted_at = case
                 when $2 = 'blocked' then case when $19::bigint is not null then coalesce(room_wanted_at, now()) end
                 when $2 in ('pending', 'preparing', 'errored') then room_wanted_at end,
             room_needed = case
                 when $2 = 'blocked' then $19
                 when $2 in ('pending', 'preparing', 'errored') then room_needed end,
             updated_at = now(),
             ready_at = case when $2 = 'ready' then now() else ready_at end,
             ready_sha = case when $2 = 'ready' then coalesce($7, head_sha) when $2 in ('deleting', 'deleted') then ready_sha end,
             deleted_at = case when $2 = 'deleted' then now() end,
             password = case when $2 <> 'deleted' then password end,
             reader_password = case when $2 <> 'deleted' then reader_password end
         where id = $1 and state = any($3) and ($16::bigint is null or exists (select from held))
         returning "
    };
}

/// Takes a branch to another state, from a state that may precede it and from no other. A deleted branch's credentials go, and no branch ends
/// sooner than was promised. The job's row is locked with it, so that nobody is given the job before this is done.
pub async fn transition(
    client: &impl GenericClient,
    id: BranchId,
    to: BranchState,
    change: &Change,
) -> Result<Branch, StoreError> {
    let step = query("take a branch to another state", concat!(step!(), columns!()));
    match stepped(client, step, id, to, change).await? {
        Some(branch) => Ok(branch),
        None => Err(illegal(client, id, to, change.held_by).await?),
    }
}

/// What others may have changed of a branch since it was read.
struct Settled {
    protected: bool,
    reset_requested: bool,
    ready_at: Option<DateTime<Utc>>,
    ready_sha: Option<Oid>,
    expires_at: Option<DateTime<Utc>>,
}

impl FromRow for Settled {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            protected: get(row, "protected")?,
            reset_requested: get(row, "reset_requested")?,
            ready_at: get(row, "ready_at")?,
            ready_sha: parsed_optional(row, "ready_sha")?,
            expires_at: get(row, "expires_at")?,
        })
    }
}

/// The same for a branch that is at hand: what was just written of a long chain need not come back.
pub async fn settle(
    client: &impl GenericClient,
    branch: &Branch,
    to: BranchState,
    change: Change,
) -> Result<Branch, StoreError> {
    let step = query(
        "settle a branch",
        concat!(
            step!(),
            "branches.protected, branches.reset_requested, branches.ready_at, branches.ready_sha, branches.expires_at"
        ),
    );
    let Some(settled) = stepped::<Settled>(client, step, branch.id, to, &change).await? else {
        return Err(illegal(client, branch.id, to, change.held_by).await?);
    };
    let Settled { protected, reset_requested, ready_at, ready_sha, expires_at } = settled;
    Ok(Branch {
        state: to,
        failure: change.failure,
        reason: change.reason,
        generation: change.generation.unwrap_or(branch.generation),
        head_sha: change.head_sha.unwrap_or_else(|| branch.head_sha.clone()),
        database_sha: change.database_sha.or_else(|| branch.database_sha.clone()),
        base_ref: change.base_ref.unwrap_or_else(|| branch.base_ref.clone()),
        applied: change.applied.unwrap_or_else(|| branch.applied.clone()),
        findings: change.findings.unwrap_or_else(|| branch.findings.clone()),
        seeded: change.seeded.unwrap_or_else(|| branch.seeded.clone()),
        timings: change.timings.unwrap_or(branch.timings),
        protected,
        reset_requested,
        ready_at,
        ready_sha,
        expires_at,
        queue: Queue { wanted_at: None, needs: 0, ..branch.queue },
        expiry_told_from: branch.expiry_told_from,
        active_at: branch.active_at,
        id: branch.id,
        pull: branch.pull,
        database: branch.database.clone(),
        database_name: branch.database_name.clone(),
        created_at: branch.created_at,
    })
}

async fn stepped<T: FromRow>(
    client: &impl GenericClient,
    step: Query,
    id: BranchId,
    to: BranchState,
    change: &Change,
) -> Result<Option<T>, StoreError> {
    let from: Vec<&str> = to.predecessors().iter().map(|state| state.as_str()).collect();
    step.optional(
        client,
        &[
            &id,
            &to.as_str(),
            &from,
            &change.failure.as_ref().map(Json),
            &change.reason,
            &change.generation,
            &change.head_sha.as_ref().map(Oid::as_str),
            &change.database_sha.as_ref().map(Oid::as_str),
            &change.base_ref,
            &change.applied.as_ref().map(Json),
            &change.findings.as_ref().map(Json),
            &change.seeded.as_ref().map(Json),
            &change.timings.map(Json),
            &change.reset_requested,
            &change.expires_at,
            &change.held_by.map(|lease| lease.id),
            &change.held_by.map(|lease| lease.worker),
            &change.held_by.map(|lease| lease.attempt),
            &change.room_needed,
            &told_from(change.expires_at),
        ],
    )
    .await
}

/// Why a branch could not take a step.
async fn illegal(
    client: &impl GenericClient,
    id: BranchId,
    to: BranchState,
    held_by: Option<Lease>,
) -> Result<StoreError, StoreError> {
    Ok(match find_by_id(client, id).await? {
        _ if !is_still_held(client, held_by).await? => StoreError::NotHeld,
        Some(branch) => StoreError::IllegalTransition { id, from: branch.state, to },
        None => missing(id),
    })
}

async fn is_still_held(client: &impl GenericClient, lease: Option<Lease>) -> Result<bool, StoreError> {
    match lease {
        Some(lease) => jobs::is_held(client, lease).await,
        None => Ok(true),
    }
}

/// Asks for a rebuild, which the pull request's next reconciliation carries out. False where the branch is being deleted.
pub async fn request_reset(client: &impl GenericClient, id: BranchId) -> Result<bool, StoreError> {
    let asked = query(
        "ask for a branch's reset",
        "update branches set reset_requested = true, updated_at = now()
         where id = $1 and state not in ('deleting', 'deleted')",
    )
    .execute(client, &[&id])
    .await?;
    Ok(asked > 0)
}

fn told_from(expires_at: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    expires_at.map(|at| expiry::told_from(Utc::now(), at))
}

fn missing(id: BranchId) -> StoreError {
    StoreError::Missing(format!("branch {id}"))
}
