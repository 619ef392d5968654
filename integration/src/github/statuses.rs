//! Commit statuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, Paging, Target, read_body, read_sha};
use super::model::{CommitStatus, Level};
use super::shapes::Detail;
use super::state::{State, now};
use crate::git::Sha;

/// GitHub keeps so many statuses of one context at one commit.
const LIMIT: usize = 1000;
const DESCRIPTION_LIMIT: usize = 140;

#[derive(Deserialize)]
struct NewStatus {
    state: String,
    target_url: Option<String>,
    description: Option<String>,
    #[serde(default = "default_context")]
    context: String,
}

fn default_context() -> String {
    "default".to_owned()
}

/// `POST /repos/{owner}/{repo}/statuses/{sha}`
pub(crate) async fn create(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, sha)): Path<(String, String, String)>,
    body: Bytes,
) -> Answer<(StatusCode, Json<Value>)> {
    let mut state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "statuses", Level::Write)?;
    let new: NewStatus = read_body(&body)?;
    let no_commit = || ApiError::unprocessable(format!("No commit found for SHA: {sha}"));
    let sha = read_sha(&sha).map_err(|_| no_commit())?;
    state.repository(repository).git.commit_info(sha)?.ok_or_else(no_commit)?;
    if !["error", "failure", "pending", "success"].contains(&new.state.as_str()) {
        return Err(ApiError::invalid("Status", "state", "custom", "state is not included in the list"));
    }
    if new.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_LIMIT) {
        let message = "description is too long (maximum is 140 characters)";
        return Err(ApiError::invalid("Status", "description", "custom", message));
    }
    let known = state.repository(repository).statuses.iter();
    if known.filter(|status| status.sha == sha && status.context == new.context).count() >= LIMIT {
        let message = "This SHA and context has reached the maximum number of statuses.";
        return Err(ApiError::invalid("Status", "base", "custom", message));
    }
    let status = CommitStatus {
        id: state.next_id(),
        sha,
        state: new.state,
        context: new.context,
        description: new.description,
        target_url: new.target_url,
        creator: caller.login(),
        created_at: now(),
    };
    let shown = state.status_json(repository, &status);
    state.repository_mut(repository).statuses.push(status);
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/statuses`: all of them, newest first.
pub(crate) async fn list(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "statuses", Level::Read)?;
    let sha = state.commit_at(repository, &git_ref)?.sha;
    let all = state.repository(repository).statuses.iter().rev().filter(|status| status.sha == sha);
    let shown: Vec<Value> = all.map(|status| state.status_json(repository, status)).collect();
    Ok(paging.answer(&shown, &target))
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/status`: the latest of each context, and what they come to.
pub(crate) async fn combined(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
) -> Answer {
    let state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "statuses", Level::Read)?;
    let sha = state.commit_at(repository, &git_ref)?.sha;
    let latest = state.latest_statuses(repository, sha);
    let any = |names: &[&str]| latest.iter().any(|status| names.contains(&status.state.as_str()));
    let overall = match () {
        () if any(&["error", "failure"]) => "failure",
        () if any(&["pending"]) || latest.is_empty() => "pending",
        () => "success",
    };
    let url = format!("{}/commits/{sha}", state.repository_url(repository));
    Ok(Json(json!({
        "state": overall,
        "statuses": latest.iter().map(|status| state.status_json(repository, status)).collect::<Vec<_>>(),
        "sha": sha,
        "total_count": latest.len(),
        "repository": state.repository_json(repository, Detail::Short),
        "commit_url": url,
        "url": format!("{url}/status"),
    })))
}

impl State {
    /// The latest status of each context at a commit.
    pub(crate) fn latest_statuses(&self, repository: u64, sha: Sha) -> Vec<&CommitStatus> {
        let all = self.repository(repository).statuses.iter().filter(|status| status.sha == sha);
        all.map(|status| (status.context.as_str(), status))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect()
    }
}
