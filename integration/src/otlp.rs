//! A collector of OpenTelemetry's traces: takes what a service sends by OTLP over HTTP, and keeps it to be looked at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A span as it was received; ids in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub name: String,
    pub id: String,
    /// Empty for the root of a trace.
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
    pub links: Vec<Link>,
}

/// What a span points to in another trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub span: String,
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    bodies: Vec<u8>,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Collector {
    url: String,
    received: Arc<Mutex<Received>>,
    _server: tokio_util::task::AbortOnDropHandle<()>,
}

impl Collector {
    pub async fn start() -> Result<Self> {
        let socket = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", socket.local_addr()?);
        let received = Arc::<Mutex<Received>>::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(received.clone());
        let server = tokio::spawn(async move {
            // It ends with the test; a test that needs it notices by what is missing.
            _ = axum::serve(socket, router).await;
        });
        Ok(Self { url, received, _server: tokio_util::task::AbortOnDropHandle::new(server) })
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` should be.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// All that came, as far as it is text.
    pub fn text(&self) -> String {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&received.bodies).into_owned()
    }

    /// Waits for a span; the spans of one trace arrive in any order.
    pub async fn wait_for(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Result<Span> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(span) = self.spans().into_iter().find(|span| wanted(span)) {
                return Ok(span);
            }
            ensure!(Instant::now() < deadline, "no span is {what}; there are {:#?}", self.spans());
            sleep(POLL).await;
        }
    }
}

async fn take(State(received): State<Arc<Mutex<Received>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else {
        return StatusCode::BAD_REQUEST;
    };
    let spans = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let spans = spans.flat_map(|scope| scope.spans).map(|span| Span {
        name: span.name,
        id: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        attributes: attributes(&span.attributes),
        links: span
            .links
            .iter()
            .map(|link| Link { span: hex::encode(&link.span_id), attributes: attributes(&link.attributes) })
            .collect(),
    });
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    received.spans.extend(spans);
    received.bodies.extend_from_slice(&body);
    StatusCode::OK
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
