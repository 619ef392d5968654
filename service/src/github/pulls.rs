//! Pull requests, and what a person may do in their repository.

use serde::{Deserialize, Serialize};

use super::error::GithubError;
use super::repository::RepositoryClient;
use crate::domain::github_json::{self, PullObject};
use crate::domain::pull::PullRequest;

/// What GitHub lets a person do in a repository; its finer roles fall to the nearest below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    None,
    Read,
    Write,
    Admin,
}

#[derive(Deserialize)]
struct PermissionObject {
    permission: Permission,
}

impl RepositoryClient {
    pub async fn pull(&self, number: i32) -> Result<PullRequest, GithubError> {
        let ask = self.get("/repos/{owner}/{repo}/pulls/{number}", &[&number.to_string()]);
        let asked = ask.name();
        described(&asked, &self.send(ask).await?.json()?)
    }

    /// All that are open, the oldest first.
    pub async fn open_pulls(&self) -> Result<Vec<PullRequest>, GithubError> {
        let pairs = [("state", "open"), ("sort", "created"), ("direction", "asc"), ("per_page", "100")];
        let ask = self.get("/repos/{owner}/{repo}/pulls", &[]).query(&pairs);
        let asked = ask.name();
        let mut pulls = Vec::new();
        let take = |page: Vec<PullObject>| {
            for object in &page {
                pulls.push(described(&asked, object)?);
            }
            Ok(true)
        };
        self.caller().await?.pages(ask, take).await?;
        Ok(pulls)
    }

    /// What a person may do here; nothing where GitHub does not know them.
    pub async fn collaborator_permission(&self, login: &str) -> Result<Permission, GithubError> {
        let ask = self.get("/repos/{owner}/{repo}/collaborators/{username}/permission", &[login]);
        match self.send(ask).await {
            Ok(answer) => Ok(answer.json::<PermissionObject>()?.permission),
            Err(GithubError::Missing { .. }) => Ok(Permission::None),
            Err(error) => Err(error),
        }
    }
}

fn described(asked: &str, object: &PullObject) -> Result<PullRequest, GithubError> {
    let repository = object.base.repo.as_ref().map(|repository| repository.id);
    let repository = repository.ok_or_else(|| {
        GithubError::unavailable(asked, "its answer names no repository that the pull request goes to")
    })?;
    github_json::pull_request(repository, object).map_err(GithubError::unreadable(asked))
}
