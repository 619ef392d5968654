//! Forks that a process holds ready for whoever asks next: handed out in the tables before anybody has them, so that no crash can hand one out
//! twice. Until somebody has one, its `handed_out_at` is empty.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::StoreError;
use super::super::query::{FromRow, get, parsed, query, repository_name};
use crate::domain::branch::BranchId;
use crate::domain::ids::{DatabaseLabel, Oid, PullId, RepositoryName};
use crate::secret::{Secret, Vault};

/// A fork that is nobody's yet and is in nobody else's reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    pub id: Uuid,
    pub branch: BranchId,
    pub of: Present,
    pub database_name: String,
    pub password: Secret,
    /// By the database's clock, which decides when its time is over.
    pub at: DateTime<Utc>,
}

/// What a branch was when a fork of it was reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    pub repository: RepositoryName,
    pub pull: PullId,
    pub database: DatabaseLabel,
    /// For which it was ready.
    pub head: Oid,
}

struct Sealed {
    id: Uuid,
    branch: BranchId,
    of: Present,
    database_name: String,
    password: Vec<u8>,
    at: DateTime<Utc>,
}

impl FromRow for Sealed {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let repository = repository_name(row)?;
        let of = Present {
            repository,
            pull: PullId { repository: get(row, "repository")?, number: get(row, "pull_request")? },
            database: parsed(row, "database")?,
            head: parsed(row, "head_sha")?,
        };
        Ok(Self {
            id: get(row, "id")?,
            branch: get(row, "branch")?,
            of,
            database_name: get(row, "database_name")?,
            password: get(row, "password")?,
            at: get(row, "at")?,
        })
    }
}

impl Sealed {
    fn open(self, vault: &Vault) -> Result<Reserved, StoreError> {
        let Self { id, branch, of, database_name, password, at } = self;
        Ok(Reserved { id, branch, of, database_name, password: vault.decrypt(&password)?, at })
    }
}

/// Reserves a spare of a branch, as [`take`](super::take) hands one out. Should the process die, it is dropped when this time is over.
pub async fn reserve(
    client: &impl GenericClient,
    vault: &Vault,
    branch: BranchId,
    time: Duration,
) -> Result<Option<Reserved>, StoreError> {
    let reserved: Option<Sealed> = query(
        "reserve a spare fork",
        concat!(
            "with origin as (
             select branches.*, repositories.owner, repositories.name
             from branches join repositories on repositories.github_id = branches.repository
             where branches.id = $1 and branches.state = 'ready' and not branches.reset_requested
                 and repositories.removed_at is null
         )
         update forks set state = 'live', expires_at = now() + make_interval(secs => $2)
         from origin
         where forks.id = ",
            oldest_spare!(),
            "
         returning forks.id, forks.branch, forks.database_name, forks.password, origin.repository, origin.pull_request,
             origin.database, origin.head_sha, origin.owner, origin.name, now() as at"
        ),
    )
    .optional(client, &[&branch, &time.as_secs_f64()])
    .await?;
    reserved.map(|sealed| sealed.open(vault)).transpose()
}

/// Records that somebody has a fork that was reserved. Nothing changes where it is ended already.
pub async fn hand_over(
    client: &impl GenericClient,
    id: Uuid,
    at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    query(
        "record who has a fork",
        "update forks set handed_out_at = $2, expires_at = $3 where id = $1 and state = 'live' and handed_out_at is null",
    )
    .execute(client, &[&id, &at, &expires_at])
    .await?;
    Ok(())
}

/// Gives a fork that was reserved, and that nobody has, back to its pool.
pub async fn put_back(client: &impl GenericClient, id: Uuid) -> Result<(), StoreError> {
    query(
        "put back a fork",
        "update forks set state = 'spare', expires_at = null where id = $1 and state = 'live' and handed_out_at is null",
    )
    .execute(client, &[&id])
    .await?;
    Ok(())
}
