//! Forks: from the wish for one to its end. Asked for here, made by `filling`, held ready by `reserving`, dropped by `ending`.

/// What a [`Fork`] is read from.
macro_rules! columns {
    () => {
        "forks.id, forks.branch, forks.generation, forks.sha, forks.state, forks.database_name,
         forks.created_at, forks.handed_out_at, forks.expires_at"
    };
}

/// The spare of `origin`'s present state that has waited longest, of those that are nobody's and not older than the server's last start.
macro_rules! oldest_spare {
    () => {
        "(
             select spare.id from forks as spare join origin on spare.branch = origin.id
                 and spare.generation = origin.generation and spare.sha = origin.database_sha
             where spare.state = 'spare' and spare.created_at > pg_postmaster_start_time() and coalesce(spare.waited_until <= now(), true)
             order by spare.created_at
             limit 1
             for update of spare skip locked
         )"
    };
}

mod ending;
mod filling;
mod reserving;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

pub use ending::{all_trash, condemn, discard, drain, dropped, expire, give_up, names, prune};
pub use filling::{Commission, accept, demand, is_filling, leftovers, made, refuse, release, spare};
pub use reserving::{Present, Reserved, hand_over, put_back, reserve};

use super::StoreError;
use super::query::{FromRow, get, parsed, query, repository_name, unreadable};
use crate::domain::branch::BranchId;
use crate::domain::fork::ForkState;
use crate::domain::ids::{DatabaseLabel, Oid, RepositoryName};
use crate::secret::{Secret, Vault};

/// A fork as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    pub id: Uuid,
    pub branch: BranchId,
    pub generation: i32,
    pub sha: Oid,
    pub state: ForkState,
    /// Of the database and of its login role.
    pub database_name: String,
    pub created_at: DateTime<Utc>,
    pub handed_out_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl FromRow for Fork {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            branch: get(row, "branch")?,
            generation: get(row, "generation")?,
            sha: parsed(row, "sha")?,
            state: parsed(row, "state")?,
            database_name: get(row, "database_name")?,
            created_at: get(row, "created_at")?,
            handed_out_at: get(row, "handed_out_at")?,
            expires_at: get(row, "expires_at")?,
        })
    }
}

/// A fork that is somebody's now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    pub id: Uuid,
    pub branch: BranchId,
    pub database_name: String,
    pub password: Secret,
    pub expires_at: DateTime<Utc>,
}

struct Sealed {
    id: Uuid,
    branch: BranchId,
    state: ForkState,
    database_name: String,
    password: Option<Vec<u8>>,
    expires_at: Option<DateTime<Utc>>,
    refusal: Option<String>,
}

impl FromRow for Sealed {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            branch: get(row, "branch")?,
            state: parsed(row, "state")?,
            database_name: get(row, "database_name")?,
            password: get(row, "password")?,
            expires_at: get(row, "expires_at")?,
            refusal: get(row, "refusal")?,
        })
    }
}

impl Sealed {
    fn open(self, vault: &Vault) -> Result<Handed, StoreError> {
        let (Some(password), Some(expires_at)) = (self.password, self.expires_at) else {
            return Err(unreadable("password, expires_at", "a live fork has both"));
        };
        let password = vault.decrypt(&password)?;
        let Self { id, branch, database_name, .. } = self;
        Ok(Handed { id, branch, database_name, password, expires_at })
    }
}

/// The branch that is to be forked, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    pub repository: &'a RepositoryName,
    pub number: i32,
    pub database: &'a DatabaseLabel,
    /// Ready for this commit and no other.
    pub sha: Option<&'a Oid>,
    pub ttl: Duration,
}

/// Hands out the spare that has waited longest, if the branch is ready and has one of its present state. One statement: this is what a
/// test run waits for.
///
/// It does not wait for the disk either: a crash of the server may forget who got a spare. So none is handed out that is older than the server's
/// last start.
pub async fn take(
    client: &impl GenericClient,
    vault: &Vault,
    wish: &Wish<'_>,
) -> Result<Option<Handed>, StoreError> {
    let taken: Option<Sealed> = query(
        "hand out a spare fork",
        concat!(
            "with origin as (
             select branches.id, branches.generation, branches.database_sha
             from branches join repositories on repositories.github_id = branches.repository
             where lower(repositories.owner) = lower($1) and lower(repositories.name) = lower($2)
                 and repositories.removed_at is null
                 and branches.pull_request = $3 and branches.database = $4
                 and branches.state = 'ready' and not branches.reset_requested
                 and ($5::text is null or branches.head_sha = $5)
         )
         update forks set state = 'live', handed_out_at = now(), expires_at = now() + make_interval(secs => $6)
         where id = ",
            oldest_spare!(),
            "
         returning id, branch, state, database_name, password, expires_at, refusal"
        ),
    )
    .optional(
        client,
        &[
            &wish.repository.owner(),
            &wish.repository.name(),
            &wish.number,
            &wish.database.as_str(),
            &wish.sha.map(Oid::as_str),
            &wish.ttl.as_secs_f64(),
        ],
    )
    .await?;
    taken.map(|sealed| sealed.open(vault)).transpose()
}

