//! The repositories that the service watches.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::query::{FromRow, get, query, repository_name};
use super::{StoreError, jobs, stalled};
use crate::domain::ids::RepositoryName;
use crate::domain::job::Job;
use crate::domain::repository::RepositoryFacts;

/// What a [`Repository`] is read from.
macro_rules! columns {
    () => {
        "github_id, owner, name, installation_id, default_branch,
         removed_at is not null as removed"
    };
}

/// A repository as last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub facts: RepositoryFacts,
    /// The App was uninstalled from it, or it was deleted.
    pub removed: bool,
}

impl Repository {
    /// Whether a description, which may leave out the installation and the default branch, says nothing new.
    pub fn is_known_as(&self, told: &RepositoryFacts) -> bool {
        let RepositoryFacts { github_id, name, installation, default_branch } = &self.facts;
        !self.removed
            && (github_id, name) == (&told.github_id, &told.name)
            && (told.installation.is_none() || *installation == told.installation)
            && (told.default_branch.is_empty() || *default_branch == told.default_branch)
    }
}

impl FromRow for Repository {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let name = repository_name(row)?;
        let facts = RepositoryFacts {
            github_id: get(row, "github_id")?,
            name,
            installation: get(row, "installation_id")?,
            default_branch: get(row, "default_branch")?,
        };
        Ok(Self { facts, removed: get(row, "removed")? })
    }
}

struct RemovedAt(DateTime<Utc>);

impl FromRow for RemovedAt {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "removed_at")?))
    }
}

/// Stores, in a transaction, what GitHub says of a repository, and takes it back where it was removed. What a cut-short description leaves out, the
/// installation and the default branch, keeps its stored value. Where nothing is new, nothing is written: many pull requests of one repository that
/// come at once would wait for one another's commits.
pub async fn upsert(client: &impl GenericClient, facts: &RepositoryFacts) -> Result<Repository, StoreError> {
    let stored: Repository = query(
        "store a repository",
        concat!(
            "with known as (
             select * from repositories
             where github_id = $1 and owner = $2 and name = $3
                 and installation_id is not distinct from coalesce($4, installation_id)
                 and default_branch = coalesce(nullif($5, ''), default_branch)
         ), written as (
             insert into repositories as stored (github_id, owner, name, installation_id, default_branch)
             select $1, $2, $3, $4, $5 where not exists (select from known)
             on conflict (github_id) do update set
                 owner = excluded.owner,
                 name = excluded.name,
                 installation_id = coalesce(excluded.installation_id, stored.installation_id),
                 default_branch = coalesce(nullif(excluded.default_branch, ''), stored.default_branch),
                 updated_at = now()
             returning *
         )
         select ",
            columns!(),
            " from known union all select ",
            columns!(),
            " from written"
        ),
    )
    .one(
        client,
        &[
            &facts.github_id,
            &facts.name.owner(),
            &facts.name.name(),
            &facts.installation,
            &facts.default_branch,
        ],
    )
    .await?;
    if stored.removed {
        take_back(client, facts.github_id).await?;
    }
    Ok(Repository { removed: false, ..stored })
}

/// Unmarks a removal. What went with the repository is wanted again, and what nobody could be told meanwhile is to be said.
async fn take_back(client: &impl GenericClient, github_id: i64) -> Result<(), StoreError> {
    let back: Option<RemovedAt> = query(
        "take a repository back",
        "with gone as (
             select removed_at from repositories where github_id = $1 and removed_at is not null for update
         )
         update repositories set removed_at = null, updated_at = now() from gone
         where github_id = $1 returning gone.removed_at",
    )
    .optional(client, &[&github_id])
    .await?;
    // Another took it back at the same time.
    let Some(RemovedAt(removed_at)) = back else { return Ok(()) };
    for pull in stalled::by_removal(client, github_id, removed_at).await? {
        jobs::enqueue(client, &Job::ReconcilePull(pull)).await?;
    }
    Ok(())
}

pub async fn find(client: &impl GenericClient, github_id: i64) -> Result<Option<Repository>, StoreError> {
    query(
        "find a repository by its number",
        concat!("select ", columns!(), " from repositories where github_id = $1"),
    )
    .optional(client, &[&github_id])
    .await
}

/// The repository that goes by a name today. Of several that were heard of under it, by renames and deletions, the one
/// that is there and was heard of last.
pub async fn find_by_name(
    client: &impl GenericClient,
    name: &RepositoryName,
) -> Result<Option<Repository>, StoreError> {
    query(
        "find a repository by its name",
        concat!(
            "select ",
            columns!(),
            " from repositories
         where lower(owner) = lower($1) and lower(name) = lower($2)
         order by removed_at is not null, updated_at desc
         limit 1"
        ),
    )
    .optional(client, &[&name.owner(), &name.name()])
    .await
}

/// Marks that a repository is out of an installation's reach; its branches are for a reconciliation to remove. False where it was marked already, or
/// is reached through another by now.
pub async fn mark_removed(
    client: &impl GenericClient,
    github_id: i64,
    installation: Option<i64>,
) -> Result<bool, StoreError> {
    let marked = query(
        "mark a repository as removed",
        "update repositories set removed_at = now(), updated_at = now()
         where github_id = $1 and removed_at is null and installation_id is not distinct from $2",
    )
    .execute(client, &[&github_id, &installation])
    .await?;
    Ok(marked > 0)
}

/// All repositories that are not removed, by name.
pub async fn list(client: &impl GenericClient) -> Result<Vec<Repository>, StoreError> {
    query(
        "list the repositories",
        concat!(
            "select ",
            columns!(),
            " from repositories where removed_at is null order by lower(owner), lower(name)"
        ),
    )
    .all(client, &[])
    .await
}

/// The repositories that went out of reach since a time, by name: an outage of GitHub may have looked like a removal.
pub async fn removed_since(
    client: &impl GenericClient,
    since: DateTime<Utc>,
) -> Result<Vec<Repository>, StoreError> {
    query(
        "list the repositories that were removed lately",
        concat!(
            "select ",
            columns!(),
            " from repositories where removed_at >= $1 order by lower(owner), lower(name)"
        ),
    )
    .all(client, &[&since])
    .await
}

/// The repositories reached through an installation of the App that are not removed, by name.
pub async fn of_installation(
    client: &impl GenericClient,
    installation: i64,
) -> Result<Vec<Repository>, StoreError> {
    query(
        "list the repositories of an installation",
        concat!(
            "select ",
            columns!(),
            "
         from repositories where installation_id = $1 and removed_at is null
         order by lower(owner), lower(name)"
        ),
    )
    .all(client, &[&installation])
    .await
}
