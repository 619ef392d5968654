//! Spares: clones of a layer that wait for a branch, and how many of them were asked for lately.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::super::StoreError;
use super::super::branches::Credentials;
use super::super::query::{FromRow, get, query};
use super::{Instance, InstanceNames};
use crate::domain::branch::BranchId;
use crate::domain::layer::LayerKey;
use crate::domain::pool::Demand;
use crate::secret::Vault;

/// A spare that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewSpare<'a> {
    pub id: &'a str,
    pub layer: &'a LayerKey,
    pub names: &'a InstanceNames,
    pub credentials: &'a Credentials,
}

/// A spare that became a branch's, with the passwords that its roles have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub id: String,
    pub names: InstanceNames,
    pub credentials: Credentials,
    /// Whether the branch's own passwords are these now: no URL of it was ever handed out.
    pub adopted: bool,
}

/// What a template's pool holds and what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Stock {
    /// Spares that wait, and those on their way.
    pub spares: usize,
    pub demand: Demand,
}

/// What came of asking for a layer's spare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whether the layer stands; then it stays, for the branch needs it.
    pub stands: bool,
    /// How large the layer is, where that is known.
    pub layer_bytes: Option<i64>,
    pub spare: Option<Taken>,
}

struct SpareRow {
    id: String,
    names: InstanceNames,
    password: Vec<u8>,
    reader_password: Vec<u8>,
}

impl FromRow for SpareRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            names: InstanceNames { database: get(row, "database_name")?, role: get(row, "role_name")? },
            password: get(row, "password")?,
            reader_password: get(row, "reader_password")?,
        })
    }
}

impl SpareRow {
    fn open(self, vault: &Vault, adopted: bool) -> Result<Taken, StoreError> {
        let password = vault.decrypt(&self.password)?;
        let reader_password = vault.decrypt(&self.reader_password)?;
        let credentials = Credentials { password, reader_password };
        Ok(Taken { id: self.id, names: self.names, credentials, adopted })
    }
}

struct AskedRow {
    stands: bool,
    layer_bytes: Option<i64>,
    spare: Option<SpareRow>,
    adopted: bool,
}

impl FromRow for AskedRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let found: Option<String> = get(row, "id")?;
        Ok(Self {
            stands: get(row, "stands")?,
            layer_bytes: get(row, "layer_bytes")?,
            spare: found.map(|_| SpareRow::from_row(row)).transpose()?,
            adopted: get(row, "adopted")?,
        })
    }
}

/// Records a spare before it is made.
pub async fn fill(client: &impl GenericClient, vault: &Vault, new: &NewSpare<'_>) -> Result<(), StoreError> {
    let NewSpare { id, layer, names, credentials } = new;
    query(
        "record a spare",
        "insert into instances (id, state, layer, database_name, role_name, password, reader_password)
         values ($1, 'filling', $2, $3, $4, $5, $6)",
    )
    .execute(
        client,
        &[
            id,
            &layer.as_str(),
            &names.database,
            &names.role,
            &vault.encrypt(&credentials.password),
            &vault.encrypt(&credentials.reader_password),
        ],
    )
    .await?;
    Ok(())
}

/// Records that a spare waits. False where it was given up meanwhile.
pub async fn filled(client: &impl GenericClient, id: &str) -> Result<bool, StoreError> {
    let filled = query(
        "record that a spare waits",
        "update instances set state = 'spare' where id = $1 and state = 'filling' and layer is not null",
    )
    .execute(client, &[&id])
    .await?;
    Ok(filled > 0)
}

/// Makes the spare that waited longest a branch's, if the layer stands, and remembers that one was asked for and that the branch needs the
/// layer. A branch that never had a database takes over the spare's passwords as well.
///
/// The layer's row is locked before anything else, as whoever forgets a layer does, so that one which is found to stand stays.
pub async fn take(
    client: &impl GenericClient,
    vault: &Vault,
    layer: &LayerKey,
    branch: BranchId,
) -> Result<Asked, StoreError> {
    let row: Option<AskedRow> = query(
        "take a spare",
        "with standing as materialized (
             select key, size_bytes from layers where key = $1 and complete for key share
         ), taken as (
             update instances set state = 'preparing', branch = $2
             where id = (
                 select id from instances where state = 'spare' and layer = (select key from standing)
                 order by created_at, id limit 1 for update skip locked
             )
             returning id, database_name, role_name, password, reader_password
         ), noted as (
             insert into spare_demand (layer) select key from standing
         ), needing as (
             update branches set base_layer = $1,
                 password = case when taken.id is not null and generation = 0 and state <> 'deleted'
                     then taken.password else branches.password end,
                 reader_password = case when taken.id is not null and generation = 0 and state <> 'deleted'
                     then taken.reader_password else branches.reader_password end
             from (select count(*) from standing) as first left join taken on true
             where branches.id = $2
             returning generation = 0 and state <> 'deleted' as adopts
         )
         select exists (select from standing) as stands, (select size_bytes from standing) as layer_bytes, taken.id, taken.database_name, taken.role_name, taken.password,
             taken.reader_password, needing.adopts as adopted
         from needing left join taken on true",
    )
    .optional(client, &[&layer.as_str(), &branch])
    .await?;
    let missing = || StoreError::Missing(format!("branch {branch}"));
    let AskedRow { stands, layer_bytes, spare, adopted } = row.ok_or_else(missing)?;
    Ok(Asked { stands, layer_bytes, spare: spare.map(|spare| spare.open(vault, adopted)).transpose()? })
}

