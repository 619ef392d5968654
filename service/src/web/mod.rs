//! The doors for programs and people: the API, health, figures and the dashboard.

mod answers;
pub mod api;
mod auth;
mod dashboard;
mod forks_at_hand;
mod health;
mod identity;
mod limits;
pub mod problem;
mod server;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tracing::field::Empty;

use crate::domain::network::Network;
use crate::engine::Engine;
use crate::github::Github;
use crate::secret::Secret;
use crate::store::{Listener, Store, StoreError};
pub use forks_at_hand::ForksAtHand;
use identity::RequestId;
pub use limits::Limits;
use problem::Problem;
pub use server::serve;

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
    /// For how long a fork may be asked for at most.
    pub fork_ttl_limit: Duration,
    pub forks_at_hand: Arc<ForksAtHand>,
    /// After how long a branch that nobody uses goes; none for never.
    pub idle_ttl: Option<chrono::TimeDelta>,
    pub figures: PrometheusHandle,
    /// The proxies that are believed where a request comes from.
    pub proxies: Arc<[Network]>,
    pub limits: Arc<Limits>,
    /// Ends what waits and what streams.
    pub stopping: CancellationToken,
}

impl App {
    /// Whether people reach it by https, so that nothing of theirs should ever go another way.
    fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

/// Every route of the service but the webhook's, which brings its own limits.
pub fn router(app: App, webhook: Router) -> Router {
    let (proxies, limits, is_https) = (app.proxies.clone(), app.limits.clone(), app.is_https());
    let routes = Router::new()
        .merge(health::routes())
        .merge(api::routes())
        .merge(dashboard::routes(&app))
        .with_state(app)
        .fallback(|| async { Problem::nothing_here() })
        .merge(webhook);
    // From the outside in.
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(proxies, identity::identify))
        .layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(log_response))
        .layer(from_fn(move |request, next| answers::guard(is_https, request, next)))
        .layer(from_fn(answers::explain))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(limits, limits::throttle))
        .layer(from_fn(limits::bound));
    routes.layer(layers)
}

/// The path without its query, which may hold what should not be logged.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let id = request.extensions().get::<RequestId>().map(RequestId::as_str).unwrap_or_default();
    tracing::info_span!(
        "request", method = %request.method(), path = request.uri().path(), id,
        delivery = Empty, status = Empty, otel.status_code = Empty
    )
}

fn log_response<B>(response: &axum::http::Response<B>, latency: Duration, span: &tracing::Span) {
    let status = response.status().as_u16();
    span.record("status", status);
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    metrics::histogram!("offshoot_http_request_seconds", "status" => format!("{}xx", status / 100))
        .record(latency);
    tracing::debug!(status, ms = latency.as_secs_f64() * 1e3, "answered");
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    metrics::counter!("offshoot_errors_total", "kind" => "panic").increment(1);
    tracing::error!(message, "a request's handler panicked");
    Problem::internal().into_response()
}

/// What the control database could not do, as an answer; the cause is logged here and nowhere else.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let transient = error.is_transient();
        metrics::counter!("offshoot_errors_total", "kind" => "control_database").increment(1);
        let error = anyhow::Error::from(error);
        tracing::error!(error = format!("{error:#}"), "a request failed in the control database");
        if transient { Self::unavailable() } else { Self::internal() }
    }
}
