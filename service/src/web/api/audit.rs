//! Who did what, for administrators.

use axum::Json;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::store::PageRequest;
use crate::store::audit::{self, Filter, Recorded};
use crate::web::App;
use crate::web::auth::Caller;
use crate::web::problem::Problem;

const PAGE_SIZE: u32 = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// As `branch.reset`.
    action: Option<String>,
    /// What the subject begins with: `acme/shop`, `acme/shop#42`, `token 3`.
    subject: Option<String>,
    /// As it is listed: `administrator`, `token 3 (ci)`, `github:ada`, `operator`, `service`.
    actor: Option<String>,
    /// Counted from 1, 50 entries each.
    page: Option<u32>,
}

/// One thing that somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryDocument {
    id: i64,
    at: DateTime<Utc>,
    actor: String,
    /// `api`, `dashboard`, `github`, `command` or `service`.
    via: String,
    action: String,
    subject: String,
    /// The request's `X-Request-Id`, or GitHub's id of the delivery.
    request_id: Option<String>,
    #[schema(value_type = Object)]
    details: Value,
}

/// A page of the log, the last entry first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List {
    entries: Vec<EntryDocument>,
    page: u32,
    pages: u32,
    total: i64,
}

impl From<Recorded> for EntryDocument {
    fn from(entry: Recorded) -> Self {
        let Recorded { id, at, actor, via, action, subject, request_id, details } = entry;
        Self { id, at, actor, via, action, subject, request_id, details }
    }
}

/// Lists who did what, for a year.
#[utoipa::path(get, path = "/api/v1/audit", params(Wanted), tag = "audit",
    responses((status = 200, body = List), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<List>, Problem> {
    caller.must_administer()?;
    let Query(wanted) = wanted?;
    let request = PageRequest { number: wanted.page.unwrap_or(1).max(1), size: PAGE_SIZE };
    let filter = Filter { action: wanted.action, subject: wanted.subject, actor: wanted.actor };
    let client = app.store.client().await?;
    let page = audit::list(&client, &filter, request).await?;
    let (pages, total) = (page.last(), page.total);
    let entries = page.items.into_iter().map(EntryDocument::from).collect();
    Ok(Json(List { entries, page: request.number, pages, total }))
}
