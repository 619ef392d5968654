//! Deployments and how they went.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, Paging, Target, read_body};
use super::model::{Deployment, DeploymentStatus, Level};
use super::state::{State, now};
use crate::git::{Author, MergeMethod, Sha};

#[derive(Deserialize)]
struct NewDeployment {
    #[serde(rename = "ref")]
    git_ref: String,
    #[serde(default = "default_task")]
    task: String,
    #[serde(default = "yes")]
    auto_merge: bool,
    /// None: every context that has reported.
    required_contexts: Option<Vec<String>>,
    #[serde(default)]
    payload: Value,
    #[serde(default = "default_environment")]
    environment: String,
    description: Option<String>,
    #[serde(default)]
    transient_environment: bool,
    production_environment: Option<bool>,
}

fn default_task() -> String {
    "deploy".to_owned()
}

fn default_environment() -> String {
    "production".to_owned()
}

fn yes() -> bool {
    true
}

/// `POST /repos/{owner}/{repo}/deployments`
pub(crate) async fn create(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
    body: Bytes,
) -> Answer<Response> {
    let mut state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "deployments", Level::Write)?;
    let new: NewDeployment = read_body(&body)?;
    let no_ref = || ApiError::unprocessable(format!("No ref found for: {}", new.git_ref));
    let sha = state.repository(repository).git.resolve(&new.git_ref)?.ok_or_else(no_ref)?.sha;
    if new.auto_merge && state.merge_default_branch(repository, &new.git_ref)? {
        let message = format!("Auto-merged the default branch into {} on deployment.", new.git_ref);
        return Ok((StatusCode::ACCEPTED, Json(json!({ "message": message }))).into_response());
    }
    state.check_contexts(repository, sha, &new)?;
    let at = now();
    let deployment = Deployment {
        id: state.next_id(),
        sha,
        git_ref: new.git_ref,
        task: new.task,
        production: new.production_environment.unwrap_or(new.environment == "production"),
        environment: new.environment,
        description: new.description,
        payload: if new.payload.is_null() { json!({}) } else { new.payload },
        transient: new.transient_environment,
        creator: caller.login(),
        by_app: caller.is_app(),
        created_at: at,
        updated_at: at,
        statuses: Vec::new(),
    };
    let shown = state.deployment_json(repository, &deployment);
    state.repository_mut(repository).deployments.insert(deployment.id, deployment);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

impl State {
    /// Merges the default branch into a branch that lacks commits of it; whether there was anything to merge.
    fn merge_default_branch(&mut self, repository: u64, git_ref: &str) -> Result<bool, ApiError> {
        let repository = self.repository(repository);
        let git = &repository.git;
        let (Some(head), Some(base)) =
            (git.tip(git_ref).ok().flatten(), git.tip(&repository.default_branch)?)
        else {
            return Ok(false);
        };
        if git.divergence(head, base)?.ahead.is_empty() {
            return Ok(false);
        }
        let message = format!("Merge branch '{}' into {git_ref}", repository.default_branch);
        git.merge(git_ref, base, MergeMethod::Merge, &message, &Author::named("github"))
            .map_err(|error| ApiError::new(StatusCode::CONFLICT, format!("Conflict merging: {error:#}")))?;
        Ok(true)
    }

    /// 409 unless what must have succeeded at the commit has.
    fn check_contexts(&self, repository: u64, sha: Sha, new: &NewDeployment) -> Result<(), ApiError> {
        let mut reported: Vec<(&str, bool)> = Vec::new();
        for status in self.latest_statuses(repository, sha) {
            reported.push((&status.context, status.state == "success"));
        }
        for run in self.repository(repository).check_runs.values().filter(|run| run.head_sha == sha) {
            let good = matches!(run.conclusion.as_deref(), Some("success" | "neutral" | "skipped"));
            reported.push((&run.name, good));
        }
        let passed = |name: &str| reported.iter().any(|(context, good)| *context == name && *good);
        let met = match &new.required_contexts {
            Some(required) => required.iter().all(|context| passed(context)),
            None => reported.iter().all(|(_, good)| *good),
        };
        if met {
            return Ok(());
        }
        let message = format!("Conflict: Commit status checks failed for {}.", new.git_ref);
        Err(ApiError::new(StatusCode::CONFLICT, message))
    }
}

