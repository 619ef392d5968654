//! The service's API, as its clients use it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{API_TOKEN, Offshoot, POLL};

/// How long a branch may take to become what a test waits for, on a machine that runs other tests.
const LIMIT: Duration = Duration::from_secs(60);
/// One long poll, in seconds.
const WAIT: u64 = 10;

/// A pull request whose branch is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchRef {
    /// `OWNER/NAME`
    pub repository: String,
    pub number: u64,
}

impl BranchRef {
    pub fn new(repository: &str, number: u64) -> Self {
        Self { repository: repository.to_owned(), number }
    }

    pub fn path(&self) -> String {
        format!("/api/v1/repos/{}/pulls/{}/branch", self.repository, self.number)
    }
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null where the answer had no JSON.
    pub body: Value,
}

/// A migration as a branch document lists it.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Applied {
    pub name: String,
    pub checksum: String,
    pub duration_ms: Option<f64>,
}

impl Answer {
    /// A member of the body that is text; empty if it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// The URL handed out.
    pub fn database_url(&self) -> Result<&str> {
        self.body["database_url"]
            .as_str()
            .with_context(|| format!("no URL in {}: {}", self.status, self.body))
    }

    pub fn applied(&self) -> Result<Vec<Applied>> {
        let applied = self.body["migrations"]["applied"].clone();
        serde_json::from_value(applied)
            .with_context(|| format!("no migrations in {}: {}", self.status, self.body))
    }

    pub fn findings(&self) -> Vec<&str> {
        let findings = self.body["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        findings.iter().filter_map(|finding| finding["kind"].as_str()).collect()
    }
}

impl Offshoot {
    /// Any call of the API, as the administrator.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.call_as(Some(API_TOKEN), method, path, body).await
    }

    /// The same with another token, or with none.
    pub async fn call_as(
        &self,
        token: Option<&str>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("call {path}"))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        if !status.is_success() {
            self.secrets.ensure_absent(&format!("the answer {status} of {path}"), &text)?;
        }
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if status == StatusCode::CREATED
            && let Some(token) = body["token"].as_str()
        {
            self.secrets.add(token);
        }
        for url in ["database_url", "read_only_url"] {
            self.secrets.add_password_of(body[url].as_str().unwrap_or_default());
        }
        Ok(Answer { status, headers, body })
    }

    /// The branch as it stands.
    pub async fn branch(&self, branch: &BranchRef) -> Result<Answer> {
        self.call(Method::GET, &branch.path(), None).await
    }

    /// The branch once the answer for this commit has one of these statuses.
    pub async fn branch_at(&self, branch: &BranchRef, sha: &str, wanted: &[u16]) -> Result<Answer> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer =
                self.call(Method::GET, &format!("{}?sha={sha}&wait={WAIT}", branch.path()), None).await?;
            if wanted.contains(&answer.status.as_u16()) {
                return Ok(answer);
            }
            if Instant::now() >= deadline {
                let Answer { status, body, .. } = answer;
                bail!("{branch:?} at {sha}: {status} instead of {wanted:?} after {LIMIT:?}: {body}");
            }
            // An answer that is final for now, as 410 before a reopening is heard of, comes at once.
            sleep(POLL).await;
        }
    }

    /// The branch, ready for this commit.
    pub async fn ready(&self, branch: &BranchRef, sha: &str) -> Result<Answer> {
        self.branch_at(branch, sha, &[200]).await
    }
}
