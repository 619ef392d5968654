//! Pull requests as last heard of.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

use super::StoreError;
use super::query::{FromRow, get, json_optional, parsed, parsed_optional, query};
use crate::domain::ids::{Oid, PullId};
use crate::domain::pull::{PullRequest, Wanted};
use crate::domain::report::Notice;

/// What a [`StoredPull`] is read from.
macro_rules! columns {
    () => {
        "repository, number, open, merged, draft, title, author, head_sha, head_ref,
         head_repository, from_fork, base_ref, base_sha, github_updated_at, approved_sha,
         approved_by, notice, unwanted_sha, wanted_anew, coalesce(head_since, github_updated_at) as head_since"
    };
}

/// The consent of a maintainer to run a fork's head commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub sha: Oid,
    pub by: String,
}

/// A pull request with what Offshoot itself knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPull {
    pub pull: PullRequest,
    /// When its head became what it is, by GitHub's clock, as far as that was heard of; never too early.
    pub head_since: DateTime<Utc>,
    pub approval: Option<Approval>,
    /// Said of it as a whole, where there is no branch to say it of.
    pub notice: Option<Notice>,
    /// The head for which somebody removed the branches: none are made before there is another, or they are asked for.
    pub unwanted_sha: Option<Oid>,
    /// They were asked for since, or something was pushed, and that was not looked at at this head.
    pub wanted_anew: bool,
}

impl FromRow for StoredPull {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let pull = PullRequest {
            id: PullId { repository: get(row, "repository")?, number: get(row, "number")? },
            open: get(row, "open")?,
            merged: get(row, "merged")?,
            draft: get(row, "draft")?,
            title: get(row, "title")?,
            author: get(row, "author")?,
            head_sha: parsed(row, "head_sha")?,
            head_ref: get(row, "head_ref")?,
            head_repository: parsed_optional(row, "head_repository")?,
            from_fork: get(row, "from_fork")?,
            base_ref: get(row, "base_ref")?,
            base_sha: parsed(row, "base_sha")?,
            updated_at: get(row, "github_updated_at")?,
        };
        let approval = match (parsed_optional(row, "approved_sha")?, get(row, "approved_by")?) {
            (Some(sha), Some(by)) => Some(Approval { sha, by }),
            _ => None,
        };
        let (unwanted_sha, wanted_anew) = (parsed_optional(row, "unwanted_sha")?, get(row, "wanted_anew")?);
        let (head_since, notice) = (get(row, "head_since")?, json_optional(row, "notice")?);
        Ok(Self { pull, head_since, approval, notice, unwanted_sha, wanted_anew })
    }
}

impl StoredPull {
    /// Who approved the head of a pull request that comes from a fork.
    pub fn approved_by(&self) -> Option<&str> {
        let approval = self.approval.as_ref().filter(|approval| approval.sha == self.pull.head_sha)?;
        self.pull.from_fork.then_some(&approval.by)
    }

    /// Whether databases are wanted of the head commit.
    pub fn wanted(&self) -> Wanted {
        match self.unwanted_sha.as_ref() == Some(&self.pull.head_sha) {
            false => Wanted::Yes,
            true if self.wanted_anew => Wanted::Anew,
            true => Wanted::No,
        }
    }
}

/// Storing a description, where what is stored already is as the guard wants it.
macro_rules! save {
    ($guard:literal) => {
        concat!(
            "insert into pull_requests (repository, number, open, merged, draft, title, author, head_sha, head_ref,
             head_repository, from_fork, base_ref, base_sha, github_updated_at, head_since)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
         on conflict (repository, number) do update set
             head_since = case when pull_requests.head_sha = excluded.head_sha
                 then coalesce(pull_requests.head_since, pull_requests.github_updated_at)
                 else excluded.head_since end,
             wanted_anew = pull_requests.wanted_anew or pull_requests.head_sha <> excluded.head_sha,
             open = excluded.open,
             merged = excluded.merged,
             draft = excluded.draft,
             title = excluded.title,
             author = excluded.author,
             head_sha = excluded.head_sha,
             head_ref = excluded.head_ref,
             head_repository = excluded.head_repository,
             from_fork = excluded.from_fork,
             base_ref = excluded.base_ref,
             base_sha = excluded.base_sha,
             github_updated_at = excluded.github_updated_at ",
            $guard,
            " returning ",
            columns!()
        )
    };
}

/// Stores GitHub's description; the approval and the notice stay. With another head, databases that somebody removed are wanted anew.
pub async fn save(client: &impl GenericClient, pull: &PullRequest) -> Result<StoredPull, StoreError> {
    query("store a pull request", save!("")).one(client, &Texts::of(pull).parameters(pull)).await
}

/// The same, unless somebody has stored another description since this one was seen, or any since there was none. Whether it was stored.
pub async fn save_over(
    client: &impl GenericClient,
    pull: &PullRequest,
    seen: Option<&PullRequest>,
) -> Result<bool, StoreError> {
    let statement = query(
        "store a pull request that was listed",
        save!(
            "where (pull_requests.github_updated_at, pull_requests.open, pull_requests.head_sha)
                 = ($15::timestamptz, $16::boolean, $17::text)"
        ),
    );
    let (seen_at, seen_open) = (seen.map(|seen| seen.updated_at), seen.map(|seen| seen.open));
    let seen_sha = seen.map(|seen| seen.head_sha.as_str());
    let texts = Texts::of(pull);
    let mut parameters = texts.parameters(pull).to_vec();
    parameters.extend([&seen_at as &(dyn ToSql + Sync), &seen_open, &seen_sha]);
    let stored: Option<StoredPull> = statement.optional(client, &parameters).await?;
    Ok(stored.is_some())
}

