//! The parts of GitHub's payloads that are looked into.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Malformed, malformed};
use crate::domain::github_json::{self, PullObject, RepositoryObject, UserObject};
use crate::domain::ids::Oid;
use crate::domain::pull::{Word, approval_asked};
use crate::domain::report::COMMENT_MARKER;
use crate::domain::repository::RepositoryFacts;

/// What any event's may have, in whatever form.
#[derive(Debug, Deserialize)]
pub(super) struct AnyPayload<'b> {
    #[serde(borrow)]
    action: Option<&'b RawValue>,
    #[serde(borrow)]
    repository: Option<&'b RawValue>,
    #[serde(borrow)]
    installation: Option<&'b RawValue>,
}

impl AnyPayload<'_> {
    pub(super) fn action(&self) -> Option<String> {
        read(self.action)
    }

    /// The repository, where the body has one as repositories are described.
    pub(super) fn repository(&self) -> Option<RepositoryFacts> {
        let installation = read::<InstallationObject>(self.installation);
        let id = installation.map(|installation| installation.id);
        github_json::repository(&read(self.repository)?, id).ok()
    }
}

/// A part that has the form looked for.
fn read<T: DeserializeOwned>(part: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(part?.get()).ok()
}

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
    #[serde(default)]
    pub action: String,
    pub issue: IssueObject,
    pub comment: CommentObject,
    pub changes: Option<CommentChanges>,
    pub repository: RepositoryObject,
    pub installation: Option<InstallationObject>,
    pub sender: UserObject,
}

impl CommentPayload {
    /// The word that a person gave by a new comment of their own. What an App or a bot writes may be anybody's text.
    pub(super) fn word(&self) -> Option<Word> {
        let comment = &self.comment;
        let text = comment.body.as_deref().filter(|text| !text.contains(COMMENT_MARKER))?;
        let commit = approval_asked(text)?;
        let author = comment.user.as_ref().filter(|author| author.login == self.sender.login)?;
        let is_person = author.kind.as_deref() == Some("User") && comment.performed_via_github_app.is_none();
        let is_new = self.action == "created" && self.issue.pull_request.is_some();
        let at = comment.created_at.filter(|_| is_person && is_new)?;
        Some(Word { by: author.login.clone(), at, commit })
    }
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
    pub user: Option<AuthorObject>,
    pub created_at: Option<DateTime<Utc>>,
    pub performed_via_github_app: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AuthorObject {
    pub login: String,
    /// `User`, `Bot` or `Organization`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
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
