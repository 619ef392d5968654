//! How long branches live, and whether they are used.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::super::StoreError;
use super::super::query::{FromRow, get, query};
use super::missing;
use crate::domain::branch::BranchId;
use crate::domain::expiry::{self, Lifetime};
use crate::domain::ids::PullId;

/// A branch, as far as its end is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aging {
    pub id: BranchId,
    pub pull: PullId,
    pub database_name: String,
    pub lifetime: Lifetime,
    /// How many sessions its database had had when it was last looked at; none before the first look.
    pub sessions_seen: Option<i64>,
}

impl FromRow for Aging {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            pull: PullId { repository: get(row, "repository")?, number: get(row, "pull_request")? },
            database_name: get(row, "database_name")?,
            lifetime: Lifetime {
                protected: get(row, "protected")?,
                expires_at: get(row, "expires_at")?,
                told_from: get(row, "expiry_told_from")?,
                active_at: get(row, "active_at")?,
            },
            sessions_seen: get(row, "sessions_seen")?,
        })
    }
}

/// All that are not being removed. One without a database is never idle.
pub async fn aging(client: &impl GenericClient) -> Result<Vec<Aging>, StoreError> {
    query(
        "list how long the branches live",
        "select id, repository, pull_request, database_name, protected, expires_at, expiry_told_from,
             case when database_sha is not null then active_at end as active_at, sessions_seen
         from branches where state not in ('deleting', 'deleted') order by id",
    )
    .all(client, &[])
    .await
}

/// Remembers how many sessions a branch's database had had, and that it is in use if there are new ones, if one is open, or if somebody has a
/// fork of it. When it was last seen in use then.
pub async fn note_sessions(
    client: &impl GenericClient,
    id: BranchId,
    sessions: i64,
    open: bool,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let noted: Option<ActiveAt> = query(
        "note whether a branch is used",
        "update branches set
             sessions_seen = $2,
             active_at = case
                 when $3 or active_at is null or sessions_seen is distinct from $2
                     or exists (select from forks
                         where forks.branch = branches.id and forks.state = 'live' and forks.handed_out_at is not null)
                 then greatest(active_at, now()) else active_at end
         where id = $1 returning active_at",
    )
    .optional(client, &[&id, &sessions, &open])
    .await?;
    Ok(noted.and_then(|ActiveAt(at)| at))
}

struct ActiveAt(Option<DateTime<Utc>>);

impl FromRow for ActiveAt {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "active_at")?))
    }
}

/// Protects a branch from its expiry, or ends that.
pub async fn set_protected(
    client: &impl GenericClient,
    id: BranchId,
    protected: bool,
) -> Result<(), StoreError> {
    let changed =
        query("protect a branch", "update branches set protected = $2, updated_at = now() where id = $1")
            .execute(client, &[&id, &protected])
            .await?;
    if changed == 0 { Err(missing(id)) } else { Ok(()) }
}

/// Moves the time at which a branch is removed although its pull request is open; until then it is not idle either.
pub async fn set_expiry(
    client: &impl GenericClient,
    id: BranchId,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let told_from = expiry::told_from(Utc::now(), expires_at);
    let changed = query(
        "move a branch's expiry",
        "update branches set expires_at = $2, expiry_told_from = $3, active_at = $2, updated_at = now() where id = $1",
    )
    .execute(client, &[&id, &expires_at, &told_from])
    .await?;
    if changed == 0 { Err(missing(id)) } else { Ok(()) }
}
