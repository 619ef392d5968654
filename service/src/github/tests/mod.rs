//! The client against a small HTTP server that answers from a function and remembers what it was asked.

mod credentials;
mod reading;
mod refusals;
mod simulated;
mod writing;

use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Credentials, Github, GithubSettings, RepositoryClient};
use crate::secret::Secret;

const TOKEN: &str = "ghp_hunter2hunter2hunter2";
const APP: i64 = 77;
const INSTALLATION: i64 = 5;

/// An RSA key that no App has ever had.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let output = Command::new("openssl").args(["genrsa", "2048"]).output().expect("openssl is installed");
    String::from_utf8(output.stdout).unwrap()
});

/// A request as the server got it.
#[derive(Debug, Clone)]
struct Seen {
    /// As `GET /repos/acme/shop`.
    asked: String,
    query: String,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    fn authorization(&self) -> &str {
        self.headers["authorization"].to_str().unwrap()
    }
}

type Reply = (StatusCode, Vec<(&'static str, String)>, Vec<u8>);

fn reply(status: u16, headers: &[(&'static str, &str)], body: Value) -> Reply {
    let headers = headers.iter().map(|&(name, value)| (name, value.to_owned())).collect();
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string().into_bytes())
}

fn ok(body: Value) -> Reply {
    reply(200, &[], body)
}

/// Answers what every App is asked first; none for everything else.
fn as_app(seen: &Seen) -> Option<Reply> {
    Some(match seen.asked.as_str() {
        "GET /repos/acme/shop/installation" => ok(json!({"id": INSTALLATION, "account": {"login": "acme"}})),
        "POST /app/installations/5/access_tokens" => token("ghs_first", 3600),
        "GET /app" => ok(json!({"id": APP, "slug": "offshoot", "name": "Offshoot"})),
        _ => return None,
    })
}

/// An installation's token that ends in so many seconds.
fn token(text: &str, seconds: i64) -> Reply {
    let expires_at = chrono::Utc::now() + chrono::TimeDelta::seconds(seconds);
    reply(201, &[], json!({"token": text, "expires_at": expires_at.to_rfc3339(), "permissions": {}}))
}

/// A server that lives as long as its test.
struct Fake {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Fake {
    async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        let handler = move |request: Request| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let seen = read(request).await;
                log.lock().unwrap().push(seen.clone());
                respond(answer(&seen))
            }
        };
        let routes = axum::Router::new().fallback(handler);
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, seen, task }
    }

    fn app(&self) -> Github {
        connect(&self.url, Credentials::App { id: APP, private_key: Secret::new(KEY.clone()) })
    }

    fn with_token(&self) -> Github {
        connect(&self.url, Credentials::Token(Secret::new(TOKEN)))
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests of this method and path came.
    fn count(&self, asked: &str) -> usize {
        self.seen().iter().filter(|seen| seen.asked == asked).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn connect(url: &str, credentials: Credentials) -> Github {
    let settings = GithubSettings {
        api_url: Some(url.to_owned()),
        backoff: Duration::from_millis(1),
        ..GithubSettings::new(credentials)
    };
    Github::connect(settings).unwrap()
}

fn shop(github: &Github) -> RepositoryClient {
    github.repository(&"acme/shop".parse().unwrap(), None)
}

async fn read(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Seen {
        asked: format!("{} {}", parts.method, parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

fn respond((status, headers, body): Reply) -> Response {
    let mut response = (status, Bytes::from(body)).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