/// A fork that is to be made for somebody who waits.
#[derive(Debug, Clone, Copy)]
pub struct NewFork<'a> {
    pub id: Uuid,
    pub database_name: &'a str,
    pub branch: BranchId,
    pub sha: Option<&'a Oid>,
    /// For how long somebody waits for it.
    pub patience: Duration,
    /// How many forks of one branch may stand.
    pub limit: i64,
}

/// Asks for a fork to be made. False where the branch is not ready any more, or has as many as it may.
pub async fn want(client: &impl GenericClient, vault: &Vault, new: &NewFork<'_>) -> Result<bool, StoreError> {
    let recorded = query(
        "ask for a fork",
        "insert into forks (id, branch, generation, sha, state, database_name, password, waited_until)
         select $2, id, generation, database_sha, 'wanted', $3, $4, now() + make_interval(secs => $5)
         from branches
         where id = $1 and state = 'ready' and not reset_requested and ($6::text is null or head_sha = $6)
             and (select count(*) from forks
                  where branch = $1 and state in ('wanted', 'filling', 'spare', 'live')) < $7
         for share of branches",
    )
    .execute(
        client,
        &[
            &new.branch,
            &new.id,
            &new.database_name,
            &vault.encrypt(&Secret::generate()),
            &new.patience.as_secs_f64(),
            &new.sha.map(Oid::as_str),
            &new.limit,
        ],
    )
    .await?;
    Ok(recorded > 0)
}

/// What became of a fork that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    NotYet,
    Made(Handed),
    /// It will not be made: for this reason, or because its branch moved on.
    Refused(Option<String>),
}

/// Hands out a fork to whoever waited for it, if it is made. One that they waited too long for may be somebody else's.
pub async fn claim(
    client: &impl GenericClient,
    vault: &Vault,
    id: Uuid,
    ttl: Duration,
) -> Result<Wanted, StoreError> {
    let sealed: Option<Sealed> = query(
        "hand out a fork that was waited for",
        "with claimed as (
             update forks set state = 'live', waited_until = null, handed_out_at = now(),
                 expires_at = now() + make_interval(secs => $2)
             where id = $1 and state = 'spare'
             returning id, branch, state, database_name, password, expires_at, refusal
         )
         select * from claimed
         union all
         select id, branch, case state when 'live' then 'trash' else state end, database_name, password, expires_at, refusal
         from forks
         where id = $1 and not exists (select from claimed)",
    )
    .optional(client, &[&id, &ttl.as_secs_f64()])
    .await?;
    Ok(match sealed {
        None => Wanted::Refused(None),
        Some(sealed) => match sealed.state {
            ForkState::Live => Wanted::Made(sealed.open(vault)?),
            ForkState::Trash | ForkState::Dropped => Wanted::Refused(sealed.refusal),
            ForkState::Wanted | ForkState::Filling | ForkState::Spare => Wanted::NotYet,
        },
    })
}

/// Nobody waits for a fork any more: what is not begun is given up, what is made or being made is a spare of its branch.
pub async fn abandon(client: &impl GenericClient, id: Uuid) -> Result<(), StoreError> {
    query(
        "give up waiting for a fork",
        "update forks set waited_until = null,
             state = case state when 'wanted' then 'dropped' else state end,
             dropped_at = case state when 'wanted' then now() end,
             password = case state when 'wanted' then null else password end
         where id = $1 and state in ('wanted', 'filling', 'spare')",
    )
    .execute(client, &[&id])
    .await?;
    Ok(())
}

/// A fork that was handed out, with what its repository is called today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub repository: RepositoryName,
    pub fork: Fork,
}

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let repository = repository_name(row)?;
        Ok(Self { repository, fork: Fork::from_row(row)? })
    }
}

/// The live fork of an id.
pub async fn find_live(client: &impl GenericClient, id: Uuid) -> Result<Option<Found>, StoreError> {
    query(
        "find a fork",
        concat!(
            "select ",
            columns!(),
            ", repositories.owner, repositories.name
         from forks join branches on branches.id = forks.branch
             join repositories on repositories.github_id = branches.repository
         where forks.id = $1 and forks.state = 'live'"
        ),
    )
    .optional(client, &[&id])
    .await
}

/// The forks of a branch that are handed out, the first made first.
pub async fn live_of(client: &impl GenericClient, branch: BranchId) -> Result<Vec<Fork>, StoreError> {
    query(
        "list a branch's forks",
        concat!(
            "select ",
            columns!(),
            " from forks where branch = $1 and state = 'live' and handed_out_at is not null order by handed_out_at, id"
        ),
    )
    .all(client, &[&branch])
    .await
}
