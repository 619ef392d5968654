//! The branch document, and the problem that stands in its place when the branch is not there to be used.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::branch::{AppliedMigration, Branch, Timings};
use crate::domain::failure::Failure;
use crate::domain::findings::Finding;
use crate::domain::ids::RepositoryName;
use crate::domain::report::dashboard_url;
use crate::domain::state::BranchState;
use crate::engine::{Access, Engine, InstanceNames};
use crate::store::branches::Credentials;
use crate::web::problem::Problem;

/// A branch as the API shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BranchDocument {
    /// `OWNER/NAME`
    pub repository: String,
    pub pull_request: i32,
    /// The database's name in `.offshoot.toml`; `main` unless configured.
    pub database: String,
    pub state: BranchState,
    /// Counts the rebuilds; the URL stays the same across them.
    pub generation: i32,
    /// The commit that the state speaks of.
    pub head_sha: String,
    pub base_ref: String,
    pub database_name: String,
    /// Only in answers about one branch, and only while a database stands behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_url: Option<String>,
    pub migrations: Migrations,
    pub findings: Vec<Finding>,
    pub timings_ms: Timings,
    /// Why it waits or could not be served.
    pub reason: Option<String>,
    /// Its place among those that wait for room on the disk, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_place: Option<i64>,
    pub protected: bool,
    pub created_at: DateTime<Utc>,
    pub ready_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    /// When its database was last seen in use, to ten minutes; a time to come where it was extended until then.
    pub active_at: Option<DateTime<Utc>>,
    pub dashboard_url: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Migrations {
    /// In the order in which they were applied.
    pub applied: Vec<AppliedMigration>,
    pub failed: Option<Failure>,
}

/// The two URLs of a reachable branch.
#[derive(Debug, Clone)]
pub struct Urls {
    pub owner: String,
    pub reader: String,
}

impl Urls {
    /// Of a published branch: database and role have the same name in every generation.
    pub fn of(engine: &Engine, database_name: &str, credentials: &Credentials) -> Self {
        let names = InstanceNames::of(database_name).expect("a stored branch's name is an identifier");
        let url = |access: &Access| engine.url(access).expose().to_owned();
        Self {
            owner: url(&names.access(&credentials.password)),
            reader: url(&names.reader_access(&credentials.reader_password)),
        }
    }
}

impl BranchDocument {
    pub fn new(repository: &RepositoryName, branch: &Branch, public_url: &str, urls: Option<Urls>) -> Self {
        let (database_url, read_only_url) = urls.map(|urls| (urls.owner, urls.reader)).unzip();
        Self {
            repository: repository.to_string(),
            pull_request: branch.pull.number,
            database: branch.database.to_string(),
            state: branch.state,
            generation: branch.generation,
            head_sha: branch.head_sha.to_string(),
            base_ref: branch.base_ref.clone(),
            database_name: branch.database_name.clone(),
            database_url,
            read_only_url,
            migrations: Migrations { applied: branch.applied.clone(), failed: branch.failure.clone() },
            findings: branch.findings.clone(),
            timings_ms: branch.timings,
            reason: branch.why(),
            queue_place: branch.place(),
            protected: branch.protected,
            created_at: branch.created_at,
            ready_at: branch.ready_at,
            expires_at: branch.expires_at,
            active_at: branch.active_at,
            dashboard_url: dashboard_url(public_url, repository, branch.pull.number),
        }
    }
}

/// Seconds after which somebody who waits for room may ask again.
const ROOM_RETRY: u64 = 10;

/// What a caller that wants a branch for a commit is told now.
#[derive(Debug)]
pub enum Readiness {
    /// It holds exactly the commit's chain.
    Ready,
    /// Ask again.
    NotYet,
    /// It will not become ready without a change.
    Ended(Box<Problem>),
}

/// Decides whether a branch is ready for `sha`, or for its own head where the caller names none.
///
/// A branch that speaks of another commit is not ready for this one: the push may not have been heard of yet.
pub fn readiness(branch: &Branch, sha: Option<&str>) -> Readiness {
    let about_this = sha.is_none_or(|sha| branch.head_sha.as_str() == sha);
    match branch.state {
        BranchState::Deleting | BranchState::Deleted => {
            let problem = Problem::new(
                StatusCode::GONE,
                "branch-deleted",
                "The branch was deleted",
                branch
                    .reason
                    .as_deref()
                    .unwrap_or("Its pull request is closed; reopening it brings a fresh branch."),
            );
            Readiness::Ended(Box::new(problem))
        }
        _ if !about_this => Readiness::NotYet,
        // What stands is about to be replaced.
        _ if branch.reset_requested => Readiness::NotYet,
        BranchState::Ready => Readiness::Ready,
        BranchState::Pending | BranchState::Preparing | BranchState::Errored => Readiness::NotYet,
        BranchState::Failed => Readiness::Ended(Box::new(failed(branch))),
        BranchState::Blocked => {
            let detail = branch.why().unwrap_or_else(|| "It waits for an approval or for room.".to_owned());
            let mut problem =
                Problem::new(StatusCode::LOCKED, "branch-blocked", "The branch is blocked", detail);
            if let Some(place) = branch.place() {
                problem = problem.with("queue_place", place).retry_after(ROOM_RETRY);
            }
            Readiness::Ended(Box::new(about(problem, branch)))
        }
    }
}

fn failed(branch: &Branch) -> Problem {
    let Some(failure) = &branch.failure else {
        return about(
            Problem::conflict("migration-failed", "The branch failed", "No cause was kept."),
            branch,
        );
    };
    let place = match (failure.line, failure.column) {
        (Some(line), Some(column)) => format!("{} line {line}, column {column}", failure.file),
        _ => failure.file.clone(),
    };
    let server = failure.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let detail = format!("{} failed at {place}: {}{server}", failure.migration, failure.message);
    let problem = Problem::conflict("migration-failed", "A migration failed", detail).with_all(failure);
    about(problem, branch)
}

fn about(problem: Problem, branch: &Branch) -> Problem {
    problem.with("database", &branch.database).with("sha", &branch.head_sha)
}
