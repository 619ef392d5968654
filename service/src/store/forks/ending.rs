//! The end of forks: what is to be dropped, and what is.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::StoreError;
use super::super::query::{FromRow, get, query};
use super::Fork;
use crate::domain::branch::BranchId;

/// Records that a fork that was handed out is only good for being dropped. False where none of that id is.
pub async fn discard(client: &impl GenericClient, id: Uuid) -> Result<bool, StoreError> {
    let discarded =
        query("discard a fork", "update forks set state = 'trash' where id = $1 and state = 'live'")
            .execute(client, &[&id])
            .await?;
    Ok(discarded > 0)
}

/// The same of those whose time is over.
pub async fn expire(client: &impl GenericClient) -> Result<u64, StoreError> {
    query(
        "discard the forks whose time is over",
        "update forks set state = 'trash' where state = 'live' and expires_at <= now()",
    )
    .execute(client, &[])
    .await
}

/// The same of spares of a state that is past, or older than the server's last start, and of pools that nobody has asked for an hour.
pub async fn drain(client: &impl GenericClient) -> Result<u64, StoreError> {
    query(
        "drain the pools of forks",
        "update forks set state = 'trash'
         from branches, snapshots
         where forks.state = 'spare' and branches.id = forks.branch and snapshots.key = forks.snapshot
             and ((branches.generation, branches.database_sha) is distinct from (forks.generation, forks.sha)
                 or forks.created_at < pg_postmaster_start_time()
                 or snapshots.used_at < now() - interval '1 hour')",
    )
    .execute(client, &[])
    .await
}

/// Gives up what nobody waits for any more and nobody has begun.
pub async fn give_up(client: &impl GenericClient) -> Result<u64, StoreError> {
    query(
        "give up forks that nobody waits for",
        "update forks set state = 'dropped', dropped_at = now(), password = null
         where state = 'wanted' and waited_until <= now()",
    )
    .execute(client, &[])
    .await
}

/// Condemns all forks of a branch that is being removed.
pub async fn condemn(client: &impl GenericClient, branch: BranchId) -> Result<(), StoreError> {
    super::refuse(client, branch, None, None).await?;
    query(
        "condemn a branch's forks",
        "update forks set state = 'trash' where branch = $1 and state in ('filling', 'spare', 'live')",
    )
    .execute(client, &[&branch])
    .await?;
    Ok(())
}

/// All that is to be dropped, the oldest first.
pub async fn all_trash(client: &impl GenericClient) -> Result<Vec<Fork>, StoreError> {
    query(
        "list the forks to drop",
        concat!("select ", columns!(), " from forks where state = 'trash' order by created_at, id"),
    )
    .all(client, &[])
    .await
}

/// Records that nothing is left of a fork.
pub async fn dropped(client: &impl GenericClient, id: Uuid) -> Result<(), StoreError> {
    query(
        "record that a fork is dropped",
        "update forks set state = 'dropped', dropped_at = now(), password = null, snapshot = null
         where id = $1 and state = 'trash'",
    )
    .execute(client, &[&id])
    .await?;
    Ok(())
}

/// Forgets what was dropped an hour ago; until then the pools are sized by it.
pub async fn prune(client: &impl GenericClient) -> Result<u64, StoreError> {
    query(
        "forget dropped forks",
        "delete from forks where state = 'dropped' and dropped_at < now() - interval '1 hour'",
    )
    .execute(client, &[])
    .await
}

struct Name(String);

impl FromRow for Name {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "database_name")?))
    }
}

/// The names of all that may stand on the branch server, for comparing them with it.
pub async fn names(client: &impl GenericClient) -> Result<Vec<String>, StoreError> {
    let names: Vec<Name> = query(
        "list the forks' names",
        "select database_name from forks where state in ('filling', 'spare', 'live', 'trash')",
    )
    .all(client, &[])
    .await?;
    Ok(names.into_iter().map(|Name(name)| name).collect())
}
