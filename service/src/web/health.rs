//! Whether the process lives, whether it can serve, and its figures.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::App;
use super::auth::Caller;
use super::problem::Problem;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).route("/metrics", get(figures))
}

/// The process answers.
async fn alive() -> &'static str {
    "ok\n"
}

/// Both databases answer, and the control database has the schema that this version was built for.
async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    let (schema, server) = tokio::join!(app.store.schema_is_current(), app.engine.ping());
    let unready = |detail: &str| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unready", "Offshoot is not ready", detail)
    };
    match (schema, server) {
        (Err(error), _) => {
            tracing::warn!(error = %error, "not ready: the control database");
            Err(unready("The control database does not answer."))
        }
        (Ok(false), _) => Err(unready("The control database's schema is of another version of Offshoot.")),
        (_, Err(error)) => {
            tracing::warn!(error = %error, "not ready: the branch server");
            Err(unready("The branch server does not answer."))
        }
        (Ok(true), Ok(())) => Ok("ok\n"),
    }
}

/// Prometheus' text format; `figures.rs` keeps the gauges up to date.
async fn figures(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    caller.must_read_all()?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.figures.render()).into_response())
}
