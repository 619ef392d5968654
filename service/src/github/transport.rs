//! How requests leave for GitHub: by reqwest, below octocrab.
//!
//! octocrab's own client names itself as the user agent and cannot be told otherwise, repeats every request blindly,
//! POSTs included, and sends no credentials to an address outside the API's base, where GitHub Enterprise keeps GraphQL.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use octocrab::OctoBody;
use tower::BoxError;
use url::Url;

use super::error::GithubError;

const PUBLIC_API: &str = "https://api.github.com";
const USER_AGENT: &str = concat!("offshoot/", env!("CARGO_PKG_VERSION"));
/// The version of GitHub's API that this client is written for.
const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");
const JSON: HeaderValue = HeaderValue::from_static("application/vnd.github+json");

/// Where paths lead that do not start with the API's own.
pub(super) const GRAPHQL_PATH: &str = "/graphql";

/// How long GitHub may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    /// Between two pieces of an answer, its beginning included.
    pub read: Duration,
    /// For a whole answer.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(5), read: seconds(20), whole: seconds(60) }
    }
}

/// The addresses of one GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Without a `/` at its end.
    api: String,
    graphql: String,
}

impl Addresses {
    /// Of GitHub's own API, or of the one at `api_url`. GitHub Enterprise has `…/api/v3` and beside it `…/api/graphql`.
    pub fn new(api_url: Option<&str>) -> Result<Self, GithubError> {
        let api = api_url.unwrap_or(PUBLIC_API).trim_end_matches('/');
        let url = Url::parse(api).map_err(|error| error.to_string()).and_then(|url| {
            let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            if matches!(url.scheme(), "http" | "https") && plain {
                Ok(())
            } else {
                Err("not a plain http URL".into())
            }
        });
        url.map_err(|why| {
            let example = "https://github.example.com/api/v3";
            GithubError::Setting(format!("GitHub's API URL is not usable: {why}; an example is {example}"))
        })?;
        let graphql = match api.strip_suffix("/v3") {
            Some(enterprise) => format!("{enterprise}{GRAPHQL_PATH}"),
            None => format!("{api}{GRAPHQL_PATH}"),
        };
        Ok(Self { api: api.to_owned(), graphql })
    }

    /// The whole address of a path below the API.
    fn of(&self, path: &Uri) -> String {
        if path.path() == GRAPHQL_PATH { self.graphql.clone() } else { format!("{}{path}", self.api) }
    }

    /// The path, with its query, of an address that the API gave, as in a `Link` header.
    pub fn path_of(&self, address: &str) -> Option<String> {
        let (address, api) = (Url::parse(address).ok()?, Url::parse(&self.api).ok()?);
        let path = address.path().strip_prefix(api.path().trim_end_matches('/'))?;
        Some(address.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
    }
}

/// The service that octocrab hands its requests to.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    client: reqwest::Client,
    addresses: Addresses,
}

impl Transport {
    pub fn new(addresses: Addresses, timeouts: Timeouts) -> Result<Self, GithubError> {
        let headers = HeaderMap::from_iter([
            (http::HeaderName::from_static("x-github-api-version"), API_VERSION),
            (ACCEPT, JSON),
        ]);
        let mut client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.read)
            .timeout(timeouts.whole);
        for certificate in rustls_native_certs::load_native_certs().certs {
            // The system may hold certificates that rustls does not take; the others still serve.
            if let Ok(certificate) = reqwest::Certificate::from_der(&certificate) {
                client = client.add_root_certificate(certificate);
            }
        }
        let unusable =
            |error: reqwest::Error| GithubError::Setting(format!("no HTTP client can be made: {error}"));
        Ok(Self { client: client.build().map_err(unusable)?, addresses })
    }
}

impl tower::Service<Request<OctoBody>> for Transport {
    type Response = Response<reqwest::Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let client = self.client.clone();
        let address = self.addresses.of(request.uri());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            parts.headers.remove(CONTENT_LENGTH);
            // Whole in memory, so that a redirect of a renamed repository can send it again.
            let body = body.collect().await?.to_bytes();
            let mut outgoing = client.request(parts.method, address).headers(parts.headers);
            if !body.is_empty() {
                outgoing = outgoing.body(body);
            }
            Ok(outgoing.send().await.map_err(reqwest::Error::without_url)?.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_lies_where_each_github_keeps_it() {
        let graphql = |url: Option<&str>| Addresses::new(url).unwrap().of(&Uri::from_static(GRAPHQL_PATH));
        assert_eq!(graphql(None), "https://api.github.com/graphql");
        assert_eq!(graphql(Some("https://git.acme.io/api/v3/")), "https://git.acme.io/api/graphql");
        assert_eq!(graphql(Some("http://127.0.0.1:9")), "http://127.0.0.1:9/graphql");
    }

    #[test]
    fn paths_go_out_and_come_back() {
        let enterprise = Addresses::new(Some("https://git.acme.io/api/v3")).unwrap();
        let address = enterprise.of(&Uri::from_static("/repos/a/b?page=2"));
        assert_eq!(address, "https://git.acme.io/api/v3/repos/a/b?page=2");
        assert_eq!(enterprise.path_of(&address).unwrap(), "/repos/a/b?page=2");
    }

    #[test]
    fn an_unusable_address_is_refused_without_being_repeated() {
        for bad in ["api.github.com", "ftp://x", "https://user:hunter2@x", "https://x/?a"] {
            let error = Addresses::new(Some(bad)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
