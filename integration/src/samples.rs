//! Five sample repositories and the stories of their pull requests: what the tests play and the demo shows.
//!
//! They are plain files under `samples/<name>/`: `base/` is the first tree of the default branch,
//! `pulls/<nn-slug>/<overlay>/` what a step of a pull request writes over it, and `story.toml` says in which order,
//! and what is true afterwards. The pull requests of a sample are told one after the other: what one merges or pushes
//! to the base is there for the next.

mod files;
mod story;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};

pub use files::{Files, Moment};

use crate::git::Change;

static SAMPLES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/samples");

/// A repository and what happens in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub owner: String,
    pub name: String,
    pub default_branch: String,
    /// The directory of its Prisma migrations, from the repository's root.
    pub migrations: String,
    /// The first commit of the default branch.
    pub base: Vec<Change>,
    pub pulls: Vec<PullStory>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullStory {
    /// The directory of its overlays, which also numbers it: `02-message-status`.
    pub slug: String,
    pub title: String,
    pub author: String,
    pub head_ref: String,
    /// The branch it is opened onto: the default branch, or the head of another pull request.
    pub base_ref: String,
    /// The owner of the fork its head is in, if it is in one.
    pub from_fork: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    /// Of the commit that the step makes, where it makes one.
    pub message: Option<String>,
    /// Renames, then removals, then files written: in this order, as one commit.
    pub changes: Vec<Change>,
    pub expect: Option<Expectation>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Branch off the base's tip, commit the changes, open the pull request.
    Open,
    /// Commit the changes to the head.
    Push,
    /// Commit the changes to the pull request's base, as somebody else would.
    PushToBase,
    /// Rebuild the head as one commit on the base's tip: everything the pull request changed so far, then the changes.
    Rebase,
    /// Choose another base for the pull request.
    Retarget {
        onto: String,
    },
    /// Close without merging.
    Close,
    Reopen,
    Merge,
}

/// What is true once a step has been dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    pub state: State,
    /// Names of the migrations that are applied, in order; after a failure those before the one that failed.
    /// None where there is no database.
    pub applied: Option<Vec<String>>,
    /// The kinds of exactly the findings reported, but for `rebuilt`, which depends on what the branch held before.
    pub findings: Vec<FindingKind>,
    pub exists: Vec<Relation>,
    pub absent: Vec<Relation>,
    /// How many rows a table holds.
    pub rows: BTreeMap<String, i64>,
    pub failure: Option<ExpectedFailure>,
}

/// The state of a branch, by the service's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ready,
    Failed,
    Blocked,
    Deleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    EditedApplied,
    RemovedApplied,
    RenamedApplied,
    OutOfOrder,
    BehindBase,
}

/// A table of schema `public`, or a column of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub table: String,
    pub column: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFailure {
    pub migration: String,
    /// Counted from 1: where the server points, else where the failing statement begins.
    pub line: u32,
    pub sqlstate: String,
}

impl Sample {
    /// `OWNER/NAME`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// All samples, by the name of their directory.
pub fn all() -> Result<Vec<Sample>> {
    SAMPLES
        .dirs()
        .map(|dir| story::read(dir).with_context(|| format!("read the sample {}", dir.path().display())))
        .collect()
}

#[cfg(test)]
mod tests;
