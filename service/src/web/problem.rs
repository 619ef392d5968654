//! Errors of the API, as RFC 9457 problem details with a stable `type`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Where the types of problems are described; each `type` is this with its name behind it.
pub const TYPES: &str = "/problems";

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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
