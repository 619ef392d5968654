//! What a pull request is told, as values; GitHub's client only carries them over.

use serde::{Deserialize, Serialize};

use super::ids::Oid;

/// How a check run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    Success,
    /// The pull request's fault.
    Failure,
    /// Ours, or nothing to judge.
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
