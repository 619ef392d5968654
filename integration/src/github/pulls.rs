//! Pull requests.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, Paging, Target};
use super::model::{Level, PullRequest};

#[derive(Deserialize)]
pub(crate) struct Filter {
    state: Option<String>,
    base: Option<String>,
    /// `OWNER:REF`
    head: Option<String>,
    sort: Option<String>,
    direction: Option<String>,
}

impl Filter {
    fn lets_through(&self, pull: &PullRequest) -> bool {
        let state = match self.state.as_deref() {
            Some("all") => true,
            Some("closed") => !pull.is_open(),
            _ => pull.is_open(),
        };
        let head = format!("{}:{}", pull.head.owner, pull.head.git_ref);
        state
            && self.base.as_ref().is_none_or(|base| *base == pull.base.git_ref)
            && self.head.as_ref().is_none_or(|wanted| *wanted == head)
    }

    /// Newest first, unless they are sorted otherwise and no direction is named.
    fn ascending(&self) -> bool {
        let by_creation = matches!(self.sort.as_deref(), None | Some("created"));
        match self.direction.as_deref() {
            Some(direction) => direction == "asc",
            None => !by_creation,
        }
    }
}

/// `GET /repos/{owner}/{repo}/pulls`
pub(crate) async fn list(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Path((owner, name)): Path<(String, String)>,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "pull_requests", Level::Read)?;
    let mut pulls: Vec<_> =
        state.repository(id).pulls.values().filter(|pull| filter.lets_through(pull)).collect();
    if filter.sort.as_deref() == Some("updated") {
        pulls.sort_by_key(|pull| pull.updated_at);
    }
    if !filter.ascending() {
        pulls.reverse();
    }
    let shown: Vec<Value> = pulls.into_iter().map(|pull| state.pull_in_list(id, pull)).collect();
    Ok(paging.answer(&shown, &target))
}

/// `GET /repos/{owner}/{repo}/pulls/{number}`
pub(crate) async fn show(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Answer {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "pull_requests", Level::Read)?;
    if !state.repository(id).pulls.contains_key(&number) {
        return Err(ApiError::not_found());
    }
    Ok(Json(state.pull_json(id, number)?))
}
