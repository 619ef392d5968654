//! Templates: the layer of each base's tip, which new pull requests start from.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, query};
use crate::domain::ids::DatabaseLabel;
use crate::domain::layer::LayerKey;

/// Whose template it is: a database of a repository, for pull requests onto one base.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    pub repository: i64,
    pub database: &'a DatabaseLabel,
    pub base_ref: &'a str,
}

impl FromRow for LayerKey {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self::recorded(get::<String>(row, "layer")?))
    }
}

/// The template of a base.
pub async fn find(client: &impl GenericClient, base: Base<'_>) -> Result<Option<LayerKey>, StoreError> {
    query(
        "find a template",
        "select layer from templates where repository = $1 and database = $2 and base_ref = $3",
    )
    .optional(client, &[&base.repository, &base.database.as_str(), &base.base_ref])
    .await
}

/// Records what a base's template is from now on. A layer that was forgotten meanwhile is none.
pub async fn set(client: &impl GenericClient, base: Base<'_>, layer: &LayerKey) -> Result<(), StoreError> {
    query(
        "record a template",
        "insert into templates (repository, database, base_ref, layer)
         select $1, $2, $3, key from layers where key = $4
         on conflict (repository, database, base_ref) do update set layer = excluded.layer, updated_at = now()",
    )
    .execute(client, &[&base.repository, &base.database.as_str(), &base.base_ref, &layer.as_str()])
    .await?;
    Ok(())
}
