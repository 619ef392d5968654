//! What GitHub was told against what is so.

use anyhow::{Context, Result};

use super::facts::Facts;
use crate::github::SimulatedGitHub;
use crate::github::inspect::{CheckRunView, CommentView, PullView, StatusView};

/// The beginning of the one comment on a pull request.
const MARKER: &str = "<!-- offshoot";

/// A pull request and what it was told.
#[derive(Debug)]
pub(super) struct PullTold {
    /// GitHub's number of the repository.
    pub repository: i64,
    /// `OWNER/NAME`
    pub name: String,
    pub pull: PullView,
    /// The service's own.
    pub comments: Vec<CommentView>,
    /// At its head, for this pull request.
    pub runs: Vec<CheckRunView>,
    /// At its head.
    pub statuses: Vec<StatusView>,
}

/// All of GitHub, as far as the service speaks of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub pulls: Vec<PullTold>,
    /// `OWNER/NAME` and every check run there.
    pub runs: Vec<(String, CheckRunView)>,
}

impl Told {
    pub fn read(github: &SimulatedGitHub) -> Result<Self> {
        let mut told = Self::default();
        for name in github.repository_names() {
            let repository = github.repository(&name)?["id"].as_i64().context("a repository's number")?;
            let runs = github.all_check_runs(&name)?;
            for pull in github.pull_requests(&name)? {
                let mut comments = github.comments(&name, pull.number)?;
                comments.retain(|comment| comment.body.contains(MARKER));
                let id = format!("{repository}#{}", pull.number);
                let own = |run: &&CheckRunView| {
                    run.head_sha == pull.head && run.external_id.as_deref() == Some(&id)
                };
                told.pulls.push(PullTold {
                    repository,
                    comments,
                    runs: runs.iter().filter(own).cloned().collect(),
                    statuses: github.statuses(&name, pull.head)?,
                    name: name.clone(),
                    pull,
                });
            }
            told.runs.extend(runs.into_iter().map(|run| (name.clone(), run)));
        }
        Ok(told)
    }
}

impl std::fmt::Display for PullTold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.name, self.pull.number)
    }
}

/// Check runs without an end, verdicts that are not so, and comments that are missing or too many.
pub(super) fn wrong(facts: &Facts, told: &Told) -> Vec<String> {
    let unended = told.runs.iter().filter(|(_, run)| run.status != "completed");
    let mut found: Vec<String> = unended.map(|(name, run)| unended_run(facts, name, run)).collect();
    for pull in &told.pulls {
        found.extend(comments(facts, pull));
        found.extend(verdict(facts, pull));
    }
    found
}

/// A check run without an end, and what the service knows of it.
fn unended_run(facts: &Facts, name: &str, run: &CheckRunView) -> String {
    let (id, sha) = (run.external_id.as_deref().unwrap_or("nobody's"), run.head_sha.to_string());
    let known = facts.checks.iter().find(|check| check.pull == id && check.sha == sha);
    format!("{name}: the check run {} of {id} at {sha} is {}; stored: {known:?}", run.id, run.status)
}

/// Branches and databases of pull requests that are closed.
pub(super) fn outlived(facts: &Facts, told: &Told) -> Vec<String> {
    let mut found = Vec::new();
    for pull in told.pulls.iter().filter(|pull| !pull.pull.open) {
        let branches = facts.branches.iter().filter(|branch| branch.is_of(pull.repository, pull.pull.number));
        let live = branches.filter(|branch| branch.is_live());
        found.extend(live.map(|branch| format!("{pull} is closed, and there is {branch}")));
        let id = (&pull.name, pull.pull.number);
        let says = |database: &&super::facts::DatabaseFact| {
            let identity = super::server::identity(database);
            (identity["repository"].as_str(), identity["pull_request"].as_u64()) == (Some(id.0), Some(id.1))
        };
        let standing = facts.databases.iter().filter(says);
        found.extend(
            standing.map(|one| format!("{pull} is closed, and there is the database {} of it", one.name)),
        );
    }
    found
}

fn comments(facts: &Facts, pull: &PullTold) -> Option<String> {
    let had_branch = facts.branches.iter().any(|branch| branch.is_of(pull.repository, pull.pull.number));
    let is_right = match pull.comments.len() {
        0 => !had_branch,
        count => count == 1,
    };
    (!is_right).then(|| format!("{pull} has {} comments of the service's", pull.comments.len()))
}

/// The verdict at the head of an open pull request whose databases are all settled.
fn verdict(facts: &Facts, pull: &PullTold) -> Option<String> {
    let live = facts.branches.iter().filter(|branch| branch.is_live());
    let states: Vec<&str> = live
        .filter(|branch| branch.is_of(pull.repository, pull.pull.number))
        .map(|branch| branch.state.as_str())
        .collect();
    let expected = match states.as_slice() {
        [] => return None,
        states if states.contains(&"failed") => "failure",
        states if states.iter().all(|state| *state == "ready") => "success",
        _ => return None,
    };
    let run = pull.runs.last().and_then(|run| run.conclusion.as_deref());
    let status = pull.statuses.last().map(|status| status.state.as_str());
    let said = run.or(status);
    (pull.pull.open && said != Some(expected)).then(|| {
        format!("{pull}: its databases are {states:?}, and the verdict at {} is {said:?}", pull.pull.head)
    })
}
