//! The frozen databases on the branch server, and whose branches start from them.

use chrono::{DateTime, Utc};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::StoreError;
use super::query::{FromRow, get, json, query};
use crate::domain::chain::Chain;
use crate::domain::ids::DatabaseLabel;
use crate::domain::layer::LayerKey;
use crate::domain::seed::SeededFile;

/// What a [`Layer`] is read from, but for its last use.
macro_rules! columns {
    () => {
        "layers.key, layers.database_name, layers.owner_role, layers.chain, layers.seeded,
         layers.complete, layers.size_bytes, layers.build_ms, layers.created_at"
    };
}

/// A frozen database as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub key: LayerKey,
    pub database_name: String,
    /// Owns what is in it; it cannot log in.
    pub owner_role: String,
    pub chain: Chain,
    pub seeded: Vec<SeededFile>,
    /// Set last: one that is not complete is being built, or was left behind.
    pub complete: bool,
    pub size_bytes: Option<i64>,
    pub build_ms: Option<f64>,
    pub created_at: DateTime<Utc>,
    /// By any repository's database.
    pub last_used_at: DateTime<Utc>,
}

impl FromRow for Layer {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: LayerKey::recorded(get::<String>(row, "key")?),
            database_name: get(row, "database_name")?,
            owner_role: get(row, "owner_role")?,
            chain: json(row, "chain")?,
            seeded: json(row, "seeded")?,
            complete: get(row, "complete")?,
            size_bytes: get(row, "size_bytes")?,
            build_ms: get(row, "build_ms")?,
            created_at: get(row, "created_at")?,
            last_used_at: get(row, "last_used_at")?,
        })
    }
}

/// A layer that is about to be built.
#[derive(Debug, Clone, Copy)]
pub struct NewLayer<'a> {
    pub key: &'a LayerKey,
    pub database_name: &'a str,
    pub owner_role: &'a str,
    pub chain: &'a Chain,
    pub seeded: &'a [SeededFile],
}

/// Records a layer and who wants it, before it is built. One that is recorded already stays as it is.
pub async fn record(
    tx: &Transaction<'_>,
    new: &NewLayer<'_>,
    repository: i64,
    database: &DatabaseLabel,
) -> Result<(), StoreError> {
    query(
        "record a layer",
        "insert into layers (key, database_name, owner_role, chain, seeded) values ($1, $2, $3, $4, $5)
         on conflict (key) do nothing",
    )
    .execute(
        tx,
        &[&new.key.as_str(), &new.database_name, &new.owner_role, &Json(new.chain), &Json(new.seeded)],
    )
    .await?;
    touch(tx, new.key, repository, database).await
}

/// Records that a layer is built: what it holds is frozen from here on.
pub async fn complete(
    client: &impl GenericClient,
    key: &LayerKey,
    size_bytes: i64,
    build_ms: f64,
) -> Result<(), StoreError> {
    let completed = query(
        "record that a layer is complete",
        "update layers set complete = true, size_bytes = $2, build_ms = $3 where key = $1",
    )
    .execute(client, &[&key.as_str(), &size_bytes, &build_ms])
    .await?;
    if completed == 0 { Err(StoreError::Missing(format!("layer {key}"))) } else { Ok(()) }
}

/// Records that a repository's database uses a layer now.
pub async fn touch(
    client: &impl GenericClient,
    key: &LayerKey,
    repository: i64,
    database: &DatabaseLabel,
) -> Result<(), StoreError> {
    query(
        "record the use of a layer",
        "insert into layer_uses (key, repository, database) values ($1, $2, $3)
         on conflict (repository, database, key) do update set last_used_at = now()",
    )
    .execute(client, &[&key.as_str(), &repository, &database.as_str()])
    .await?;
    Ok(())
}

pub async fn find(client: &impl GenericClient, key: &LayerKey) -> Result<Option<Layer>, StoreError> {
    query(
        "find a layer",
        concat!(
            "select ",
            columns!(),
            ",
             coalesce(max(layer_uses.last_used_at), layers.created_at) as last_used_at
         from layers left join layer_uses on layer_uses.key = layers.key
         where layers.key = $1
         group by layers.key"
        ),
    )
    .optional(client, &[&key.as_str()])
    .await
}

/// Whether a layer is recorded as complete.
pub async fn is_complete(client: &impl GenericClient, key: &LayerKey) -> Result<bool, StoreError> {
    let touched = query("ask whether a layer is complete", "select from layers where key = $1 and complete")
        .execute(client, &[&key.as_str()])
        .await?;
    Ok(touched > 0)
}

/// The complete layers that a repository's database has used, the last used first: what the planner may start from.
pub async fn at_hand(
    client: &impl GenericClient,
    repository: i64,
    database: &DatabaseLabel,
) -> Result<Vec<Layer>, StoreError> {
    query(
        "list the layers of a database",
        concat!(
            "select ",
            columns!(),
            ", layer_uses.last_used_at
         from layers join layer_uses on layer_uses.key = layers.key
         where layer_uses.repository = $1 and layer_uses.database = $2 and layers.complete
         order by layer_uses.last_used_at desc, layers.key"
        ),
    )
    .all(client, &[&repository, &database.as_str()])
    .await
}

/// All layers, complete or not, the last used first.
pub async fn all(client: &impl GenericClient) -> Result<Vec<Layer>, StoreError> {
    query(
        "list the layers",
        concat!(
            "select ",
            columns!(),
            ",
             coalesce(max(layer_uses.last_used_at), layers.created_at) as last_used_at
         from layers left join layer_uses on layer_uses.key = layers.key
         group by layers.key
         order by last_used_at desc, layers.key"
        ),
    )
    .all(client, &[])
    .await
}

/// Forgets a layer that is dropped, and its uses.
pub async fn forget(client: &impl GenericClient, key: &LayerKey) -> Result<(), StoreError> {
    query("forget a layer", "delete from layers where key = $1").execute(client, &[&key.as_str()]).await?;
    Ok(())
}

/// The same by the layer's name on the server, which is all that a failed clone knows of it.
pub async fn forget_database(client: &impl GenericClient, database_name: &str) -> Result<(), StoreError> {
    query("forget a layer by its name", "delete from layers where database_name = $1")
        .execute(client, &[&database_name])
        .await?;
    Ok(())
}
