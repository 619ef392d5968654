//! The parts of GitHub's payloads that are looked into.

use serde::Deserialize;

use super::{Malformed, malformed};
use crate::domain::github_json::{PullObject, RepositoryObject, UserObject};
use crate::domain::ids::Oid;

#[derive(Debug, Deserialize)]
pub(super) struct InstallationObject {
    pub id: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullPayload {
    pub action: String,
    /// Where the head was before a push.
    pub before: Option<String>,
    pub pull_request: PullObject,
    pub repository: RepositoryObject,
    pub installation: Option<InstallationObject>,
    /// Of `labeled` alone.
    pub label: Option<LabelObject>,
    pub sender: Option<UserObject>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LabelObject {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct PushPayload {
    #[serde(rename = "ref")]
    pub git_ref: String,
    pub after: String,
    pub deleted: bool,
    pub repository: RepositoryObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct RepositoryPayload {
    pub repository: RepositoryObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct InstallationPayload {
    pub installation: InstallationObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommentPayload {
    pub issue: IssueObject,
    pub comment: CommentObject,
    pub changes: Option<CommentChanges>,
    pub repository: RepositoryObject,
    pub sender: UserObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct IssueObject {
    pub number: i32,
    /// Present where the issue is a pull request.
    pub pull_request: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommentObject {
    pub id: i64,
    pub body: Option<String>,
    pub user: Option<UserObject>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommentChanges {
    pub body: Option<ChangedText>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChangedText {
    pub from: String,
}

/// A `check_run` or a `check_suite` event's.
#[derive(Debug, Deserialize)]
pub(super) struct CheckPayload {
    pub check_run: Option<CheckRunObject>,
    pub check_suite: Option<CheckSuiteObject>,
    pub repository: RepositoryObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRunObject {
    pub name: String,
    pub head_sha: String,
    /// Offshoot's own note: `REPOSITORY_ID#NUMBER`.
    pub external_id: Option<String>,
    #[serde(default)]
    pub pull_requests: Vec<PullNumber>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckSuiteObject {
    pub head_sha: String,
    #[serde(default)]
    pub pull_requests: Vec<PullNumber>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullNumber {
    pub number: i32,
}

impl CheckPayload {
    /// The commit whose verdict it is about.
    pub(super) fn sha(&self, event: &str) -> Result<Oid, Malformed> {
        let of_run = self.check_run.as_ref().map(|run| &run.head_sha);
        let of_suite = self.check_suite.as_ref().map(|suite| &suite.head_sha);
        let sha = of_run.or(of_suite).ok_or_else(|| malformed(event, "it holds no check"))?;
        sha.parse().map_err(|error| malformed(event, error))
    }

    /// The pull requests that GitHub names; none for a head in a fork.
    pub(super) fn pull_numbers(&self) -> impl Iterator<Item = i32> {
        let of_run = self.check_run.iter().flat_map(|run| &run.pull_requests);
        let of_suite = self.check_suite.iter().flat_map(|suite| &suite.pull_requests);
        of_run.chain(of_suite).map(|pull| pull.number)
    }
}
