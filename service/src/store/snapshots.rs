//! The frozen ready states that branches' forks are cloned from.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, query};
use crate::domain::fork::Origin;
use crate::domain::layer::LayerKey;

/// What a [`Snapshot`] is read from.
macro_rules! columns {
    () => {
        "snapshots.key, snapshots.database_name, snapshots.owner_role, snapshots.complete"
    };
}

/// A frozen ready state as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub key: LayerKey,
    pub database_name: String,
    /// Owns what is in it and in the forks made from it; it cannot log in.
    pub owner_role: String,
    /// Set last: one that is not complete is being built, or was left behind.
    pub complete: bool,
}

impl FromRow for Snapshot {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: LayerKey::recorded(get::<String>(row, "key")?),
            database_name: get(row, "database_name")?,
            owner_role: get(row, "owner_role")?,
            complete: get(row, "complete")?,
        })
    }
}

/// Records a snapshot before it is built, or that one which stands is that of its branch's present state too. False where the branch has
/// moved on: whoever removes a branch finds all that was recorded for it before.
pub async fn record(
    client: &impl GenericClient,
    origin: &Origin,
    key: &LayerKey,
    database_name: &str,
    owner_role: &str,
) -> Result<bool, StoreError> {
    let recorded = query(
        "record a snapshot",
        "with origin as (
             select id, generation, database_sha from branches
             where id = $1 and generation = $2 and database_sha = $3 and state = 'ready' and not reset_requested
             for share
         )
         insert into snapshots (key, branch, generation, sha, database_name, owner_role)
         select $4, origin.id, origin.generation, origin.database_sha, $5, $6 from origin
         on conflict (key) do update
             set generation = excluded.generation, sha = excluded.sha, used_at = now()",
    )
    .execute(
        client,
        &[
            &origin.branch,
            &origin.generation,
            &origin.sha.as_str(),
            &key.as_str(),
            &database_name,
            &owner_role,
        ],
    )
    .await?;
    Ok(recorded > 0)
}

/// Records that a snapshot is built.
pub async fn complete(client: &impl GenericClient, key: &LayerKey) -> Result<(), StoreError> {
    let completed =
        query("record that a snapshot is complete", "update snapshots set complete = true where key = $1")
            .execute(client, &[&key.as_str()])
            .await?;
    if completed == 0 { Err(StoreError::Missing(format!("snapshot {key}"))) } else { Ok(()) }
}

pub async fn find(client: &impl GenericClient, key: &LayerKey) -> Result<Option<Snapshot>, StoreError> {
    query("find a snapshot", concat!("select ", columns!(), " from snapshots where key = $1"))
        .optional(client, &[&key.as_str()])
        .await
}

/// The complete snapshot of a branch's state, which is in use now.
pub async fn take_up(client: &impl GenericClient, origin: &Origin) -> Result<Option<Snapshot>, StoreError> {
    query(
        "find a branch's snapshot",
        concat!(
            "update snapshots set used_at = now()
         where branch = $1 and generation = $2 and sha = $3 and complete
         returning ",
            columns!()
        ),
    )
    .optional(client, &[&origin.branch, &origin.generation, &origin.sha.as_str()])
    .await
}

/// Those of which no fork stands, and none will be made: their branch has moved on, or nobody forked from it for an hour.
pub async fn unused(client: &impl GenericClient) -> Result<Vec<Snapshot>, StoreError> {
    query(
        "list the unused snapshots",
        concat!(
            "select ",
            columns!(),
            "
         from snapshots join branches on branches.id = snapshots.branch
         where not exists (select from forks where forks.snapshot = snapshots.key)
             and (branches.state in ('deleting', 'deleted')
                 or (branches.generation, branches.database_sha)
                     is distinct from (snapshots.generation, snapshots.sha)
                 or snapshots.used_at < now() - interval '1 hour')
         order by snapshots.key"
        ),
    )
    .all(client, &[])
    .await
}

/// Forgets a snapshot, before it is dropped. False where a fork of it is known after all: then it stays.
pub async fn forget(client: &impl GenericClient, key: &LayerKey) -> Result<bool, StoreError> {
    let forgotten = query(
        "forget a snapshot",
        "delete from snapshots
         where key = $1 and not exists (select from forks where forks.snapshot = snapshots.key)",
    )
    .execute(client, &[&key.as_str()])
    .await?;
    Ok(forgotten > 0)
}

struct Name(String);

impl FromRow for Name {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "database_name")?))
    }
}

/// The names of their databases, for comparing them with the branch server.
pub async fn names(client: &impl GenericClient) -> Result<Vec<String>, StoreError> {
    let names: Vec<Name> =
        query("list the snapshots' names", "select database_name from snapshots").all(client, &[]).await?;
    Ok(names.into_iter().map(|Name(name)| name).collect())
}
