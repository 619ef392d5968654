//! The service's API, as the demo's audience would use it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use crate::secret::Secret;

/// Seconds that one call waits for a branch; the first build of a layer on a busy machine included.
const WAIT: &str = "60";
const POLL: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Api {
    http: reqwest::Client,
    pub(super) server: String,
    pub(super) token: Secret,
}

/// What the API says of a branch once it is settled.
pub(super) struct Settled {
    /// The branch document, as it is listed.
    pub(super) branch: Value,
    /// The owner's URL, where one is handed out.
    pub(super) url: Option<Secret>,
}

impl Api {
    pub(super) fn new(server: String, token: Secret) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(90)).build()?;
        Ok(Self { http, server, token })
    }

    /// Waits until a pull request's branch is ready for a commit, or failed at it.
    pub(super) async fn settled(&self, repository: &str, number: u64, sha: &str) -> anyhow::Result<Settled> {
        let path = format!("/api/v1/repos/{repository}/pulls/{number}/branch");
        let (status, answer) = self.get(&path, &[("sha", sha), ("wait", WAIT)]).await?;
        let url = answer["database_url"].as_str().map(Secret::new);
        if !matches!(status, StatusCode::OK | StatusCode::CONFLICT) {
            bail!("the branch of {repository}#{number} did not settle: the API answered {status}: {answer}");
        }
        let (_, list) = self.get("/api/v1/branches", &[("repository", repository)]).await?;
        let mut branches = list["branches"].as_array().into_iter().flatten();
        let branch = branches.find(|branch| branch["pull_request"] == number);
        let branch =
            branch.with_context(|| format!("the branch of {repository}#{number} is not listed"))?.clone();
        Ok(Settled { branch, url })
    }

    /// Waits until the API says that a branch is gone.
    pub(super) async fn gone(&self, repository: &str, number: u64) -> anyhow::Result<()> {
        let path = format!("/api/v1/repos/{repository}/pulls/{number}/branch");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let (_, list) = self.get("/api/v1/branches", &[("repository", repository)]).await?;
            let listed = list["branches"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["pull_request"] == number));
            if !listed && self.get(&path, &[]).await?.0 == StatusCode::GONE {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("the branch of {repository}#{number} was still there {} s after its close", PATIENCE.as_secs())
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<(StatusCode, Value)> {
        let request =
            self.http.get(format!("{}{path}", self.server)).query(query).bearer_auth(self.token.expose());
        let response = request.send().await.with_context(|| format!("asking the service for {path}"))?;
        let status = response.status();
        Ok((status, response.json().await.with_context(|| format!("reading the answer to {path}"))?))
    }
}

/// Polls until `look` finds something.
pub(super) async fn until<T>(
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what} did not come within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}
