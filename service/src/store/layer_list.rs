//! The layers as people look at them.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, query};
use super::retention::size;
use crate::domain::ids::RepositoryName;
use crate::domain::layer::LayerKey;
use crate::domain::size::ByteSize;

/// A layer with what matters of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedLayer {
    pub key: LayerKey,
    /// The layer that it was continued from.
    pub parent: Option<LayerKey>,
    pub database_name: String,
    /// Not complete: it is being built.
    pub complete: bool,
    pub migrations: i32,
    pub last_migration: Option<String>,
    pub seeds: i32,
    pub size: ByteSize,
    pub build_ms: Option<f64>,
    pub last_used_at: DateTime<Utc>,
    /// `OWNER/NAME` of those that use it.
    pub repositories: Vec<String>,
    /// As what: the tips of these bases, `OWNER/NAME base_ref`.
    pub tips: Vec<String>,
    pub spares: i64,
    /// That start from it now.
    pub branches: i64,
}

impl FromRow for ListedLayer {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: LayerKey::recorded(get::<String>(row, "key")?),
            parent: get::<Option<String>>(row, "parent")?.map(LayerKey::recorded),
            database_name: get(row, "database_name")?,
            complete: get(row, "complete")?,
            migrations: get(row, "migrations")?,
            last_migration: get(row, "last_migration")?,
            seeds: get(row, "seeds")?,
            size: size(row)?,
            build_ms: get(row, "build_ms")?,
            last_used_at: get(row, "last_used_at")?,
            repositories: get(row, "repositories")?,
            tips: get(row, "tips")?,
            spares: get(row, "spares")?,
            branches: get(row, "branches")?,
        })
    }
}

/// All layers, or those that a repository uses, the oldest first. Names of other repositories are left out of the latter.
pub async fn list(
    client: &impl GenericClient,
    repository: Option<&RepositoryName>,
) -> Result<Vec<ListedLayer>, StoreError> {
    query(
        "list the layers with their uses",
        "with seen as (
             select github_id, owner || '/' || name as full_name from repositories
             where $1::text is null or lower(owner || '/' || name) = lower($1)
         )
         select layers.key, parent, database_name, complete, jsonb_array_length(chain) as migrations,
             chain -> -1 ->> 'name' as last_migration, jsonb_array_length(seeded) as seeds, size_bytes, build_ms,
             coalesce((select max(last_used_at) from layer_uses where layer_uses.key = layers.key), created_at) as last_used_at,
             array(select distinct full_name from layer_uses join seen on github_id = repository
                   where layer_uses.key = layers.key order by 1) as repositories,
             array(select full_name || ' ' || base_ref from templates join seen on github_id = repository
                   where templates.layer = layers.key order by 1) as tips,
             (select count(*) from instances where instances.layer = layers.key and instances.state = 'spare') as spares,
             (select count(*) from branches join seen on github_id = repository
              where base_layer = layers.key and state <> 'deleted') as branches
         from layers
         where $1::text is null
             or exists (select from layer_uses join seen on github_id = repository where layer_uses.key = layers.key)
         order by created_at, layers.key",
    )
    .all(client, &[&repository.map(ToString::to_string)])
    .await
}
