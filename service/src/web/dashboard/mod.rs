//! The dashboard: what people look at after the pull request. Server-rendered, complete without JavaScript, nothing from elsewhere.

mod deliveries;
mod layers;
mod markdown;
mod pages;
mod session;

use axum::Router;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::App;

pub(super) use session::token_of;

pub(super) fn routes(app: &App) -> Router<App> {
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
        .layer(from_fn_with_state(app.clone(), session::from_here))
}

/// How long a browser keeps what is the same for everybody; a new version has it after that.
const BRIEFLY: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

async fn style() -> impl IntoResponse {
    let content_type = (header::CONTENT_TYPE, "text/css; charset=utf-8");
    ([content_type, BRIEFLY], include_str!("../../../../templates/style.css"))
}

async fn script() -> impl IntoResponse {
    let content_type = (header::CONTENT_TYPE, "text/javascript; charset=utf-8");
    ([content_type, BRIEFLY], include_str!("../../../../templates/live.js"))
}
