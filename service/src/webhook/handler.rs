//! `POST /webhooks/github`: check, store, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::BytesMut;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::inbox::Inbox;
use super::payload;
use super::problem::Problem;
use super::rush::Rush;
use super::signature;
use crate::jobs::Turns;
use crate::secret::Secret;
use crate::store::deliveries::Receipt;
use crate::store::{Listener, Store};
use crate::telemetry::catalogue::DELIVERY_EVENTS;

/// GitHub's own cap for a delivery is 25 MB.
const BODY_LIMIT: usize = 25 * 1024 * 1024;
/// Above this a delivery needs one of a few places. GitHub's usual ones have some 20 KB.
const USUAL_SIZE: usize = 1024 * 1024;
const LARGE_AT_ONCE: usize = 8;
/// GitHub itself gives a delivery up after ten seconds.
const BODY_TIME: Duration = Duration::from_secs(20);

/// What the route needs.
#[derive(Debug)]
pub struct WebhookState {
    inbox: Inbox,
    /// Any of them may have signed a delivery: there are two while one is being replaced.
    secrets: Vec<Secret>,
    room_for_large: Semaphore,
    rush: Rush,
    turns: Turns,
}

impl WebhookState {
    /// Within a runtime: what comes in is stored by a task of its own.
    pub fn new(store: Store, listener: Arc<Listener>, secrets: Vec<Secret>, turns: Turns) -> Self {
        Self {
            inbox: Inbox::open(store, listener),
            secrets,
            room_for_large: Semaphore::new(LARGE_AT_ONCE),
            rush: Rush::default(),
            turns,
        }
    }
}

/// The route that GitHub posts to.
pub fn router(state: WebhookState) -> Router {
    Router::new().route("/webhooks/github", post(receive)).with_state(Arc::new(state))
}

async fn receive(State(state): State<Arc<WebhookState>>, request: Request) -> Response {
    let began = Instant::now();
    let _in_rush = state.rush.join(&state.turns).await;
    let response = match take(&state, request).await {
        Ok(status) => status.into_response(),
        Err(problem) => {
            tracing::warn!(
                status = problem.status().as_u16(),
                reason = problem.detail(),
                "refused a delivery"
            );
            metrics::counter!("offshoot_deliveries_refused_total", "why" => problem.why()).increment(1);
            problem.into_response()
        }
    };
    metrics::histogram!("offshoot_delivery_seconds").record(began.elapsed());
    response
}

async fn take(state: &WebhookState, request: Request) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let envelope = Envelope::read(&parts.headers)?;
    let body = read_body(state, &parts.headers, body).await?;
    if !signature::is_valid(envelope.signature, &body, &state.secrets) {
        return Err(Problem::Unsigned(
            "X-Hub-Signature-256 is not the body's under this service's webhook secret",
        ));
    }
    let json = if envelope.is_form { payload_field(&body)? } else { body };
    let received =
        payload::read(envelope.event, &json).map_err(|error| Problem::Malformed(error.to_string()))?;
    tracing::Span::current().record("delivery", envelope.delivery);
    let action = received.action.clone();
    let repository = received.repository.as_ref().map(|facts| facts.name.to_string());
    let job = received.job.as_ref().map(ToString::to_string);
    let receipt = state.inbox.store(envelope.delivery, received, json).await?;
    let (status, outcome) = match (receipt, &job) {
        (Receipt::Stored, Some(_)) => (StatusCode::ACCEPTED, "stored"),
        (Receipt::Stored, None) => (StatusCode::OK, "nothing_to_do"),
        (Receipt::Repeated, _) => (StatusCode::OK, "repeated"),
    };
    let repeated = receipt == Receipt::Repeated;
    tracing::info!(
        delivery = envelope.delivery,
        event = envelope.event,
        action,
        repository,
        job,
        repeated,
        "received a delivery"
    );
    metrics::counter!("offshoot_deliveries_total", "event" => counted(envelope.event), "outcome" => outcome)
        .increment(1);
    Ok(status)
}

/// An event as it is counted.
fn counted(event: &str) -> &'static str {
    DELIVERY_EVENTS.iter().find(|known| **known == event).copied().unwrap_or("other")
}

/// What a delivery's headers say.
#[derive(Debug)]
struct Envelope<'h> {
    signature: &'h str,
    delivery: &'h str,
    event: &'h str,
    /// The body is a form with the JSON in its field `payload`: GitHub's other content type.
    is_form: bool,
}

impl<'h> Envelope<'h> {
    fn read(headers: &'h HeaderMap) -> Result<Self, Problem> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let malformed = |why: &str| Problem::Malformed(why.to_owned());
        let signature =
            text("x-hub-signature-256").ok_or(Problem::Unsigned("X-Hub-Signature-256 is missing"))?;
        let delivery = text("x-github-delivery").filter(|id| is_delivery_id(id)).ok_or_else(|| {
            malformed("X-GitHub-Delivery is missing, or not 1 to 100 letters, digits and hyphens")
        })?;
        let event = text("x-github-event").filter(|event| payload::is_word(event)).ok_or_else(|| {
            malformed("X-GitHub-Event is missing, or not 1 to 100 small letters, digits and underscores")
        })?;
        let content_type = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_form = match media_type.as_str() {
            "application/json" => false,
            "application/x-www-form-urlencoded" => true,
            _ => {
                return Err(malformed(
                    "Content-Type is neither application/json nor application/x-www-form-urlencoded",
                ));
            }
        };
        Ok(Self { signature, delivery, event, is_form })
    }
}

fn is_delivery_id(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

async fn read_body(state: &WebhookState, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > BODY_LIMIT) {
        return Err(Problem::TooLarge);
    }
    timeout(BODY_TIME, collect(state, body)).await.unwrap_or(Err(Problem::TooSlow))
}

/// The whole body. Few large ones are in memory at a time: whoever sends them is not known before the end.
async fn collect(state: &WebhookState, body: Body) -> Result<Bytes, Problem> {
    let mut body = Limited::new(body, BODY_LIMIT);
    let (mut whole, mut place) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => Problem::TooLarge,
            false => Problem::Malformed("the body did not arrive whole".to_owned()),
        })?;
        whole.extend_from_slice(&frame.into_data().unwrap_or_default());
        if whole.len() > USUAL_SIZE && place.is_none() {
            place = Some(state.room_for_large.try_acquire().map_err(|_| Problem::Crowded)?);
        }
    }
    Ok(whole.freeze())
}

fn payload_field(form: &[u8]) -> Result<Bytes, Problem> {
    url::form_urlencoded::parse(form)
        .find(|(name, _)| name == "payload")
        .map(|(_, json)| Bytes::from(json.into_owned()))
        .ok_or_else(|| Problem::Malformed("the form has no field \"payload\"".to_owned()))
}

#[cfg(test)]
mod tests;
