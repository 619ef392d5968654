//! Errors of the API, as RFC 9457 problem details with a stable `type`.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Where the types of problems are described; each `type` is this with its name behind it.
pub const TYPES: &str = "/problems";

pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that is an error: what, why, and what else a program needs of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Stable: programs decide by it.
    pub r#type: String,
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time and what to do about it.
    pub detail: String,
    /// Further members, by the type.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub members: Map<String, Value>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("{TYPES}/{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            members: Map::new(),
            retry_after: None,
        }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is malformed", detail)
    }

    pub fn unauthorized() -> Self {
        let detail =
            "Send `Authorization: Bearer TOKEN`; an administrator makes one with `offshoot token create`.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed", detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The token does not allow this", detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// An answer of the framework itself, or of a handler that said no more than a status: what it means here.
    pub fn of_status(status: StatusCode, said: &str) -> Self {
        let (kind, title, usual) = match status.as_u16() {
            401 => return Self::unauthorized(),
            404 => return Self::nothing_here(),
            405 => ("method-not-allowed", "The method is not allowed here", "`Allow` lists those that are."),
            413 => ("too-large", "The request is too large", "Send less at once."),
            415 => (
                "unsupported-media-type",
                "The body is of another type than is taken here",
                "Send it with `Content-Type: application/json`.",
            ),
            422 => ("unprocessable", "The request cannot be processed", "The body has the wrong shape."),
            503 => return Self::unavailable(),
            400..=499 => ("bad-request", "The request is malformed", "A part of it cannot be read."),
            _ => return Self::internal(),
        };
        // The framework's own words speak of the request alone.
        let said: String = said.trim().chars().filter(|c| !c.is_control()).take(500).collect();
        Self::new(status, kind, title, if said.is_empty() { usual.to_owned() } else { said })
    }

    pub fn nothing_here() -> Self {
        Self::not_found("There is nothing at this path; `/api/openapi.json` lists what there is.")
    }

    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is longer than the {} KiB that are taken here.", limit / 1024);
        Self::of_status(StatusCode::PAYLOAD_TOO_LARGE, &detail)
    }

    /// The request did not arrive whole in time.
    pub fn timed_out(limit: Duration) -> Self {
        let detail = format!("The body was not there after {} seconds.", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request came too slowly", detail)
    }

    /// The caller asks more often than it may; after so many seconds it may again.
    pub fn too_many(wait: u64) -> Self {
        let detail = format!("Ask again in {wait} s, and less often.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "There are too many requests", detail)
            .retry_after(wait)
    }

    pub fn conflict(kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title, detail)
    }

    /// The service or its servers failed; the cause is in the log, under the request's id.
    pub fn internal() -> Self {
        let detail = "The cause is in the service's log, under this answer's `x-request-id`.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Offshoot failed", detail)
    }

    /// The database is out of reach for the moment.
    pub fn unavailable() -> Self {
        let detail = "The control database does not answer; try again in a few seconds.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Offshoot is not ready", detail)
            .retry_after(2)
    }

    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("a problem's member is plain data");
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Adds the members of an object, but for those that every problem has itself: `detail` is also PostgreSQL's word.
    pub fn with_all(mut self, value: impl Serialize) -> Self {
        if let Ok(Value::Object(members)) = serde_json::to_value(value) {
            let own = ["type", "title", "status", "detail"];
            self.members.extend(members.into_iter().filter(|(name, _)| !own.contains(&name.as_str())));
        }
        self
    }

    /// Seconds after which another try is worth it.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::of_status(rejection.status(), &rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::of_status(rejection.status(), &rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::of_status(rejection.status(), &rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