/// A layer's spares that are next to be taken, with their passwords.
pub async fn next(
    client: &impl GenericClient,
    vault: &Vault,
    layer: &LayerKey,
    count: usize,
) -> Result<Vec<Taken>, StoreError> {
    let rows: Vec<SpareRow> = query(
        "look at the spares that are next",
        "select id, database_name, role_name, password, reader_password
         from instances where state = 'spare' and layer = $1 order by created_at, id limit $2",
    )
    .all(client, &[&layer.as_str(), &i64::try_from(count).unwrap_or(i64::MAX)])
    .await?;
    rows.into_iter().map(|row| row.open(vault, false)).collect()
}

/// Forgets demand that no pool's size depends on any more.
pub async fn prune_demand(client: &impl GenericClient, before: DateTime<Utc>) -> Result<(), StoreError> {
    query("forget old demand", "delete from spare_demand where at < $1").execute(client, &[&before]).await?;
    Ok(())
}

struct StockRow {
    spares: i64,
    template: bool,
    lately: i64,
    idle_seconds: f64,
}

impl FromRow for StockRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            spares: get(row, "spares")?,
            template: get(row, "template")?,
            lately: get(row, "lately")?,
            idle_seconds: get(row, "idle_seconds")?,
        })
    }
}

/// What a layer's pool holds, and what decides how much it should. `within` is how far back demand counts as recent.
///
/// A template is pooled where the base is the repository's default branch, or at least two open pull requests are onto it: the base of a stack of
/// pull requests is not worth spares.
pub async fn stock(
    client: &impl GenericClient,
    layer: &LayerKey,
    within: Duration,
) -> Result<Stock, StoreError> {
    let row: StockRow = query(
        "look at a layer's pool",
        "select (select count(*) from instances where layer = $1 and state in ('filling', 'spare')) as spares,
             exists (
                 select from templates t join repositories r on r.github_id = t.repository
                 where t.layer = $1 and r.removed_at is null and (t.base_ref = r.default_branch or 2 <= (
                     select count(*) from pull_requests p
                     where p.repository = t.repository and p.base_ref = t.base_ref and p.open))
             ) as template,
             (select count(*) from spare_demand where layer = $1 and at > now() - make_interval(secs => $2)) as lately,
             coalesce(extract(epoch from now() - greatest(
                 (select max(at) from spare_demand where layer = $1),
                 (select max(updated_at) from templates where layer = $1))), 0)::float8 as idle_seconds",
    )
    .one(client, &[&layer.as_str(), &within.as_secs_f64()])
    .await?;
    let demand = Demand {
        template: row.template,
        lately: usize::try_from(row.lately).unwrap_or_default(),
        idle: Duration::try_from_secs_f64(row.idle_seconds).unwrap_or_default(),
    };
    Ok(Stock { spares: usize::try_from(row.spares).unwrap_or_default(), demand })
}

/// Takes up to `count` of a layer's spares out of the pool, the oldest last; they are trash from here on.
pub async fn drain(client: &impl GenericClient, layer: &LayerKey, count: usize) -> Result<usize, StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let drained = query(
        "drain spares",
        "update instances set state = 'trash', password = null, reader_password = null
         where id in (
             select id from instances where state = 'spare' and layer = $1
             order by created_at desc, id limit $2 for update skip locked
         )",
    )
    .execute(client, &[&layer.as_str(), &count])
    .await?;
    Ok(usize::try_from(drained).unwrap_or(usize::MAX))
}

/// A layer's spares on their way: at the start of the one job that makes them, these are a crash's.
pub async fn filling(client: &impl GenericClient, layer: &LayerKey) -> Result<Vec<Instance>, StoreError> {
    query(
        "list a layer's spares on their way",
        "select id, branch, state, database_name, role_name, created_at
         from instances where state = 'filling' and layer = $1 order by created_at, id",
    )
    .all(client, &[&layer.as_str()])
    .await
}

/// Gives up all spares of a layer that was found to be wrong, and those on their way.
pub async fn give_up(client: &impl GenericClient, layer: &LayerKey) -> Result<u64, StoreError> {
    query(
        "give a layer's spares up",
        "update instances set state = 'trash', password = null, reader_password = null
         where state in ('filling', 'spare') and layer = $1",
    )
    .execute(client, &[&layer.as_str()])
    .await
}

/// The spares that wait.
pub async fn waiting(client: &impl GenericClient) -> Result<Vec<Instance>, StoreError> {
    query(
        "list the spares",
        "select id, branch, state, database_name, role_name, created_at
         from instances where state = 'spare' order by created_at, id",
    )
    .all(client, &[])
    .await
}

/// Gives one spare up. False where a branch has taken it meanwhile: then it goes by another name.
pub async fn give_one_up(client: &impl GenericClient, id: &str) -> Result<bool, StoreError> {
    let given_up = query(
        "give a spare up",
        "update instances set state = 'trash', password = null, reader_password = null
         where id = $1 and state = 'spare'",
    )
    .execute(client, &[&id])
    .await?;
    Ok(given_up > 0)
}

/// Gives up the spares whose layer was forgotten. How many those were.
pub async fn drain_forgotten(client: &impl GenericClient) -> Result<u64, StoreError> {
    query(
        "drain the spares of forgotten layers",
        "update instances set state = 'trash', password = null, reader_password = null
         where state in ('filling', 'spare') and layer is null",
    )
    .execute(client, &[])
    .await
}

/// The layers that have spares, or should have: whose pools there are to look at.
pub async fn pooled_layers(client: &impl GenericClient) -> Result<Vec<LayerKey>, StoreError> {
    query(
        "list the pools",
        "select layer from templates union
         select layer from instances where state in ('filling', 'spare') and layer is not null",
    )
    .all(client, &[])
    .await
}
