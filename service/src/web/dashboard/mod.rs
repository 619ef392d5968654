//! The dashboard: what people look at after the pull request. Server-rendered, complete without JavaScript, nothing from elsewhere.

mod deliveries;
mod layers;
mod markdown;
mod pages;
mod session;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::App;

pub(super) use session::token_of;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(pages::branches))
        .route("/repos/{owner}/{name}", get(pages::repository))
        .route("/repos/{owner}/{name}/pulls/{number}", get(pages::pull))
        .route("/repos/{owner}/{name}/pulls/{number}/reset", post(pages::reset))
        .route("/layers", get(layers::show))
        .route("/deliveries", get(deliveries::show))
        .route("/login", get(session::form).post(session::log_in))
        .route("/logout", post(session::log_out))
        .route("/assets/style.css", get(style))
        .route("/assets/live.js", get(script))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../../../templates/style.css"))
}

async fn script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        include_str!("../../../../templates/live.js"),
    )
}
