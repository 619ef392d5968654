//! Commits, as the REST API and `push` payloads show them.

use anyhow::{Context, Result};
use chrono::DateTime;
use serde_json::{Value, json};

use crate::git::{CommitInfo, Sha};
use crate::github::shapes::{node_id, stamp};
use crate::github::state::State;

impl State {
    /// A commit of the REST API.
    pub(crate) fn commit_json(&self, repository: u64, commit: &CommitInfo) -> Value {
        let (url, page) = (self.repository_url(repository), self.page(repository));
        let sha = commit.sha;
        let person =
            json!({ "name": commit.author_name, "email": commit.author_email, "date": date(commit) });
        let account = self.find_account(&commit.author_name).map(|account| self.user(&account.login));
        let parent = |parent: &Sha| json!({ "sha": parent, "url": format!("{url}/commits/{parent}"), "html_url": format!("{page}/commit/{parent}") });
        json!({
            "sha": sha,
            "node_id": node_id("Commit", sha),
            "url": format!("{url}/commits/{sha}"),
            "html_url": format!("{page}/commit/{sha}"),
            "comments_url": format!("{url}/commits/{sha}/comments"),
            "commit": {
                "url": format!("{url}/git/commits/{sha}"),
                "author": person,
                "committer": person,
                "message": commit.message,
                "comment_count": 0,
                "tree": { "sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree) },
                "verification": { "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null },
            },
            "author": account,
            "committer": account,
            "parents": commit.parents.iter().map(parent).collect::<Vec<_>>(),
        })
    }

    /// A commit of a `push` payload.
    pub(crate) fn pushed_commit(&self, repository: u64, sha: Sha) -> Result<Value> {
        let commit = self.repository(repository).git.commit_info(sha)?.context("a pushed commit exists")?;
        let person = json!({ "name": commit.author_name, "email": commit.author_email, "username": commit.author_name });
        Ok(json!({
            "id": sha,
            "tree_id": commit.tree,
            "distinct": true,
            "message": commit.message,
            "timestamp": date(&commit),
            "url": format!("{}/commit/{sha}", self.page(repository)),
            "author": person,
            "committer": person,
            "added": [],
            "removed": [],
            "modified": [],
        }))
    }
}

fn date(commit: &CommitInfo) -> String {
    stamp(DateTime::from_timestamp(commit.seconds, 0).unwrap_or_default())
}
