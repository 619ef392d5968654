//! GitHub's JSON for pull requests and repositories, as webhooks deliver it and as its API answers.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::ids::{InvalidId, PullId, RepositoryName};
use super::pull::PullRequest;
use super::repository::RepositoryFacts;

/// The `login` of whoever did something.
#[derive(Debug, Clone, Deserialize)]
pub struct UserObject {
    pub login: String,
}

/// A `repository` object, whole or as the lists of an installation cut it short.
#[derive(Debug, Clone, Deserialize)]
pub struct RepositoryObject {
    pub id: i64,
    pub full_name: String,
    pub default_branch: Option<String>,
}

/// One end of a pull request.
#[derive(Debug, Clone, Deserialize)]
pub struct EndObject {
    #[serde(rename = "ref")]
    pub git_ref: String,
    pub sha: String,
    /// Null where the repository is gone.
    pub repo: Option<RepositoryObject>,
}

/// A `pull_request` object.
#[derive(Debug, Clone, Deserialize)]
pub struct PullObject {
    pub number: i32,
    pub state: String,
    /// In lists, which leave `merged` out, only this tells.
    pub merged_at: Option<DateTime<Utc>>,
    pub merged: Option<bool>,
    #[serde(default)]
    pub draft: bool,
    pub title: String,
    /// Null where the account is gone.
    pub user: Option<UserObject>,
    pub head: EndObject,
    pub base: EndObject,
    pub updated_at: DateTime<Utc>,
}

/// GitHub's own stand-in for accounts that are gone.
const GHOST: &str = "ghost";

/// What a pull request of the repository with GitHub's number `repository_id` is, by GitHub's description of it.
pub fn pull_request(repository_id: i64, object: &PullObject) -> Result<PullRequest, InvalidId> {
    let (head, base) = (&object.head, &object.base);
    let head_repository = head.repo.as_ref().map(|repository| repository.full_name.parse()).transpose()?;
    Ok(PullRequest {
        id: PullId { repository: repository_id, number: object.number },
        open: object.state == "open",
        merged: object.merged.unwrap_or(object.merged_at.is_some()),
        draft: object.draft,
        title: object.title.clone(),
        author: object.user.as_ref().map_or(GHOST, |user| &user.login).to_owned(),
        head_sha: head.sha.parse()?,
        head_ref: head.git_ref.clone(),
        head_repository,
        from_fork: head.repo.as_ref().is_none_or(|repository| repository.id != repository_id),
        base_ref: base.git_ref.clone(),
        base_sha: base.sha.parse()?,
        updated_at: object.updated_at,
    })
}

/// What a repository is, by GitHub's description of it, reached through `installation`.
///
/// An installation's own deliveries leave the default branch out: it is then empty, until GitHub is asked.
pub fn repository(
    object: &RepositoryObject,
    installation: Option<i64>,
) -> Result<RepositoryFacts, InvalidId> {
    Ok(RepositoryFacts {
        github_id: object.id,
        name: object.full_name.parse::<RepositoryName>()?,
        installation,
        default_branch: object.default_branch.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn described() -> Value {
        let repository =
            json!({"id": 7, "full_name": "acme/shop", "default_branch": "main", "private": true});
        json!({
            "number": 42, "state": "open", "draft": false, "title": "Add tags", "merged_at": null,
            "user": {"login": "ada", "id": 1}, "updated_at": "2026-01-02T03:04:05Z",
            "head": {"ref": "feature/tags", "sha": "a".repeat(40), "repo": repository},
            "base": {"ref": "main", "sha": "b".repeat(40), "repo": repository},
        })
    }

    fn read(json: Value) -> Result<PullRequest, InvalidId> {
        pull_request(7, &serde_json::from_value(json).unwrap())
    }

    #[test]
    fn a_description_becomes_a_pull_request() {
        let pull = read(described()).unwrap();
        assert_eq!(pull.id.to_string(), "7#42");
        assert!(pull.open && !pull.merged && !pull.from_fork);
        assert_eq!((pull.head_ref.as_str(), pull.base_ref.as_str()), ("feature/tags", "main"));
        assert_eq!(pull.head_repository.unwrap().to_string(), "acme/shop");
        assert_eq!(pull.updated_at.to_rfc3339(), "2026-01-02T03:04:05+00:00");
    }

    #[test]
    fn a_list_tells_a_merge_by_its_time() {
        let mut json = described();
        json["state"] = json!("closed");
        json["merged_at"] = json!("2026-01-02T03:04:05Z");
        let pull = read(json).unwrap();
        assert!(!pull.open && pull.merged);
    }

    #[test]
    fn forks_that_live_and_forks_that_are_gone_are_forks() {
        let mut json = described();
        json["head"]["repo"] = json!({"id": 8, "full_name": "eve/shop", "default_branch": "main"});
        assert!(read(json.clone()).unwrap().from_fork);
        json["head"]["repo"] = Value::Null;
        json["user"] = Value::Null;
        let pull = read(json).unwrap();
        assert!(pull.from_fork);
        assert_eq!((pull.head_repository, pull.author.as_str()), (None, "ghost"));
    }

    #[test]
    fn what_is_no_commit_is_refused() {
        let mut json = described();
        json["head"]["sha"] = json!("HEAD");
        assert!(read(json).is_err());
    }

    #[test]
    fn a_repository_cut_short_has_no_default_branch_yet() {
        let object = serde_json::from_value(json!({"id": 7, "full_name": "acme/shop"})).unwrap();
        let facts = repository(&object, Some(5)).unwrap();
        assert_eq!((facts.github_id, facts.installation, facts.default_branch.as_str()), (7, Some(5), ""));
    }
}
