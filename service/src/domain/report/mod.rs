//! What a pull request is told, as values; GitHub's client only carries them over.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::branch::Branch;
use super::failure::Failure;
use super::ids::{Oid, RepositoryName};
use super::pull::{PullRequest, Wanted};

mod comment;
mod expiry;
mod findings;
mod markdown;
mod verdict;

pub use comment::{comment, description};
pub use expiry::notice_of_end;
pub use verdict::{is_final, verdict};

/// How a check run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    Success,
    /// The pull request's fault.
    Failure,
    /// Nothing was tried: a maintainer has to allow it, or the policy gives it no database.
    ActionRequired,
    /// Nothing was tried or it did not come to an end: our trouble or no room, which go on by themselves, another commit, or the branch went.
    Cancelled,
    /// Nothing to judge. GitHub lets a pull request with it be merged as with a success.
    Neutral,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Queued,
    InProgress,
    Completed(Conclusion),
}

/// A failing line, shown by GitHub beside the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    pub path: String,
    /// Counted from 1.
    pub line: u32,
    pub title: String,
    pub message: String,
}

/// The verdict on one commit: a check run for an App, a commit status for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub sha: Oid,
    pub status: CheckStatus,
    /// One line, at most 140 characters: GitHub's limit for a commit status.
    pub title: String,
    /// Markdown, within [`TEXT_LIMIT`].
    pub summary: String,
    pub details_url: String,
    pub annotations: Vec<Annotation>,
}

/// The name of the check run, and the context of the commit status.
pub const CHECK_NAME: &str = "offshoot";

/// GitHub's limit for the text of a comment and of a check run's summary, in characters.
pub const TEXT_LIMIT: usize = 65_536;

/// By this the sticky comment is found again, even when the store was lost.
pub const COMMENT_MARKER: &str = "<!-- offshoot:report -->";

/// Said of a pull request as a whole, where there is no branch to say it of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// The repository has no chain of migrations; no comment is written for that.
    NoChain,
    /// The base's configuration, or which chains there are, has to be settled by people.
    Configuration { failure: Box<Failure> },
    /// GitHub or the service's own servers stand in the way; it is retried.
    Errored { message: String },
}

/// All that the report of one pull request is made from.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    pub repository: &'a RepositoryName,
    pub pull: &'a PullRequest,
    /// One for each database, in the order of their labels.
    pub branches: &'a [Branch],
    pub notice: Option<&'a Notice>,
    /// Of the head commit.
    pub wanted: Wanted,
    /// Who let the head commit of a fork run.
    pub approved_by: Option<&'a str>,
    /// Base of links to the dashboard, without a `/` at its end.
    pub public_url: &'a str,
    /// After how long a branch that nobody uses goes.
    pub idle_ttl: Option<TimeDelta>,
    pub now: DateTime<Utc>,
}

impl Subject<'_> {
    /// The pull request's page on the dashboard.
    pub fn dashboard_url(&self) -> String {
        dashboard_url(self.public_url, self.repository, self.pull.id.number)
    }
}

/// The page of a pull request's branches on the dashboard.
pub fn dashboard_url(public_url: &str, repository: &RepositoryName, number: i32) -> String {
    format!("{public_url}/repos/{repository}/pulls/{number}")
}

#[cfg(test)]
mod tests;
