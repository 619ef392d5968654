//! Which function answers which request.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, patch, post};

use super::answer::ApiError;
use super::{
    Hub, app, checks, comments, commits, contents, deployments, git_data, graphql, pulls, rate_limit,
    repositories, statuses,
};

/// Every route, relative to the API's base.
pub(crate) fn all(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/app", get(app::show))
        .route("/app/installations", get(app::installations))
        .route("/app/installations/{id}", get(app::installation_by_id))
        .route("/app/installations/{id}/access_tokens", post(app::create_token))
        .route("/installation/repositories", get(app::repositories))
        .route("/rate_limit", get(rate_limit::show))
        .route("/user", get(app::user))
        .route("/graphql", post(graphql::answer))
        .nest("/repos/{owner}/{repo}", repository())
        .method_not_allowed_fallback(async || ApiError::not_found())
        .fallback(async || ApiError::not_found())
        .with_state(hub)
}

/// Where GitHub describes PATCH it also takes POST, which octocrab uses for comments.
fn repository() -> Router<Arc<Hub>> {
    Router::new()
        .route("/", get(repositories::show))
        .route("/installation", get(app::installation))
        .route("/collaborators/{login}/permission", get(repositories::permission))
        .route("/branches/{*branch}", get(repositories::branch))
        .route("/pulls", get(pulls::list))
        .route("/pulls/{number}", get(pulls::show))
        .route("/compare/{*basehead}", get(commits::compare))
        .route("/commits/{ref}", get(commits::show))
        .route("/commits/{ref}/check-runs", get(checks::list))
        .route("/commits/{ref}/status", get(statuses::combined))
        .route("/commits/{ref}/statuses", get(statuses::list))
        .route("/git/ref/{*ref}", get(git_data::reference))
        .route("/git/trees/{sha}", get(git_data::tree))
        .route("/git/blobs/{sha}", get(git_data::blob))
        .route("/contents/{*path}", get(contents::show))
        .route("/check-runs", post(checks::create))
        .route("/check-runs/{id}", patch(checks::update).post(checks::update).get(checks::show))
        .route("/statuses/{sha}", post(statuses::create))
        .route("/issues/{number}/comments", get(comments::list).post(comments::create))
        .route(
            "/issues/comments/{id}",
            get(comments::show).patch(comments::update).post(comments::update).delete(comments::delete),
        )
        .route("/deployments", get(deployments::list).post(deployments::create))
        .route("/deployments/{id}/statuses", get(deployments::statuses).post(deployments::create_status))
}
