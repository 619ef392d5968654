//! The API's client, for the commands that ask a running service.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{Exit, Stop};
use crate::config::check_http_url;
use crate::domain::ids::RepositoryName;
use crate::secret::Secret;

/// Which service is asked, and as whom.
#[derive(Debug, Clone, Args)]
pub(super) struct ServiceArgs {
    /// The service's URL
    #[arg(long, env = "OFFSHOOT_PUBLIC_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    server: String,

    /// A token of the API
    #[arg(long, env = "OFFSHOOT_API_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

/// The branch that a command is about.
#[derive(Debug, Clone, Args)]
pub(super) struct BranchArgs {
    /// The repository
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: RepositoryName,

    /// The pull request's number
    #[arg(long, value_name = "NUMBER")]
    pub pr: i32,

    /// Which of the repository's databases
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub database: String,
}

impl BranchArgs {
    pub(super) fn path(&self) -> String {
        format!("/api/v1/repos/{}/pulls/{}/branch", self.repo, self.pr)
    }
}

/// An answer of the API: its status and its JSON, null where it had none.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// What a problem says, as one sentence for people.
    pub(super) fn problem(&self) -> String {
        let part = |name: &str| self.body.get(name).and_then(Value::as_str);
        match (part("title"), part("detail")) {
            (Some(title), Some(detail)) => format!("{title}: {detail}"),
            (Some(text), None) | (None, Some(text)) => text.to_owned(),
            (None, None) => format!("the service answered {}", self.status),
        }
    }

    /// The answer if it is a success; else what stops the command.
    pub(super) fn ok(self) -> Result<Value, Stop> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let exit = match self.status {
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND => Exit::Usage,
            status if status.is_server_error() => Exit::Service,
            _ => Exit::Failed,
        };
        Err(Stop { exit, error: anyhow!(self.problem()) })
    }
}

pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<Secret>,
}

/// Longer than the service lets a long poll last.
const TIMEOUT: Duration = Duration::from_secs(330);

impl Client {
    pub(super) fn new(args: &ServiceArgs) -> Result<Self, Stop> {
        let server = args.server.trim_end_matches('/').to_owned();
        check_http_url("--server (OFFSHOOT_PUBLIC_URL)", &server).map_err(Stop::usage)?;
        let http =
            reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(10)).build()?;
        Ok(Self { http, server, token: args.token.clone().map(Secret::new) })
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, query, None).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.server)).query(query);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response =
            request.send().await.map_err(reqwest::Error::without_url).with_context(|| {
                format!("the service at {} does not answer; is --server right?", self.server)
            })?;
        let status = response.status();
        let text = response.text().await.with_context(|| format!("reading the answer of {}", self.server))?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }
}
