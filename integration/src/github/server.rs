//! The HTTP server: everything that happens to a request before and after its route.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::Service;

use super::Hub;
use super::answer::{ApiError, Target};
use super::faults::Fault;
use super::requests::LoggedRequest;

/// Serves until the task is aborted; with it go its connections.
pub(crate) async fn serve(hub: Arc<Hub>, router: Router, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let (hub, router) = (Arc::clone(&hub), router.clone());
        connections.spawn(async move {
            let service = service_fn(|request| gate(Arc::clone(&hub), router.clone(), request));
            // An error here is a connection that was closed, by the client or by a fault.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// One request from arrival to answer. An error closes the connection.
async fn gate(hub: Arc<Hub>, router: Router, request: http::Request<Incoming>) -> io::Result<Response> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = below_base(parts.uri.path()).to_owned();
    let logged = LoggedRequest {
        method: parts.method.clone(),
        path: path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.to_vec(),
        status: None,
    };
    let index = hub.requests.arrived(logged);
    // Even the shortest sleep is rounded up to the next tick of a millisecond.
    if !hub.delay.is_zero() {
        tokio::time::sleep(hub.delay).await;
    }
    let closed = || io::Error::new(io::ErrorKind::ConnectionAborted, "closed on purpose");
    let mut lose_answer = false;
    match hub.faults.meet(&parts.method, &path) {
        None => {}
        Some(Fault::LoseAnswer) => lose_answer = true,
        Some(Fault::Close) => return Err(closed()),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Latency(latency)) => tokio::time::sleep(latency).await,
        Some(fault) => {
            let response = failed(&fault);
            hub.requests.answered(index, response.status().as_u16());
            return Ok(response);
        }
    }
    let (response, answer_body) = answer(&hub, router, &parts, &path, body.clone()).await?;
    if lose_answer {
        return Err(closed());
    }
    #[cfg(feature = "harness")]
    if hub.checks_exchanges {
        hub.check_exchange(&parts.method, &path, parts.uri.query(), &body, response.status(), &answer_body);
    }
    hub.requests.answered(index, response.status().as_u16());
    Ok(response.map(|()| Body::from(answer_body)))
}

/// The same routes are found at the root, as on api.github.com, and below `/api/v3`, as on GitHub Enterprise.
fn below_base(path: &str) -> &str {
    match path {
        "/api/graphql" => "/graphql",
        _ => path.strip_prefix("/api/v3").filter(|rest| rest.starts_with('/')).unwrap_or(path),
    }
}

async fn answer(
    hub: &Hub,
    mut router: Router,
    parts: &Parts,
    path: &str,
    body: Bytes,
) -> io::Result<(http::Response<()>, Bytes)> {
    let response = match admit(hub, parts, path) {
        Ok(request) => {
            router.call(request.map(|()| Body::from(body))).await.unwrap_or_else(|never| match never {})
        }
        Err(refusal) => *refusal,
    };
    let counted = response.status() != StatusCode::UNAUTHORIZED && path != "/rate_limit";
    let (head, body) = response.into_parts();
    let mut bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut response = http::Response::from_parts(head, ());
    let unchanged = parts.method == Method::GET && tag(&mut response, &bytes, &parts.headers);
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        bytes = Bytes::new();
    }
    hub.state().count_request(counted && !unchanged, response.headers_mut());
    Ok((response, bytes))
}

/// The request as its route sees it, or the answer to one that gets no further.
fn admit(hub: &Hub, parts: &Parts, path: &str) -> Result<http::Request<()>, Box<Response>> {
    let state = hub.state();
    let caller = state.authenticate(&parts.headers).map_err(refused)?;
    if state.is_exhausted() && path != "/rate_limit" {
        return Err(refused(ApiError::new(StatusCode::FORBIDDEN, "API rate limit exceeded")));
    }
    if let Some(moved) = state.moved_to(path) {
        let permanent = if parts.method == Method::GET { 301 } else { 307 };
        let status = StatusCode::from_u16(permanent).expect("a status");
        let mut response = ApiError::new(status, "Moved Permanently").into_response();
        let location = HeaderValue::from_str(&moved).expect("an address fits a header");
        response.headers_mut().insert(LOCATION, location);
        return Err(Box::new(response));
    }
    let path = state.by_name(path);
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let uri: Uri = format!("{path}{query}").parse().map_err(|_| refused(ApiError::not_found()))?;
    let mut request = http::Request::new(());
    *request.method_mut() = parts.method.clone();
    request.extensions_mut().insert(Target(format!("{}{path}{query}", state.url)));
    *request.uri_mut() = uri;
    *request.headers_mut() = parts.headers.clone();
    request.extensions_mut().insert(caller);
    Ok(request)
}

fn refused(error: ApiError) -> Box<Response> {
    Box::new(error.into_response())
}

/// Gives a 200 its ETag; true if the client already has it.
fn tag(response: &mut http::Response<()>, bytes: &[u8], headers: &HeaderMap) -> bool {
    if response.status() != StatusCode::OK {
        return false;
    }
    let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(bytes)));
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    response.headers_mut().insert(ETAG, HeaderValue::from_str(&tag).expect("hexadecimal fits a header"));
    known
}

fn failed(fault: &Fault) -> Response {
    let limited = |status, message: &str, headers: &[(&'static str, u64)]| {
        let mut response = ApiError::new(status, message).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(*name, HeaderValue::from(*value));
        }
        response
    };
    let now = chrono::Utc::now().timestamp().unsigned_abs();
    let secondary =
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    match fault {
        Fault::Status(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            ApiError::new(status, status.canonical_reason().unwrap_or("Error")).into_response()
        }
        Fault::PrimaryRateLimit { reset_in } => limited(
            StatusCode::FORBIDDEN,
            "API rate limit exceeded",
            &[
                ("x-ratelimit-limit", 5000),
                ("x-ratelimit-remaining", 0),
                ("x-ratelimit-reset", now + reset_in),
            ],
        ),
        Fault::SecondaryRateLimit { retry_after } => limited(
            StatusCode::FORBIDDEN,
            secondary,
            &[("retry-after", *retry_after), ("x-ratelimit-remaining", 4000)],
        ),
        Fault::TooManyRequests { retry_after } => {
            limited(StatusCode::TOO_MANY_REQUESTS, secondary, &[("retry-after", *retry_after)])
        }
        Fault::Garbage | Fault::Close | Fault::LoseAnswer | Fault::Hang | Fault::Latency(_) => {
            ([(CONTENT_TYPE, "application/json; charset=utf-8")], "<html>{\"unfinished").into_response()
        }
    }
}
