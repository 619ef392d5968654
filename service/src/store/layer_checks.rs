//! Comparisons of layers with replays from empty.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::StoreError;
use super::query::{FromRow, get, json, json_optional, parsed, query};
use crate::domain::chain::Chain;
use crate::domain::fingerprint::CheckOutcome;
use crate::domain::layer::LayerKey;
use crate::domain::recipe::Recipe;
use crate::domain::seed::SeededFile;

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerCheck {
    pub key: LayerKey,
    pub outcome: CheckOutcome,
    pub findings: Vec<String>,
    pub took_ms: f64,
    pub checked_at: DateTime<Utc>,
}

impl FromRow for LayerCheck {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: LayerKey::recorded(get::<String>(row, "key")?),
            outcome: parsed(row, "outcome")?,
            findings: json(row, "findings")?,
            took_ms: get(row, "took_ms")?,
            checked_at: get(row, "checked_at")?,
        })
    }
}

/// A layer whose turn it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub key: LayerKey,
    pub database_name: String,
    pub owner_role: String,
    pub chain: Chain,
    pub seeded: Vec<SeededFile>,
    /// None for a layer from before this was kept.
    pub recipe: Option<Recipe>,
    /// It was continued from another layer and not checked since.
    pub unproven: bool,
}

impl FromRow for Candidate {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: LayerKey::recorded(get::<String>(row, "key")?),
            database_name: get(row, "database_name")?,
            owner_role: get(row, "owner_role")?,
            chain: json(row, "chain")?,
            seeded: json(row, "seeded")?,
            recipe: json_optional(row, "recipe")?,
            unproven: get(row, "unproven")?,
        })
    }
}

/// The complete layers that were not checked since a time: first those that were continued and never proven, then bases' tips,
/// then the rest, each by how long ago it was checked.
pub async fn due(
    client: &impl GenericClient,
    checked_before: DateTime<Utc>,
) -> Result<Vec<Candidate>, StoreError> {
    query(
        "list the layers to check",
        "select layers.key, layers.database_name, layers.owner_role, layers.chain, layers.seeded, layers.recipe,
             layers.parent is not null and last.checked_at is null as unproven
         from layers left join lateral (
             select max(checked_at) as checked_at from layer_checks where layer_checks.key = layers.key
         ) as last on true
         where layers.complete and (last.checked_at is null or last.checked_at < $1)
         order by unproven desc, exists (select from templates where templates.layer = layers.key) desc,
             last.checked_at nulls first, layers.key",
    )
    .all(client, &[&checked_before])
    .await
}

/// Records what a check came to.
pub async fn record(
    client: &impl GenericClient,
    key: &LayerKey,
    outcome: CheckOutcome,
    findings: &[String],
    took_ms: f64,
) -> Result<(), StoreError> {
    query(
        "record the check of a layer",
        "insert into layer_checks (key, outcome, findings, took_ms) values ($1, $2, $3, $4)",
    )
    .execute(client, &[&key.as_str(), &outcome.as_str(), &Json(findings), &took_ms])
    .await?;
    Ok(())
}

/// The last check of a layer.
pub async fn last(client: &impl GenericClient, key: &LayerKey) -> Result<Option<LayerCheck>, StoreError> {
    query(
        "find the last check of a layer",
        "select key, outcome, findings, took_ms, checked_at from layer_checks
         where key = $1 order by id desc limit 1",
    )
    .optional(client, &[&key.as_str()])
    .await
}

/// Whether a layer of this key was found to be wrong and not proven right since. Its like is built from empty.
pub async fn is_condemned(client: &impl GenericClient, key: &LayerKey) -> Result<bool, StoreError> {
    let decisive: Option<LayerCheck> = query(
        "look for what was found of a layer",
        "select key, outcome, findings, took_ms, checked_at from layer_checks
         where key = $1 and outcome <> 'unstable' order by id desc limit 1",
    )
    .optional(client, &[&key.as_str()])
    .await?;
    Ok(decisive.is_some_and(|check| check.outcome.condemns()))
}

/// The last check of each layer that stands, and the last ones that found something.
pub async fn for_people(client: &impl GenericClient) -> Result<Vec<LayerCheck>, StoreError> {
    query(
        "list the checks of layers",
        "select key, outcome, findings, took_ms, checked_at from layer_checks
         where id in (select max(id) from layer_checks join layers using (key) group by key)
             or id in (select id from layer_checks where outcome <> 'same' order by id desc limit 20)
         order by id desc",
    )
    .all(client, &[])
    .await
}

/// Forgets the checks before a time, but for the last that said something of each layer.
pub async fn prune(client: &impl GenericClient, before: DateTime<Utc>) -> Result<u64, StoreError> {
    query(
        "forget old checks of layers",
        "delete from layer_checks where checked_at < $1 and id not in (
             select max(id) from layer_checks where outcome <> 'unstable' group by key
         )",
    )
    .execute(client, &[&before])
    .await
}
