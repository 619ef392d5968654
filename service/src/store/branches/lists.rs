//! Branches by the many: for people, for the clock and for the figures.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::super::StoreError;
use super::super::page::{Page, PageRequest, Total};
use super::super::query::{FromRow, get, parsed, query, repository_name};
use super::credentials::{Credentials, Sealed};
use crate::domain::branch::Branch;
use crate::domain::ids::{DatabaseLabel, RepositoryName};
use crate::domain::state::BranchState;
use crate::secret::Vault;

/// Which branches a list is about. With no state asked for, the deleted ones are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub repository: Option<RepositoryName>,
    pub state: Option<BranchState>,
}

/// A branch in a list, with what its repository is called today.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub repository: RepositoryName,
    pub branch: Branch,
}

impl FromRow for Listed {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let repository = repository_name(row)?;
        Ok(Self { repository, branch: Branch::from_row(row)? })
    }
}

/// A branch that was asked for by name, and its passwords as they are kept: whoever asks for one mostly wants the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    pub repository: RepositoryName,
    pub branch: Branch,
    sealed: Sealed,
}

impl Named {
    /// The passwords of the branch, if it is not deleted.
    pub fn credentials(&self, vault: &Vault) -> Result<Credentials, StoreError> {
        self.sealed.open(self.branch.id, vault)
    }
}

impl FromRow for Named {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let Listed { repository, branch } = Listed::from_row(row)?;
        Ok(Self { repository, branch, sealed: Sealed::from_row(row)? })
    }
}

/// Branches, the last made first.
pub async fn list(
    client: &impl GenericClient,
    filter: &Filter,
    request: PageRequest,
) -> Result<Page<Listed>, StoreError> {
    let owner = filter.repository.as_ref().map(RepositoryName::owner);
    let name = filter.repository.as_ref().map(RepositoryName::name);
    let state = filter.state.map(BranchState::as_str);
    let items = query(
        "list the branches",
        concat!(
            "select ",
            columns!(),
            ",
             repositories.owner, repositories.name
         from branches join repositories on repositories.github_id = branches.repository
         where ($1::text is null or lower(repositories.owner) = lower($1))
             and ($2::text is null or lower(repositories.name) = lower($2))
             and (branches.state = $3 or ($3::text is null and branches.state <> 'deleted'))
         order by branches.id desc
         limit $4 offset $5"
        ),
    )
    .all(client, &[&owner, &name, &state, &request.limit(), &request.offset()])
    .await?;
    let Total(total) = query(
        "count the branches of a list",
        "select count(*) as total
         from branches join repositories on repositories.github_id = branches.repository
         where ($1::text is null or lower(repositories.owner) = lower($1))
             and ($2::text is null or lower(repositories.name) = lower($2))
             and (branches.state = $3 or ($3::text is null and branches.state <> 'deleted'))",
    )
    .one(client, &[&owner, &name, &state])
    .await?;
    Ok(Page { items, total, request })
}

/// The last branch, deleted or not, that a database of a pull request had, by what the repository goes by today; see
/// [`repositories::find_by_name`](super::super::repositories::find_by_name).
pub async fn find_by_name(
    client: &impl GenericClient,
    repository: &RepositoryName,
    number: i32,
    database: &DatabaseLabel,
) -> Result<Option<Named>, StoreError> {
    query(
        "find a branch by its repository's name",
        concat!(
            "select ",
            columns!(),
            ",
             known.owner, known.name, branches.password, branches.reader_password
         from (
             select github_id, owner, name from repositories where lower(owner) = lower($1) and lower(name) = lower($2)
             order by removed_at is not null, updated_at desc limit 1
         ) as known join branches on branches.repository = known.github_id
         where branches.pull_request = $3 and branches.database = $4
         order by branches.id desc
         limit 1"
        ),
    )
    .optional(client, &[&repository.owner(), &repository.name(), &number, &database.as_str()])
    .await
}

/// How many branches are in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub state: BranchState,
    pub branches: i64,
}

impl FromRow for Count {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { state: parsed(row, "state")?, branches: get(row, "branches")? })
    }
}

/// How many branches each state has, for the figures; a state that has none is left out.
pub async fn counts(client: &impl GenericClient) -> Result<Vec<Count>, StoreError> {
    query(
        "count the branches by state",
        "select state, count(*) as branches from branches where state <> 'deleted' group by state",
    )
    .all(client, &[])
    .await
}

struct Name(String);

impl FromRow for Name {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "database_name")?))
    }
}

/// The names that belong to branches which are not deleted.
pub async fn live_names(client: &impl GenericClient) -> Result<Vec<String>, StoreError> {
    let names: Vec<Name> =
        query("list the live branches' names", "select database_name from branches where state <> 'deleted'")
            .all(client, &[])
            .await?;
    Ok(names.into_iter().map(|Name(name)| name).collect())
}
