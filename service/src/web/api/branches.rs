//! All branches, a page at a time.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::BranchDocument;
use crate::domain::ids::RepositoryName;
use crate::domain::state::BranchState;
use crate::store::PageRequest;
use crate::store::branches::{self, Filter};
use crate::web::App;
use crate::web::auth::Caller;
use crate::web::problem::Problem;

const PAGE_SIZE: u32 = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `OWNER/NAME`
    #[param(value_type = Option<String>)]
    repository: Option<RepositoryName>,
    /// Without it, all but the deleted ones.
    state: Option<BranchState>,
    /// Counted from 1, 50 branches each.
    page: Option<u32>,
}

/// A page of branches, the last made first. Without URLs: ask for one branch to get its.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List {
    branches: Vec<BranchDocument>,
    page: u32,
    pages: u32,
    total: i64,
}

/// Lists the branches that the token opens.
#[utoipa::path(get, path = "/api/v1/branches", params(Wanted), tag = "branches",
    responses((status = 200, body = List), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<List>, Problem> {
    let Query(wanted) = wanted?;
    if let Some(repository) = &wanted.repository {
        caller.must_read(repository)?;
    }
    let repository = wanted.repository.or_else(|| caller.only_repository().cloned());
    let request = PageRequest { number: wanted.page.unwrap_or(1).max(1), size: PAGE_SIZE };
    let client = app.store.client().await?;
    let page = branches::list(&client, &Filter { repository, state: wanted.state }, request).await?;
    let (pages, total) = (page.last(), page.total);
    let document = |listed: &branches::Listed| {
        BranchDocument::new(&listed.repository, &listed.branch, &app.public_url, None)
    };
    Ok(Json(List { branches: page.items.iter().map(document).collect(), page: request.number, pages, total }))
}
