//! What every answer has in common: headers that keep a browser from harm, and errors that say the same in the reader's own form.

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value};

use super::identity::RequestId;
use super::problem::{PROBLEM_JSON, Problem};

/// Nothing from elsewhere, nothing inline, nobody's frame, and no form that leads away.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Answers hold URLs with passwords, and pages are for whoever is logged in now.
    (header::CACHE_CONTROL, "no-store"),
];

/// Puts on each answer what a browser needs to know to keep others out.
pub(super) async fn guard(is_https: bool, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_https {
        let a_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, a_year);
    }
    response
}

/// Longer than any error that a handler makes.
const LONGEST_ERROR: usize = 1024 * 1024;

/// Makes every error a problem document for programs and a page for people, whoever made it, each with the request's name.
pub(super) async fn explain(request: Request, next: Next) -> Response {
    let is_page = is_page(request.uri().path());
    let id = request.extensions().get::<RequestId>().cloned();
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() || is(&response, "text/html") {
        return response;
    }
    let is_problem = is(&response, PROBLEM_JSON);
    let (mut parts, body) = response.into_parts();
    let said =
        Limited::new(body, LONGEST_ERROR).collect().await.map(|said| said.to_bytes()).unwrap_or_default();
    let said: Option<Map<String, Value>> =
        if is_problem { serde_json::from_slice(&said).ok() } else { Some(of_framework(status, &said)) };
    let mut problem = said.unwrap_or_else(|| of_framework(StatusCode::INTERNAL_SERVER_ERROR, b""));
    let id = id.as_ref().map(RequestId::as_str).unwrap_or_default();
    problem.insert("request_id".to_owned(), id.into());
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    let answer = if is_page { page(&problem) } else { document(&problem) };
    (parts.status, parts.headers, answer).into_response()
}

/// Pages are what is for neither programs nor probes.
fn is_page(path: &str) -> bool {
    const OTHERS: [&str; 5] = ["/api", "/webhooks", "/healthz", "/readyz", "/metrics"];
    !OTHERS
        .iter()
        .any(|other| path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn is(response: &Response, media_type: &str) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.starts_with(media_type))
}

fn of_framework(status: StatusCode, said: &[u8]) -> Map<String, Value> {
    match serde_json::to_value(Problem::of_status(status, &String::from_utf8_lossy(said))) {
        Ok(Value::Object(problem)) => problem,
        _ => Map::new(),
    }
}

fn document(problem: &Map<String, Value>) -> Response {
    let body = Body::from(Value::Object(problem.clone()).to_string());
    ([(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    title: &'a str,
    detail: &'a str,
    request_id: &'a str,
}

fn page(problem: &Map<String, Value>) -> Response {
    let part = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let page = Page { title: part("title"), detail: part("detail"), request_id: part("request_id") };
    page.render().map(Html).map_or_else(|_| document(problem), IntoResponse::into_response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_documents_and_people_pages() {
        for path in ["/", "/repos/acme/shop", "/nowhere", "/apiary", "/login"] {
            assert!(is_page(path), "{path}");
        }
        for path in ["/api", "/api/v1/branches", "/api/nowhere", "/webhooks/github", "/readyz", "/metrics"] {
            assert!(!is_page(path), "{path}");
        }
    }
}
