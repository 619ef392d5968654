//! Comments on issues and pull requests.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, Paging, Target, read_body};
use super::model::{Comment, Level};
use super::state::{State, now};

/// The longest comment, in characters.
const LIMIT: usize = 65_536;

/// `GET /repos/{owner}/{repo}/issues/{number}/comments`, oldest first.
pub(crate) async fn list(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let state = hub.state();
    let repository = state.enter_issues(&caller, (&owner, &name), Level::Read)?;
    state.pull(repository, number).map_err(|_| ApiError::not_found())?;
    let all = state.repository(repository).comments.values().filter(|comment| comment.issue == number);
    let shown: Vec<Value> = all.map(|comment| state.comment_json(repository, comment)).collect();
    Ok(paging.answer(&shown, &target))
}

/// `POST /repos/{owner}/{repo}/issues/{number}/comments`
pub(crate) async fn create(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer<(StatusCode, Json<Value>)> {
    let mut state = hub.state();
    let repository = state.enter_issues(&caller, (&owner, &name), Level::Write)?;
    state.pull(repository, number).map_err(|_| ApiError::not_found())?;
    let text = read_text(&body)?;
    let comment = state.add_comment(repository, number, &caller.login(), text, caller.is_app())?;
    hub.announce_comment(&state, repository, &comment, "created", &comment.author)?;
    Ok((StatusCode::CREATED, Json(state.comment_json(repository, &comment))))
}

/// `GET /repos/{owner}/{repo}/issues/comments/{id}`
pub(crate) async fn show(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Answer {
    let state = hub.state();
    let repository = state.enter_issues(&caller, (&owner, &name), Level::Read)?;
    let comment = state.repository(repository).comments.get(&id).ok_or_else(ApiError::not_found)?;
    Ok(Json(state.comment_json(repository, comment)))
}

/// `PATCH /repos/{owner}/{repo}/issues/comments/{id}`
pub(crate) async fn update(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let mut state = hub.state();
    let repository = state.enter_issues(&caller, (&owner, &name), Level::Write)?;
    let comment = state.repository_mut(repository).comments.get_mut(&id).ok_or_else(ApiError::not_found)?;
    comment.body = read_text(&body)?;
    comment.updated_at = now();
    comment.edits += 1;
    let comment = comment.clone();
    hub.announce_comment(&state, repository, &comment, "edited", &caller.login())?;
    Ok(Json(state.comment_json(repository, &comment)))
}

/// `DELETE /repos/{owner}/{repo}/issues/comments/{id}`
pub(crate) async fn delete(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Answer<StatusCode> {
    let mut state = hub.state();
    let repository = state.enter_issues(&caller, (&owner, &name), Level::Write)?;
    let comment = state.repository_mut(repository).comments.remove(&id).ok_or_else(ApiError::not_found)?;
    hub.announce_comment(&state, repository, &comment, "deleted", &caller.login())?;
    Ok(StatusCode::NO_CONTENT)
}

fn read_text(body: &[u8]) -> Result<String, ApiError> {
    let body: Value = read_body(body)?;
    let text = body["body"].as_str().unwrap_or_default();
    if text.trim().is_empty() {
        return Err(ApiError::invalid("IssueComment", "body", "missing_field", "body cannot be blank"));
    }
    if text.chars().count() > LIMIT {
        return Err(ApiError::invalid(
            "IssueComment",
            "body",
            "unprocessable",
            "body is too long (maximum is 65536 characters)",
        ));
    }
    Ok(text.to_owned())
}

impl State {
    pub(crate) fn add_comment(
        &mut self,
        repository: u64,
        issue: u64,
        author: &str,
        body: String,
        by_app: bool,
    ) -> anyhow::Result<Comment> {
        self.touch_pull(repository, issue)?;
        let (id, at) = (self.next_id(), now());
        let author = author.to_owned();
        let comment = Comment { id, issue, author, body, created_at: at, updated_at: at, edits: 0, by_app };
        self.repository_mut(repository).comments.insert(id, comment.clone());
        Ok(comment)
    }

    /// Comments on pull requests need either of two permissions.
    fn enter_issues(&self, caller: &Caller, repository: (&str, &str), level: Level) -> Result<u64, ApiError> {
        self.enter(caller, repository, "pull_requests", level)
            .or_else(|_| self.enter(caller, repository, "issues", level))
    }
}