#[derive(Deserialize)]
pub(crate) struct Filter {
    sha: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    task: Option<String>,
    environment: Option<String>,
}

impl Filter {
    fn lets_through(&self, deployment: &Deployment) -> bool {
        let same =
            |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
        same(&self.sha, &deployment.sha.to_string())
            && same(&self.git_ref, &deployment.git_ref)
            && same(&self.task, &deployment.task)
            && same(&self.environment, &deployment.environment)
    }
}

/// `GET /repos/{owner}/{repo}/deployments`, newest first.
pub(crate) async fn list(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Path((owner, name)): Path<(String, String)>,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "deployments", Level::Read)?;
    let all = state.repository(repository).deployments.values().rev().filter(|one| filter.lets_through(one));
    let shown: Vec<Value> = all.map(|one| state.deployment_json(repository, one)).collect();
    Ok(paging.answer(&shown, &target))
}

#[derive(Deserialize)]
struct NewStatus {
    state: String,
    #[serde(default)]
    description: String,
    target_url: Option<String>,
    log_url: Option<String>,
    #[serde(default)]
    environment_url: String,
    environment: Option<String>,
    #[serde(default = "yes")]
    auto_inactive: bool,
}

/// `POST /repos/{owner}/{repo}/deployments/{id}/statuses`
pub(crate) async fn create_status(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer<(StatusCode, Json<Value>)> {
    let mut state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "deployments", Level::Write)?;
    let deployment =
        state.repository(repository).deployments.get(&id).cloned().ok_or_else(ApiError::not_found)?;
    let new: NewStatus = read_body(&body)?;
    if !["error", "failure", "inactive", "in_progress", "queued", "pending", "success"]
        .contains(&new.state.as_str())
    {
        return Err(ApiError::invalid(
            "DeploymentStatus",
            "state",
            "custom",
            "state is not included in the list",
        ));
    }
    if new.description.chars().count() > 140 {
        let message = "description is too long (maximum is 140 characters)";
        return Err(ApiError::invalid("DeploymentStatus", "description", "custom", message));
    }
    let status = DeploymentStatus {
        id: state.next_id(),
        state: new.state,
        description: new.description,
        log_url: new.log_url.or(new.target_url).unwrap_or_default(),
        environment_url: new.environment_url,
        environment: new.environment.unwrap_or_else(|| deployment.environment.clone()),
        creator: caller.login(),
        created_at: now(),
    };
    if status.state == "success" && new.auto_inactive {
        state.retire_others(repository, &deployment, &status);
    }
    let shown = state.deployment_status_json(repository, &deployment, &status);
    let own = state.repository_mut(repository).deployments.get_mut(&id).expect("just found");
    own.updated_at = status.created_at;
    own.statuses.push(status);
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `GET /repos/{owner}/{repo}/deployments/{id}/statuses`, newest first.
pub(crate) async fn statuses(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "deployments", Level::Read)?;
    let deployment = state.repository(repository).deployments.get(&id).ok_or_else(ApiError::not_found)?;
    let all = deployment.statuses.iter().rev();
    let shown: Vec<Value> =
        all.map(|one| state.deployment_status_json(repository, deployment, one)).collect();
    Ok(paging.answer(&shown, &target))
}

impl State {
    /// A success makes the earlier deployments of its environment inactive, unless they are transient or of production.
    fn retire_others(&mut self, repository: u64, succeeded: &Deployment, success: &DeploymentStatus) {
        let mut ids = Vec::new();
        for other in self.repository(repository).deployments.values() {
            let earlier = other.id < succeeded.id && other.environment == succeeded.environment;
            let active = other.statuses.last().is_some_and(|last| last.state == "success");
            if earlier && active && !other.transient && !other.production {
                ids.push(other.id);
            }
        }
        for id in ids {
            let status =
                DeploymentStatus { id: self.next_id(), state: "inactive".to_owned(), ..success.clone() };
            let other = self.repository_mut(repository).deployments.get_mut(&id).expect("just found");
            other.statuses.push(status);
        }
    }
}
