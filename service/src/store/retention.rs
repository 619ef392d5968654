//! Which layers are kept: who needs them, when they were used, what each was made from.

use chrono::{DateTime, Utc};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::StoreError;
use super::page::Total;
use super::query::{FromRow, get, query};
use crate::domain::branch::BranchId;
use crate::domain::layer::LayerKey;
use crate::domain::recipe::Recipe;
use crate::domain::retention::Kept;
use crate::domain::size::ByteSize;

/// Whether somebody starts from a layer: it is a base's tip, or the merge base of an open pull request. Names the row `layers`.
macro_rules! needed {
    () => {
        "(exists (
             select from templates join repositories on repositories.github_id = templates.repository
             where templates.layer = layers.key and repositories.removed_at is null
                 and (templates.base_ref = repositories.default_branch or exists (
                     select from pull_requests
                     where pull_requests.repository = templates.repository
                         and pull_requests.base_ref = templates.base_ref and pull_requests.open
                 ))
         ) or exists (
             select from branches join pull_requests
                 on pull_requests.repository = branches.repository
                 and pull_requests.number = branches.pull_request
             where branches.base_layer = layers.key and branches.state <> 'deleted' and pull_requests.open
         ))"
    };
}

/// By any repository's database.
macro_rules! last_used_at {
    () => {
        "coalesce((select max(last_used_at) from layer_uses where layer_uses.key = layers.key), layers.created_at)"
    };
}

impl FromRow for Kept {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: LayerKey::recorded(get::<String>(row, "key")?),
            size: size(row)?,
            last_used_at: get(row, "last_used_at")?,
            needed: get(row, "needed")?,
        })
    }
}

/// The column `size_bytes`; a layer that was not measured counts for nothing.
pub(super) fn size(row: &Row) -> Result<ByteSize, StoreError> {
    let bytes: Option<i64> = get(row, "size_bytes")?;
    Ok(ByteSize(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()))
}

/// Records what a layer is made from, and the layer that it is continued from.
pub async fn describe(
    tx: &Transaction<'_>,
    key: &LayerKey,
    recipe: &Recipe,
    parent: Option<&LayerKey>,
) -> Result<(), StoreError> {
    query("record a layer's recipe", "update layers set recipe = $2, parent = $3 where key = $1")
        .execute(tx, &[&key.as_str(), &Json(recipe), &parent.map(LayerKey::as_str)])
        .await?;
    Ok(())
}

/// Records the layer of a branch's merge base, whether it stands or not. Waits for whoever is about to forget that layer, so
/// that one which is found to stand afterwards stays.
pub async fn need(client: &impl GenericClient, branch: BranchId, key: &LayerKey) -> Result<(), StoreError> {
    query(
        "record which layer a branch needs",
        "with pinned as materialized (select key from layers where key = $2 for key share)
         update branches set base_layer = $2
         where id = $1 and (select count(*) from pinned) >= 0",
    )
    .execute(client, &[&branch, &key.as_str()])
    .await?;
    Ok(())
}

/// The complete layers, as far as keeping them goes.
pub async fn kept(client: &impl GenericClient) -> Result<Vec<Kept>, StoreError> {
    query(
        "list what is kept of layers",
        concat!(
            "select layers.key, layers.size_bytes, ",
            last_used_at!(),
            " as last_used_at, ",
            needed!(),
            " as needed
             from layers where layers.complete order by layers.key"
        ),
    )
    .all(client, &[])
    .await
}

/// Forgets a layer, unless somebody needs or used it since it was looked at. Until the transaction ends, nobody can begin to.
pub async fn forget_surplus(
    tx: &Transaction<'_>,
    key: &LayerKey,
    last_used_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    // A statement of its own: what is asked after the lock was waited for must be seen as it is then.
    query("lock a layer", "select key from layers where key = $1 for update")
        .execute(tx, &[&key.as_str()])
        .await?;
    let forgotten = query(
        "forget a layer that nobody needs",
        concat!("delete from layers where key = $1 and not ", needed!(), " and ", last_used_at!(), " <= $2"),
    )
    .execute(tx, &[&key.as_str(), &last_used_at])
    .await?;
    Ok(forgotten > 0)
}

struct Key(LayerKey);

impl FromRow for Key {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(LayerKey::recorded(get::<String>(row, "key")?)))
    }
}

/// The layers that were begun before a time and are not complete.
pub async fn unfinished(
    client: &impl GenericClient,
    begun_before: DateTime<Utc>,
) -> Result<Vec<LayerKey>, StoreError> {
    let keys: Vec<Key> = query(
        "list the unfinished layers",
        "select key from layers where not complete and created_at < $1 order by key",
    )
    .all(client, &[&begun_before])
    .await?;
    Ok(keys.into_iter().map(|Key(key)| key).collect())
}

/// Forgets a layer that was never finished.
pub async fn forget_unfinished(client: &impl GenericClient, key: &LayerKey) -> Result<bool, StoreError> {
    let forgotten = query("forget an unfinished layer", "delete from layers where key = $1 and not complete")
        .execute(client, &[&key.as_str()])
        .await?;
    Ok(forgotten > 0)
}

/// Records that a layer was replaced by a replay from empty. False where it was forgotten meanwhile.
pub async fn replaced(
    client: &impl GenericClient,
    key: &LayerKey,
    size_bytes: i64,
    build_ms: f64,
) -> Result<bool, StoreError> {
    let replaced = query(
        "record that a layer was replaced",
        "update layers set complete = true, parent = null, size_bytes = $2, build_ms = $3 where key = $1",
    )
    .execute(client, &[&key.as_str(), &size_bytes, &build_ms])
    .await?;
    Ok(replaced > 0)
}

/// How many branches that stand were built from a layer.
pub async fn branches_from(client: &impl GenericClient, key: &LayerKey) -> Result<i64, StoreError> {
    let Total(total) = query(
        "count a layer's branches",
        "select count(*) as total from branches where base_layer = $1 and state <> 'deleted'",
    )
    .one(client, &[&key.as_str()])
    .await?;
    Ok(total)
}

#[cfg(test)]
mod tests;
