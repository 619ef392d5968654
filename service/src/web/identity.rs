//! Which request it is and where it comes from: the first thing that is decided of each.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use crate::domain::network::{self, Network};
use crate::web::server::Connected;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) address: IpAddr,
}

/// The name by which the log, the answer and a proxy's log know one request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) HeaderValue);

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn new() -> Self {
        let text = Uuid::new_v4().to_string();
        Self(HeaderValue::from_str(&text).expect("a UUID is plain text"))
    }

    /// The one that a proxy gave, as far as it cannot break a log line.
    fn given(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(REQUEST_ID)?;
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_plain = (8..=64).contains(&value.len()) && value.as_bytes().iter().all(allowed);
        is_plain.then(|| Self(value.clone()))
    }
}

/// Notes who sent a request and what it is called, and puts the name on the answer. Only a trusted proxy is believed in either.
pub(super) async fn identify(
    State(proxies): State<Arc<[Network]>>,
    mut request: Request,
    next: Next,
) -> Response {
    let connected = request.extensions().get::<Connected>().map(|connected| connected.0);
    // A router that is called without a socket, as tests do, is called from here.
    let connected = connected.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let by_proxy = proxies.iter().any(|proxy| proxy.contains(connected));
    let forwarded = request.headers().get_all(FORWARDED_FOR).into_iter();
    let forwarded = forwarded.map(|value| value.to_str().unwrap_or_default());
    let address = network::client(connected, forwarded, &proxies);
    let id = RequestId::given(request.headers()).filter(|_| by_proxy).unwrap_or_else(RequestId::new);
    request.extensions_mut().insert(Client { address });
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id.0);
    response
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let unknown = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_request_id_is_taken_over() {
        let given = |text: &'static str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(text))]);
            RequestId::given(&headers).map(|id| id.as_str().to_owned())
        };
        assert_eq!(given("01JD-abc_9.x").as_deref(), Some("01JD-abc_9.x"));
        for odd in ["", "short", "with a blank in it", "with\"quote\"", "a{}b{}c{}d"] {
            assert_eq!(given(odd), None, "{odd}");
        }
    }
}
