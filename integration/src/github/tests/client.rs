//! A small client, and a receiver of webhooks.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::git::{Change, Sha};
use crate::github::{AppCredentials, NewPullRequest, Settings, SimulatedGitHub};

pub(super) const REPOSITORY: &str = "acme/shop";

/// A GitHub with one repository and one pull request.
pub(super) struct World {
    pub github: SimulatedGitHub,
    pub http: reqwest::Client,
    pub first: Sha,
    pub head: Sha,
    token: Option<String>,
    _dir: tempfile::TempDir,
}

pub(super) struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

pub(super) async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(dir.path());
    settings.token = Some("ghp_machine".to_owned());
    let github = SimulatedGitHub::start(settings).await.unwrap();
    github.create_account("acme", crate::github::AccountKind::Organization);
    let files = [
        Change::write("prisma/migrations/migration_lock.toml", "provider = \"postgresql\"\n"),
        Change::write("prisma/migrations/1_init/migration.sql", "CREATE TABLE a (id int);\n"),
        Change::write("odd \"näme\".txt", [0u8, 159, 146, 150]),
        Change::Symlink { path: "link".into(), target: "prisma".into() },
        Change::write(
            ".gitmodules",
            "[submodule \"sub\"]\n\tpath = sub\n\turl = https://git.example/sub.git\n",
        ),
        Change::Submodule { path: "sub".into(), commit: "1234567890123456789012345678901234567890".into() },
    ];
    let first = github.create_repository("acme", "shop", "main", &files).unwrap();
    let head = github
        .push(REPOSITORY, "feature", &[Change::write("prisma/migrations/2/migration.sql", "SELECT 1;")])
        .unwrap();
    github
        .open_pull_request(&NewPullRequest::new(REPOSITORY, "main", "feature").by("ann").titled("Add b"))
        .unwrap();
    let mut world = World { github, http: reqwest::Client::new(), first, head, token: None, _dir: dir };
    world.token = Some(world.installation_token(json!({})).await);
    world
}

pub(super) fn jwt(id: u64, issued: i64, expires: i64) -> String {
    let now = chrono::Utc::now().timestamp();
    let claims = json!({ "iss": id, "iat": now + issued, "exp": now + expires });
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(AppCredentials::for_tests().private_key_pem.as_bytes())
        .unwrap();
    jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key).unwrap()
}

impl World {
    pub(super) async fn as_app(&self, method: Method, path: &str, body: Value) -> Answered {
        self.send(method, path, body, Some(&jwt(4242, -60, 540))).await
    }

    pub(super) async fn installation_token(&self, body: Value) -> String {
        let found = self.as_app(Method::GET, "/repos/acme/shop/installation", Value::Null).await;
        let path = format!("/app/installations/{}/access_tokens", found.body["id"]);
        let answered = self.as_app(Method::POST, &path, body).await;
        assert_eq!(answered.status, 201, "{}", answered.body);
        answered.body["token"].as_str().unwrap().to_owned()
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.send(Method::GET, path, Value::Null, self.token.as_deref()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answered {
        self.send(Method::POST, path, body, self.token.as_deref()).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answered {
        self.send(Method::PATCH, path, body, self.token.as_deref()).await
    }

    pub(super) async fn graphql(&self, query: &str, variables: Value) -> Value {
        self.post("/graphql", json!({ "query": query, "variables": variables })).await.body
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
        token: Option<&str>,
    ) -> Answered {
        self.try_send(method, path, body, token).await.unwrap()
    }

    pub(super) async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Value,
        token: Option<&str>,
    ) -> reqwest::Result<Answered> {
        let address =
            if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.github.url()) };
        let mut request = self.http.request(method, address);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        Ok(Answered { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    /// Nothing that was requested, answered or sent contradicts GitHub's description.
    pub(super) fn assert_true_to_github(&self) {
        let violations = self.github.violations().unwrap();
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
    }
}

/// What a receiver of webhooks got: headers and body.
pub(super) type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that answers 202; its address and what it gets.
pub(super) async fn receiver() -> (String, Received) {
    let received = Received::default();
    let log = Arc::clone(&received);
    let take = async move |headers: HeaderMap, body: Bytes| {
        log.lock().unwrap().push((headers, body));
        StatusCode::ACCEPTED
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/webhooks/github", post(take))).await },
    );
    (url, received)
}
