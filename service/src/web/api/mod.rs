//! The HTTP API, version 1.

mod audit;
mod branch;
mod branches;
mod document;
mod fork_wait;
mod forks;
mod openapi;
mod tokens;
mod wait;

use axum::Router;
use axum::routing::{delete, get};

use super::App;

pub use document::{BranchDocument, Migrations, Urls};

pub(super) fn routes() -> Router<App> {
    const BRANCH: &str = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch";
    Router::new()
        .route("/api/v1/branches", get(branches::list))
        .route(BRANCH, get(branch::show).post(branch::create).patch(branch::change).delete(branch::remove))
        .route(&format!("{BRANCH}/reset"), axum::routing::post(branch::reset))
        .route(&format!("{BRANCH}/events"), get(wait::events))
        .route("/api/v1/audit", get(audit::list))
        .route(&format!("{BRANCH}/forks"), get(forks::list).post(forks::create))
        .route("/api/v1/forks/{id}", delete(forks::delete))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/tokens/{id}", delete(tokens::revoke))
        .route("/api/openapi.json", get(openapi::document))
}
