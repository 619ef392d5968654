//! The page of deliveries: what GitHub sent, when, and what became of it. Never what is in it.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::Utc;

use super::layers::ago;
use super::pages::{PAGE_SIZE, Paging, Viewer, enter, html};
use crate::domain::ids::RepositoryName;
use crate::store::PageRequest;
use crate::store::deliveries::{self, Delivery};
use crate::web::App;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    deliveries: Vec<Row>,
    page: u32,
    pages: u32,
    total: i64,
}

struct Row {
    id: String,
    event: String,
    repository: String,
    /// The pull request's number, where it is about one.
    number: Option<String>,
    received_at: String,
    ago: String,
    waits: bool,
    outcome: String,
}

impl Row {
    /// Enough to find it in GitHub's own list.
    fn short_id(&self) -> String {
        self.id.chars().take(8).collect()
    }
}

impl From<&Delivery> for Row {
    fn from(delivery: &Delivery) -> Self {
        let action = delivery.action.as_ref().map_or_else(String::new, |action| format!(".{action}"));
        let number = delivery.subject.as_ref().and_then(|subject| subject.split_once('#'));
        Self {
            id: delivery.id.clone(),
            event: format!("{}{action}", delivery.event),
            repository: delivery.repository.clone().unwrap_or_default(),
            number: number.map(|(_, number)| number.to_owned()),
            received_at: delivery.received_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            ago: ago(delivery.received_at, Utc::now()),
            waits: delivery.absorbed_at.is_none(),
            outcome: delivery.outcome.clone().unwrap_or_default(),
        }
    }
}

pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    uri: Uri,
    Query(paging): Query<Paging>,
) -> Result<Response, Response> {
    let caller = enter(viewer, &uri)?;
    page(&app, caller.only_repository(), &paging).await.map_err(IntoResponse::into_response)
}

async fn page(app: &App, repository: Option<&RepositoryName>, paging: &Paging) -> Result<Response, Problem> {
    let client = app.store.client().await?;
    let request = PageRequest { number: paging.page.unwrap_or(1).max(1), size: PAGE_SIZE };
    let listed = deliveries::list(&client, repository, request).await?;
    let page = DeliveriesPage {
        deliveries: listed.items.iter().map(Row::from).collect(),
        page: request.number,
        pages: listed.last(),
        total: listed.total,
    };
    Ok(html(&page)?.into_response())
}
