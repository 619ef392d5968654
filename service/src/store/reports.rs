//! What each pull request was last told, so that it is told nothing twice and every check that began ends.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, parsed, query};
use crate::domain::ids::{Oid, PullId};

/// The sticky comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub github_id: i64,
    /// Of the text that it was last given.
    pub digest: String,
}

/// The verdict on one commit of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub sha: Oid,
    /// The check run's number; none where the verdict is a commit status.
    pub github_id: Option<i64>,
    pub ended: bool,
    /// Of what it was last told.
    pub digest: String,
}

impl FromRow for Comment {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { github_id: get(row, "github_id")?, digest: get(row, "digest")? })
    }
}

impl FromRow for Check {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            sha: parsed(row, "sha")?,
            github_id: get(row, "github_id")?,
            ended: get(row, "ended")?,
            digest: get(row, "digest")?,
        })
    }
}

pub async fn find_comment(client: &impl GenericClient, pull: PullId) -> Result<Option<Comment>, StoreError> {
    query(
        "find a pull request's comment",
        "select github_id, digest from comments where repository = $1 and pull_request = $2",
    )
    .optional(client, &[&pull.repository, &pull.number])
    .await
}

pub async fn save_comment(
    client: &impl GenericClient,
    pull: PullId,
    comment: &Comment,
) -> Result<(), StoreError> {
    query(
        "remember a pull request's comment",
        "insert into comments (repository, pull_request, github_id, digest) values ($1, $2, $3, $4)
         on conflict (repository, pull_request)
         do update set github_id = excluded.github_id, digest = excluded.digest, updated_at = now()",
    )
    .execute(client, &[&pull.repository, &pull.number, &comment.github_id, &comment.digest])
    .await?;
    Ok(())
}

/// Forgets a comment that is gone or was changed by somebody else, so that the next report says it anew.
pub async fn forget_comment(client: &impl GenericClient, pull: PullId) -> Result<(), StoreError> {
    query(
        "forget a pull request's comment",
        "delete from comments where repository = $1 and pull_request = $2",
    )
    .execute(client, &[&pull.repository, &pull.number])
    .await?;
    Ok(())
}

pub async fn find_check(
    client: &impl GenericClient,
    pull: PullId,
    sha: &Oid,
) -> Result<Option<Check>, StoreError> {
    query(
        "find a check",
        "select sha, github_id, ended, digest from checks
         where repository = $1 and pull_request = $2 and sha = $3",
    )
    .optional(client, &[&pull.repository, &pull.number, &sha.as_str()])
    .await
}

pub async fn save_check(client: &impl GenericClient, pull: PullId, check: &Check) -> Result<(), StoreError> {
    query(
        "remember a check",
        "insert into checks (repository, pull_request, sha, github_id, ended, digest)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (repository, pull_request, sha) do update set
             github_id = excluded.github_id,
             ended = excluded.ended,
             digest = excluded.digest,
             updated_at = now()",
    )
    .execute(
        client,
        &[&pull.repository, &pull.number, &check.sha.as_str(), &check.github_id, &check.ended, &check.digest],
    )
    .await?;
    Ok(())
}

/// Forgets what a commit was told, and no check run: its check was asked for again, so that the next report says it anew, and one whose commit is no
/// longer the head has to end all the same.
pub async fn reopen_check(client: &impl GenericClient, pull: PullId, sha: &Oid) -> Result<(), StoreError> {
    query(
        "reopen a check",
        "update checks set ended = false, digest = '', updated_at = now()
         where repository = $1 and pull_request = $2 and sha = $3",
    )
    .execute(client, &[&pull.repository, &pull.number, &sha.as_str()])
    .await?;
    Ok(())
}

/// The checks of a pull request that began and have not ended, the oldest first.
pub async fn unended_checks(client: &impl GenericClient, pull: PullId) -> Result<Vec<Check>, StoreError> {
    query(
        "list a pull request's unended checks",
        "select sha, github_id, ended, digest from checks
         where repository = $1 and pull_request = $2 and not ended order by updated_at, sha",
    )
    .all(client, &[&pull.repository, &pull.number])
    .await
}
