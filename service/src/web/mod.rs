//! The doors for programs and people: the API, health, figures and the dashboard.

pub mod api;
mod auth;
mod dashboard;
mod health;
pub mod problem;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Request, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use crate::engine::Engine;
use crate::github::Github;
use crate::secret::Secret;
use crate::store::{Listener, Store, StoreError};
use problem::Problem;

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub engine: Engine,
    pub github: Github,
    pub listener: Arc<Listener>,
    /// Base of links, without a `/` at its end.
    pub public_url: Arc<str>,
    /// The bootstrap administrator's token, if one is set.
    pub bootstrap: Option<Secret>,
    pub figures: PrometheusHandle,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every route of the service but the webhook's, which brings its own limits.
pub fn router(app: App, webhook: Router) -> Router {
    let routes = Router::new()
        .merge(health::routes())
        .merge(api::routes())
        .merge(dashboard::routes())
        .with_state(app)
        .fallback(missing)
        .merge(webhook);
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(log_response))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::X_FRAME_OPTIONS, "DENY"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
        ))
        .layer(CatchPanicLayer::custom(panicked));
    routes.layer(layers)
}

async fn missing() -> Problem {
    Problem::not_found("There is nothing at this path; `/api/openapi.json` lists what there is.")
}

/// The path without its query, which may hold what should not be logged.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request
        .extensions()
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or_default();
    tracing::info_span!("request", method = %request.method(), path = request.uri().path(), id)
}

fn log_response<B>(response: &axum::http::Response<B>, latency: Duration, _: &tracing::Span) {
    let status = response.status().as_u16();
    metrics::histogram!("offshoot_http_request_seconds", "status" => status.to_string()).record(latency);
    tracing::debug!(status, ms = latency.as_secs_f64() * 1e3, "answered");
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    tracing::error!(message, "a request's handler panicked");
    Problem::internal().into_response()
}

/// What the control database could not do, as an answer; the cause is logged here and nowhere else.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let transient = error.is_transient();
        let error = anyhow::Error::from(error);
        tracing::error!(error = format!("{error:#}"), "a request failed in the control database");
        if transient { Self::unavailable() } else { Self::internal() }
    }
}
