//! What a test asks the simulated GitHub: what was requested, and what a service reported.

use anyhow::{Context, Result};
use serde_json::Value;

use super::SimulatedGitHub;
use super::model::{PullRequest, Repository};
use super::requests::{LoggedRequest, Mark};
use crate::git::Sha;

/// A check run as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRunView {
    pub id: u64,
    pub name: String,
    pub head_sha: Sha,
    pub status: String,
    pub conclusion: Option<String>,
    pub details_url: Option<String>,
    pub external_id: Option<String>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub annotations: Vec<Value>,
    /// How often it was changed after it was created.
    pub updates: usize,
}

/// A commit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusView {
    pub state: String,
    pub context: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
}

/// A comment as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentView {
    pub id: u64,
    pub author: String,
    pub body: String,
    /// How often it was changed through the API.
    pub edits: usize,
    pub by_app: bool,
}

/// A pull request as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullView {
    pub number: u64,
    pub open: bool,
    pub head: Sha,
    pub base_ref: String,
}

/// A deployment and the states it went through, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentView {
    pub id: u64,
    pub sha: Sha,
    pub git_ref: String,
    pub environment: String,
    pub transient: bool,
    pub states: Vec<String>,
    /// Of the latest status.
    pub environment_url: Option<String>,
}

impl SimulatedGitHub {
    /// Every request that arrived, in order.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.hub.requests.all()
    }

    /// The place in the log after the latest request.
    pub fn mark(&self) -> Mark {
        self.hub.requests.mark()
    }

    /// The requests that arrived since.
    pub fn requests_since(&self, mark: Mark) -> Vec<LoggedRequest> {
        self.hub.requests.since(mark)
    }

    /// Every repository's `OWNER/NAME`, oldest first.
    pub fn repository_names(&self) -> Vec<String> {
        self.hub.state().repositories.values().map(Repository::full_name).collect()
    }

    /// The pull requests of a repository, oldest first.
    pub fn pull_requests(&self, full_name: &str) -> Result<Vec<PullView>> {
        let state = self.hub.state();
        let pulls = state.repository(state.named(full_name)?).pulls.values();
        let view = |pull: &PullRequest| PullView {
            number: pull.number,
            open: pull.is_open(),
            head: pull.head.sha,
            base_ref: pull.base.git_ref.clone(),
        };
        Ok(pulls.map(view).collect())
    }

    /// The check runs at a commit, oldest first.
    pub fn check_runs(&self, full_name: &str, sha: Sha) -> Result<Vec<CheckRunView>> {
        Ok(self.all_check_runs(full_name)?.into_iter().filter(|run| run.head_sha == sha).collect())
    }

    /// The check runs at all commits of a repository, oldest first.
    pub fn all_check_runs(&self, full_name: &str) -> Result<Vec<CheckRunView>> {
        let state = self.hub.state();
        let runs = state.repository(state.named(full_name)?).check_runs.values();
        Ok(runs
            .cloned()
            .map(|run| CheckRunView {
                id: run.id,
                name: run.name,
                head_sha: run.head_sha,
                status: run.status,
                conclusion: run.conclusion,
                details_url: run.details_url,
                external_id: run.external_id,
                title: run.title,
                summary: run.summary,
                text: run.text,
                annotations: run.annotations,
                updates: run.updates,
            })
            .collect())
    }

    /// Every status given to a commit, oldest first.
    pub fn statuses(&self, full_name: &str, sha: Sha) -> Result<Vec<StatusView>> {
        let state = self.hub.state();
        let statuses =
            state.repository(state.named(full_name)?).statuses.iter().filter(|status| status.sha == sha);
        Ok(statuses
            .cloned()
            .map(|status| StatusView {
                state: status.state,
                context: status.context,
                description: status.description,
                target_url: status.target_url,
            })
            .collect())
    }

    /// The comments on a pull request, oldest first.
    pub fn comments(&self, full_name: &str, number: u64) -> Result<Vec<CommentView>> {
        let state = self.hub.state();
        let id = state.named(full_name)?;
        state.pull(id, number)?;
        let comments = state.repository(id).comments.values().filter(|comment| comment.issue == number);
        Ok(comments
            .cloned()
            .map(|comment| CommentView {
                id: comment.id,
                author: comment.author,
                body: comment.body,
                edits: comment.edits,
                by_app: comment.by_app,
            })
            .collect())
    }

    /// The deployments of a repository, oldest first.
    pub fn deployments(&self, full_name: &str) -> Result<Vec<DeploymentView>> {
        let state = self.hub.state();
        let deployments = state.repository(state.named(full_name)?).deployments.values();
        Ok(deployments
            .map(|deployment| DeploymentView {
                id: deployment.id,
                sha: deployment.sha,
                git_ref: deployment.git_ref.clone(),
                environment: deployment.environment.clone(),
                transient: deployment.transient,
                states: deployment.statuses.iter().map(|status| status.state.clone()).collect(),
                environment_url: deployment.statuses.last().map(|status| status.environment_url.clone()),
            })
            .collect())
    }

    /// The commit at the head of a pull request.
    pub fn head_sha(&self, full_name: &str, number: u64) -> Result<Sha> {
        let state = self.hub.state();
        let id = state.named(full_name)?;
        Ok(state.pull(id, number).context("look up a pull request's head")?.head.sha)
    }
}
