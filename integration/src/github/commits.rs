//! Commits, and how two of them compare.

use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::LINK;
use serde_json::{Value, json};

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, Paging, Target};
use super::model::Level;
use super::state::State;
use crate::git::CommitInfo;

/// `GET /repos/{owner}/{repo}/commits/{ref}`
pub(crate) async fn show(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
) -> Answer {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "contents", Level::Read)?;
    let commit = state.commit_at(id, &git_ref)?;
    Ok(Json(state.commit_json(id, &commit)))
}

/// `GET /repos/{owner}/{repo}/compare/{base}...{head}`
pub(crate) async fn compare(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Path((owner, name, basehead)): Path<(String, String, String)>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "contents", Level::Read)?;
    let (base, head) = basehead.split_once("...").ok_or_else(ApiError::not_found)?;
    let (base, head) = (state.compared(id, base)?, state.compared(id, head)?);
    let git = &state.repository(id).git;
    let divergence = git.divergence(base.sha, head.sha)?;
    let unrelated = || ApiError::new(http::StatusCode::NOT_FOUND, "No common ancestor between the two.");
    let merge_base =
        git.commit_info(divergence.merge_base.ok_or_else(unrelated)?)?.context("a merge base exists")?;
    let status = match (divergence.ahead.len(), divergence.behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let own = format!("{}/compare/{basehead}", state.repository_url(id));
    let page = format!("{}/compare/{basehead}", state.page(id));
    let mut commits: Vec<Value> = Vec::new();
    for sha in paging.cut(&divergence.ahead) {
        commits.push(state.commit_json(id, &git.commit_info(sha)?.context("a walked commit exists")?));
    }
    let shown = json!({
        "url": own,
        "html_url": page,
        "permalink_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "base_commit": state.commit_json(id, &base),
        "merge_base_commit": state.commit_json(id, &merge_base),
        "status": status,
        "ahead_by": divergence.ahead.len(),
        "behind_by": divergence.behind,
        "total_commits": divergence.ahead.len(),
        "commits": commits,
        "files": state.changed_files(id, merge_base.sha, head.sha)?,
    });
    let mut response = Json(shown).into_response();
    if let Some(links) = paging.links(divergence.ahead.len(), &target) {
        response.headers_mut().insert(LINK, links);
    }
    Ok(response)
}

impl State {
    /// The commit that a ref or an id names; 422 if there is none, as `commits/…` answers.
    pub(crate) fn commit_at(&self, repository: u64, git_ref: &str) -> Result<CommitInfo, ApiError> {
        let found = self.repository(repository).git.resolve(git_ref)?;
        found.ok_or_else(|| ApiError::unprocessable(format!("No commit found for SHA: {git_ref}")))
    }

    /// One side of a comparison: `REF` or, of another repository in the network, `OWNER:REF`; 404 if there is none.
    fn compared(&self, repository: u64, side: &str) -> Result<CommitInfo, ApiError> {
        let (repository, git_ref) = match side.split_once(':') {
            Some((owner, git_ref)) => {
                (self.relative(repository, owner).ok_or_else(ApiError::not_found)?, git_ref)
            }
            None => (repository, side),
        };
        self.repository(repository).git.resolve(git_ref)?.ok_or_else(ApiError::not_found)
    }

    /// The repository of this owner in the same network of forks.
    fn relative(&self, repository: u64, owner: &str) -> Option<u64> {
        let root = |id: u64| self.repository(id).parent.unwrap_or(id);
        let network = root(repository);
        let mut relatives = self.repositories.values().filter(|other| root(other.id) == network);
        relatives.find(|other| other.owner.eq_ignore_ascii_case(owner)).map(|other| other.id)
    }
}