/// What of a pull request is stored as text.
struct Texts<'p> {
    head_sha: &'p str,
    head_repository: Option<String>,
    base_sha: &'p str,
}

impl<'p> Texts<'p> {
    fn of(pull: &'p PullRequest) -> Self {
        let head_repository = pull.head_repository.as_ref().map(ToString::to_string);
        Self { head_sha: pull.head_sha.as_str(), head_repository, base_sha: pull.base_sha.as_str() }
    }

    fn parameters<'a>(&'a self, pull: &'a PullRequest) -> [&'a (dyn ToSql + Sync); 14] {
        [
            &pull.id.repository,
            &pull.id.number,
            &pull.open,
            &pull.merged,
            &pull.draft,
            &pull.title,
            &pull.author,
            &self.head_sha,
            &pull.head_ref,
            &self.head_repository,
            &pull.from_fork,
            &pull.base_ref,
            &self.base_sha,
            &pull.updated_at,
        ]
    }
}

pub async fn find(client: &impl GenericClient, id: PullId) -> Result<Option<StoredPull>, StoreError> {
    query(
        "find a pull request",
        concat!("select ", columns!(), " from pull_requests where repository = $1 and number = $2"),
    )
    .optional(client, &[&id.repository, &id.number])
    .await
}

/// The open pull requests of a repository, by number.
pub async fn open_of(client: &impl GenericClient, repository: i64) -> Result<Vec<StoredPull>, StoreError> {
    query(
        "list a repository's open pull requests",
        concat!("select ", columns!(), " from pull_requests where repository = $1 and open order by number"),
    )
    .all(client, &[&repository])
    .await
}

/// The other open pull requests of the repository that have this head, by number.
pub async fn others_of_head(
    client: &impl GenericClient,
    id: PullId,
    sha: &Oid,
) -> Result<Vec<StoredPull>, StoreError> {
    query(
        "list other pull requests of a head",
        concat!(
            "select ",
            columns!(),
            " from pull_requests where repository = $1 and number <> $2 and open and head_sha = $3 order by number"
        ),
    )
    .all(client, &[&id.repository, &id.number, &sha.as_str()])
    .await
}

/// The open pull requests that go to one branch of a repository, by number.
pub async fn open_on_base(
    client: &impl GenericClient,
    repository: i64,
    base_ref: &str,
) -> Result<Vec<StoredPull>, StoreError> {
    query(
        "list the open pull requests onto a base",
        concat!(
            "select ",
            columns!(),
            " from pull_requests where repository = $1 and base_ref = $2 and open order by number"
        ),
    )
    .all(client, &[&repository, &base_ref])
    .await
}

pub async fn set_notice(
    client: &impl GenericClient,
    id: PullId,
    notice: Option<&Notice>,
) -> Result<(), StoreError> {
    let stored = query(
        "store what is said of a pull request",
        "update pull_requests set notice = $3 where repository = $1 and number = $2",
    )
    .execute(client, &[&id.repository, &id.number, &notice.map(Json)])
    .await?;
    known(stored, id)
}

/// Stores that no branch is wanted of a head.
pub async fn unwant(client: &impl GenericClient, id: PullId, sha: &Oid) -> Result<(), StoreError> {
    query(
        "store that a pull request's branches are not wanted",
        "update pull_requests set unwanted_sha = $3, wanted_anew = false where repository = $1 and number = $2",
    )
    .execute(client, &[&id.repository, &id.number, &sha.as_str()])
    .await?;
    Ok(())
}

/// Stores that the branches that were not wanted are asked for. A pull request that is not known wants them anyway.
pub async fn want_anew(client: &impl GenericClient, id: PullId) -> Result<(), StoreError> {
    query(
        "store that a pull request's branches are asked for again",
        "update pull_requests set wanted_anew = true
         where repository = $1 and number = $2 and unwanted_sha is not null",
    )
    .execute(client, &[&id.repository, &id.number])
    .await?;
    Ok(())
}

/// Stores that the branches of a head which were asked for again are there, whatever becomes of them. One that was ended meanwhile is not wanted.
pub async fn note_wanted(client: &impl GenericClient, id: PullId, sha: &Oid) -> Result<(), StoreError> {
    query(
        "store that a pull request's branches are there again",
        "update pull_requests set unwanted_sha = null, wanted_anew = false
         where repository = $1 and number = $2 and unwanted_sha = $3 and wanted_anew",
    )
    .execute(client, &[&id.repository, &id.number, &sha.as_str()])
    .await?;
    Ok(())
}

/// Stores that a maintainer lets a fork's head commit run. It holds for that commit alone.
pub async fn approve(client: &impl GenericClient, id: PullId, approval: &Approval) -> Result<(), StoreError> {
    let stored = query(
        "store an approval",
        "update pull_requests set approved_sha = $3, approved_by = $4 where repository = $1 and number = $2",
    )
    .execute(client, &[&id.repository, &id.number, &approval.sha.as_str(), &approval.by])
    .await?;
    known(stored, id)
}

fn known(rows: u64, id: PullId) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::Missing(format!("pull request {id}"))) } else { Ok(()) }
}
