//! The databases on the branch server that stand for branches: waiting for one, on their way, at their place, or in the trash.

mod spares;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, parsed, query};
use crate::domain::branch::BranchId;

pub use spares::{
    Asked, NewSpare, Stock, Taken, drain, drain_forgotten, fill, filled, filling, give_one_up, give_up, next,
    pooled_layers, prune_demand, stock, take, waiting,
};

/// What an [`Instance`] is read from.
macro_rules! columns {
    () => {
        "id, branch, state, database_name, role_name, created_at"
    };
}

/// A database with its login role, by what it is called on the branch server now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub branch: Option<BranchId>,
    pub state: InstanceState,
    pub names: InstanceNames,
    pub created_at: DateTime<Utc>,
}

/// What an instance's database and login role are called. Both change when it is published and when it is thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceNames {
    pub database: String,
    pub role: String,
}

impl InstanceNames {
    /// A database and a role of the same name, as the engine names them.
    pub fn both(name: &str) -> Self {
        Self { database: name.to_owned(), role: name.to_owned() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// A spare on its way; left behind by a crash, it is only good for the trash.
    Filling,
    /// A clone of a layer that waits for a branch.
    Spare,
    /// A generation on its way; left behind by a crash, it is only good for the trash.
    Preparing,
    /// What the branch's URL leads to.
    Live,
    /// To be dropped.
    Trash,
}

impl InstanceState {
    const ALL: [Self; 5] = [Self::Filling, Self::Spare, Self::Preparing, Self::Live, Self::Trash];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Spare => "spare",
            Self::Preparing => "preparing",
            Self::Live => "live",
            Self::Trash => "trash",
        }
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for InstanceState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is not an instance's state"))
    }
}

impl FromRow for Instance {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            branch: get(row, "branch")?,
            state: parsed(row, "state")?,
            names: InstanceNames { database: get(row, "database_name")?, role: get(row, "role_name")? },
            created_at: get(row, "created_at")?,
        })
    }
}

/// Records a database that is about to be made, before it is: a crash then leaves nothing that is not known of.
pub async fn create(
    client: &impl GenericClient,
    id: &str,
    branch: BranchId,
    names: &InstanceNames,
) -> Result<Instance, StoreError> {
    query(
        "record an instance",
        concat!(
            "insert into instances (id, branch, state, database_name, role_name)
         values ($1, $2, 'preparing', $3, $4)
         returning ",
            columns!()
        ),
    )
    .one(client, &[&id, &branch, &names.database, &names.role])
    .await
}

/// Records that an instance took its branch's place under `published`, and that the one that had it is trash under
/// `trashed`. Says which that was.
pub async fn promote(
    tx: &impl GenericClient,
    id: &str,
    published: &InstanceNames,
    trashed: &InstanceNames,
    replaces: bool,
) -> Result<Option<Instance>, StoreError> {
    let replaced = match replaces {
        true => {
            query(
                "record that an instance lost its place",
                concat!(
                    "update instances set state = 'trash', database_name = $2, role_name = $3
                 where state = 'live' and id <> $1 and branch = (select branch from instances where id = $1)
                 returning ",
                    columns!()
                ),
            )
            .optional(tx, &[&id, &trashed.database, &trashed.role])
            .await?
        }
        false => None,
    };
    // Only now are the names free.
    let promoted = query(
        "record that an instance took its place",
        "update instances set state = 'live', database_name = $2, role_name = $3,
             password = null, reader_password = null
         where id = $1 and state in ('preparing', 'live')",
    )
    .execute(tx, &[&id, &published.database, &published.role])
    .await?;
    if promoted == 0 { Err(missing(id)) } else { Ok(replaced) }
}

/// Records that an instance is only good for being dropped, under the names that it has or was given for that.
pub async fn trash(client: &impl GenericClient, id: &str, names: &InstanceNames) -> Result<(), StoreError> {
    let trashed = query(
        "record that an instance is trash",
        "update instances set state = 'trash', database_name = $2, role_name = $3,
             password = null, reader_password = null
         where id = $1",
    )
    .execute(client, &[&id, &names.database, &names.role])
    .await?;
    if trashed == 0 { Err(missing(id)) } else { Ok(()) }
}

/// Records an instance that nobody knew of as trash: one in which a layer could not be made.
pub async fn abandon(client: &impl GenericClient, id: &str, names: &InstanceNames) -> Result<(), StoreError> {
    query(
        "record an abandoned instance",
        "insert into instances (id, state, database_name, role_name) values ($1, 'trash', $2, $3)",
    )
    .execute(client, &[&id, &names.database, &names.role])
    .await?;
    Ok(())
}

/// All that is to be dropped, the oldest first.
pub async fn all_trash(client: &impl GenericClient) -> Result<Vec<Instance>, StoreError> {
    query(
        "list the trash",
        concat!("select ", columns!(), " from instances where state = 'trash' order by created_at, id"),
    )
    .all(client, &[])
    .await
}

/// All that is recorded, for comparing it with the branch server.
pub async fn all(client: &impl GenericClient) -> Result<Vec<Instance>, StoreError> {
    query("list the instances", concat!("select ", columns!(), " from instances order by created_at, id"))
        .all(client, &[])
        .await
}

/// What a branch's URL leads to.
pub async fn live_of(client: &impl GenericClient, branch: BranchId) -> Result<Option<Instance>, StoreError> {
    query(
        "find a branch's live instance",
        concat!("select ", columns!(), " from instances where branch = $1 and state = 'live'"),
    )
    .optional(client, &[&branch])
    .await
}

/// What preparations of a branch left behind. Its jobs run one at a time, so at a job's start these are a crash's.
pub async fn preparing_of(
    client: &impl GenericClient,
    branch: BranchId,
) -> Result<Vec<Instance>, StoreError> {
    query(
        "list a branch's unfinished instances",
        concat!(
            "select ",
            columns!(),
            " from instances where branch = $1 and state = 'preparing' order by created_at, id"
        ),
    )
    .all(client, &[&branch])
    .await
}

/// All that stands, or may stand, for a branch.
pub async fn of_branch(client: &impl GenericClient, branch: BranchId) -> Result<Vec<Instance>, StoreError> {
    query(
        "list a branch's instances",
        "select id, branch, state, database_name, role_name, created_at
         from instances where branch = $1 order by created_at, id",
    )
    .all(client, &[&branch])
    .await
}

/// Forgets an instance that is dropped.
pub async fn forget(client: &impl GenericClient, id: &str) -> Result<(), StoreError> {
    query("forget an instance", "delete from instances where id = $1").execute(client, &[&id]).await?;
    Ok(())
}

fn missing(id: &str) -> StoreError {
    StoreError::Missing(format!("instance {id}"))
}
