//! What GitHub knows, as plain values.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::git::{GitRepository, Sha};

/// What kind of account a login belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    User,
    Organization,
    Bot,
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub id: u64,
    pub login: String,
    pub kind: AccountKind,
}

/// What a person may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

/// How much a token may do with one kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Read,
    Write,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Permissions by GitHub's names: `checks`, `contents`, `pull_requests`, …
pub type Permissions = BTreeMap<String, Level>;

#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub id: u64,
    /// The account it is installed on.
    pub account: String,
    pub permissions: Permissions,
    /// None: all repositories of the account.
    pub selected: Option<BTreeSet<u64>>,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub(crate) struct InstallationToken {
    pub installation: u64,
    pub expires_at: DateTime<Utc>,
    pub permissions: Permissions,
    pub repositories: Option<BTreeSet<u64>>,
}

#[derive(Debug)]
pub(crate) struct Repository {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub private: bool,
    pub default_branch: String,
    /// The repository this one was forked from.
    pub parent: Option<u64>,
    pub git: GitRepository,
    pub collaborators: BTreeMap<String, Role>,
    pub pulls: BTreeMap<u64, PullRequest>,
    pub comments: BTreeMap<u64, Comment>,
    pub check_runs: BTreeMap<u64, CheckRun>,
    pub statuses: Vec<CommitStatus>,
    pub deployments: BTreeMap<u64, Deployment>,
    pub created_at: DateTime<Utc>,
    pub pushed_at: DateTime<Utc>,
    /// Numbers are given to issues and pull requests alike.
    pub last_number: u64,
    /// Trees listed recursively are cut after this many entries.
    pub tree_limit: usize,
}

impl Repository {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// One side of a pull request.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// None once the repository is deleted.
    pub repository: Option<u64>,
    /// Who owned the repository; shown even when it is gone.
    pub owner: String,
    pub git_ref: String,
    pub sha: Sha,
}

#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub id: u64,
    pub name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct PullRequest {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: Option<String>,
    pub author: String,
    pub draft: bool,
    pub head: Side,
    pub base: Side,
    pub labels: Vec<Label>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
    pub merged_at: Option<DateTime<Utc>>,
    pub merged_by: Option<String>,
    pub merge_commit: Option<Sha>,
}

impl PullRequest {
    pub(crate) fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub id: u64,
    pub issue: u64,
    pub author: String,
    pub body: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub edits: usize,
    pub by_app: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct CheckRun {
    pub id: u64,
    pub name: String,
    pub head_sha: Sha,
    pub status: String,
    pub conclusion: Option<String>,
    pub details_url: Option<String>,
    pub external_id: Option<String>,
    pub started_at: DateTime<Utc>,
    pub completed_at: Option<DateTime<Utc>>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    /// As they were sent.
    pub annotations: Vec<Value>,
    pub updates: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct CommitStatus {
    pub id: u64,
    pub sha: Sha,
    pub state: String,
    pub context: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
    pub creator: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub id: u64,
    pub sha: Sha,
    pub git_ref: String,
    pub task: String,
    pub environment: String,
    pub description: Option<String>,
    pub payload: Value,
    pub transient: bool,
    pub production: bool,
    pub creator: String,
    pub by_app: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub statuses: Vec<DeploymentStatus>,
}

#[derive(Clone, Debug)]
pub(crate) struct DeploymentStatus {
    pub id: u64,
    pub state: String,
    pub description: String,
    pub log_url: String,
    pub environment_url: String,
    pub environment: String,
    pub creator: String,
    pub created_at: DateTime<Utc>,
}
