//! RFC 9457 answers to deliveries that are not taken.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a delivery is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    Malformed(String),
    Unsigned(&'static str),
    TooLarge,
    TooSlow,
    /// Other large deliveries are being read.
    Crowded,
    /// The control database does not answer; the delivery can be sent again.
    Unavailable,
    Internal,
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unsigned(_) => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Crowded | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// As it is counted.
    pub(super) fn why(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unsigned(_) => "unsigned",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Crowded => "crowded",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The last part of its `type`, which stays the same for ever.
    fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed-delivery",
            Self::Unsigned(_) => "invalid-signature",
            Self::TooLarge => "delivery-too-large",
            Self::TooSlow => "request-timeout",
            Self::Crowded | Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "The delivery is malformed",
            Self::Unsigned(_) => "The delivery's signature is missing or wrong",
            Self::TooLarge => "The delivery is too large",
            Self::TooSlow => "The delivery came too slowly",
            Self::Crowded | Self::Unavailable => "Offshoot cannot store deliveries at the moment",
            Self::Internal => "Offshoot failed",
        }
    }

    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Malformed(why) => why,
            Self::Unsigned(why) => why,
            Self::TooLarge => "GitHub caps deliveries at 25 MB; this one is longer than 25 MiB",
            Self::TooSlow => "the body was not there after 20 seconds",
            Self::Crowded => "other deliveries of more than a megabyte are being read; redeliver it later",
            Self::Unavailable => "the control database does not answer; redeliver it later",
            Self::Internal => "the delivery was not stored; the service's log says why",
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("/problems/{}", self.name()),
            "title": self.title(),
            "status": self.status().as_u16(),
            "detail": self.detail(),
        });
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self, Self::Crowded | Self::Unavailable) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        response
    }
}
