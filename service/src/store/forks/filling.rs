//! Making forks: what is wanted, what is under way, what is made.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::StoreError;
use super::super::query::{FromRow, get, query, unreadable};
use super::Fork;
use crate::domain::branch::BranchId;
use crate::domain::fork::{Demand, Origin};
use crate::domain::layer::LayerKey;
use crate::secret::{Secret, Vault};

/// A fork that is to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commission {
    pub id: Uuid,
    pub database_name: String,
    pub password: Secret,
}

struct SealedCommission {
    id: Uuid,
    database_name: String,
    password: Option<Vec<u8>>,
}

impl FromRow for SealedCommission {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let password = get(row, "password")?;
        Ok(Self { id: get(row, "id")?, database_name: get(row, "database_name")?, password })
    }
}

impl SealedCommission {
    fn open(self, vault: &Vault) -> Result<Commission, StoreError> {
        let missing = || unreadable("password", "a fork that is being made has one");
        let password = vault.decrypt(&self.password.ok_or_else(missing)?)?;
        Ok(Commission { id: self.id, database_name: self.database_name, password })
    }
}

/// Takes up the fork of this state that somebody has waited longest for.
pub async fn accept(
    client: &impl GenericClient,
    vault: &Vault,
    origin: &Origin,
    snapshot: &LayerKey,
) -> Result<Option<Commission>, StoreError> {
    let accepted: Option<SealedCommission> = query(
        "take up a fork that is wanted",
        "update forks set state = 'filling', snapshot = $4
         where id = (
             select id from forks
             where branch = $1 and generation = $2 and sha = $3 and state = 'wanted' and waited_until > now()
             order by created_at
             limit 1
             for update skip locked
         )
         returning id, database_name, password",
    )
    .optional(client, &[&origin.branch, &origin.generation, &origin.sha.as_str(), &snapshot.as_str()])
    .await?;
    accepted.map(|sealed| sealed.open(vault)).transpose()
}

/// Records a spare that is about to be made. None where the branch has moved on: whoever removes a branch finds all that was recorded
/// for it before.
pub async fn spare(
    client: &impl GenericClient,
    vault: &Vault,
    origin: &Origin,
    snapshot: &LayerKey,
    id: Uuid,
    database_name: &str,
) -> Result<Option<Commission>, StoreError> {
    let recorded: Option<SealedCommission> = query(
        "record a spare fork",
        "insert into forks (id, branch, generation, sha, state, snapshot, database_name, password)
         select $5, id, generation, database_sha, 'filling', $4, $6, $7
         from branches
         where id = $1 and generation = $2 and database_sha = $3 and state = 'ready' and not reset_requested
         for share
         returning id, database_name, password",
    )
    .optional(
        client,
        &[
            &origin.branch,
            &origin.generation,
            &origin.sha.as_str(),
            &snapshot.as_str(),
            &id,
            &database_name,
            &vault.encrypt(&Secret::generate()),
        ],
    )
    .await?;
    recorded.map(|sealed| sealed.open(vault)).transpose()
}

struct Filling(bool);

impl FromRow for Filling {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "filling")?))
    }
}

/// Whether a fork is still to be made: it may have been condemned since.
pub async fn is_filling(client: &impl GenericClient, id: Uuid) -> Result<bool, StoreError> {
    let Filling(filling) = query(
        "look whether a fork is still to be made",
        "select exists (select from forks where id = $1 and state = 'filling') as filling",
    )
    .one(client, &[&id])
    .await?;
    Ok(filling)
}

/// Records that a fork is made. It is kept for whoever waits for it, for as long as they do.
pub async fn made(client: &impl GenericClient, id: Uuid) -> Result<(), StoreError> {
    query(
        "record that a fork is made",
        "update forks set state = 'spare' where id = $1 and state = 'filling'",
    )
    .execute(client, &[&id])
    .await?;
    Ok(())
}

/// The forks of a branch that were being made. Its jobs run one at a time, so at a job's start these are a crash's.
pub async fn leftovers(client: &impl GenericClient, branch: BranchId) -> Result<Vec<Fork>, StoreError> {
    query(
        "list a branch's unfinished forks",
        concat!(
            "select ",
            columns!(),
            " from forks where branch = $1 and state = 'filling' order by created_at, id"
        ),
    )
    .all(client, &[&branch])
    .await
}

/// Records that a half-made fork is dropped: it is wanted again where somebody still waits for it, and trash otherwise.
pub async fn release(client: &impl GenericClient, id: Uuid) -> Result<(), StoreError> {
    query(
        "release a half-made fork",
        "update forks set state = case when waited_until > now() then 'wanted' else 'trash' end
         where id = $1 and state = 'filling'",
    )
    .execute(client, &[&id])
    .await?;
    Ok(())
}

/// Tells those who wait for forks of a branch that they will not be made: all but those of its present state, or all. With a reason for
/// people, unless it is that the branch has moved on.
pub async fn refuse(
    client: &impl GenericClient,
    branch: BranchId,
    present: Option<&Origin>,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let generation = present.map(|origin| origin.generation);
    let sha = present.map(|origin| origin.sha.as_str());
    query(
        "refuse the forks that are wanted",
        "update forks set state = 'dropped', dropped_at = now(), password = null, refusal = $4
         where branch = $1 and state = 'wanted' and (generation, sha) is distinct from ($2, $3)",
    )
    .execute(client, &[&branch, &generation, &sha, &reason])
    .await?;
    Ok(())
}

impl FromRow for Demand {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            wanted: get(row, "wanted")?,
            spare: get(row, "spare")?,
            recent: get(row, "recent")?,
            standing: get(row, "standing")?,
        })
    }
}

/// What is asked for of a branch's present state, and what there is.
pub async fn demand(client: &impl GenericClient, origin: &Origin) -> Result<Demand, StoreError> {
    query(
        "count a branch's forks",
        "select
             count(*) filter (where present and state = 'wanted' and waited_until > now()) as wanted,
             count(*) filter (
                 where present and state in ('spare', 'filling') and coalesce(waited_until <= now(), true)) as spare,
             count(*) filter (where handed_out_at > now() - interval '10 minutes') as recent,
             count(*) filter (where state in ('wanted', 'filling', 'spare', 'live')) as standing
         from (select *, generation = $2 and sha = $3 as present from forks where branch = $1) as forks",
    )
    .one(client, &[&origin.branch, &origin.generation, &origin.sha.as_str()])
    .await
}
