//! Comments people write, and checks they ask for again.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::git::Sha;
use crate::github::SimulatedGitHub;
use crate::github::model::{AccountKind, CheckRun};
use crate::github::shapes::{Detail, node_id, suite_id, with};
use crate::github::state::{State, now};

impl SimulatedGitHub {
    /// A person comments on a pull request. Returns the comment's id.
    pub fn comment(&self, full_name: &str, number: u64, author: &str, body: &str) -> Result<u64> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        state.account(author, AccountKind::User);
        let comment = state.add_comment(id, number, author, body.to_owned(), false)?;
        self.hub.announce_comment(&state, id, &comment, "created", author)?;
        Ok(comment.id)
    }

    /// A person edits a comment, which may be the service's.
    pub fn edit_comment(&self, full_name: &str, comment: u64, editor: &str, body: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        state.account(editor, AccountKind::User);
        let found = state.repository_mut(id).comments.get_mut(&comment);
        let found = found.with_context(|| format!("{full_name} has no comment {comment}"))?;
        body.clone_into(&mut found.body);
        found.updated_at = now();
        let found = found.clone();
        self.hub.announce_comment(&state, id, &found, "edited", editor)?;
        Ok(())
    }

    /// A person deletes a comment, which may be the service's.
    pub fn delete_comment(&self, full_name: &str, comment: u64, sender: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let found = state.repository_mut(id).comments.remove(&comment);
        let found = found.with_context(|| format!("{full_name} has no comment {comment}"))?;
        self.hub.announce_comment(&state, id, &found, "deleted", sender)?;
        Ok(())
    }

    /// A person presses "Re-run" at the latest check run of this name at a commit.
    pub fn rerequest_check(&self, full_name: &str, sha: Sha, name: &str) -> Result<()> {
        let state = self.hub.state();
        let id = state.named(full_name)?;
        let mut runs = state.repository(id).check_runs.values().rev();
        let run = runs.find(|run| run.head_sha == sha && run.name == name);
        let run = run.with_context(|| format!("{full_name} has no check run {name} at {sha}"))?;
        let suite = json!({ "check_suite": state.suite_json(id, run) });
        let payload =
            json!({ "action": "rerequested", "check_run": with(state.check_run_json(id, run), suite) });
        self.hub.announce(&state, id, "check_run", &state.repository(id).owner, payload);
        Ok(())
    }

    /// A person presses "Re-run all checks" at a commit.
    pub fn rerequest_all_checks(&self, full_name: &str, sha: Sha) -> Result<()> {
        let state = self.hub.state();
        let id = state.named(full_name)?;
        let mut runs = state.repository(id).check_runs.values().rev();
        let run = runs.find(|run| run.head_sha == sha);
        let run = run.with_context(|| format!("{full_name} has no check runs at {sha}"))?;
        let commit = state.pushed_commit(id, sha)?;
        let kept = ["id", "tree_id", "message", "timestamp", "author", "committer"];
        let commit: Map<_, _> =
            kept.iter().map(|field| ((*field).to_owned(), commit[field].clone())).collect();
        let url = format!("{}/check-suites/{}", state.repository_url(id), suite_id(sha));
        let more = json!({
            "latest_check_runs_count": state.repository(id).check_runs.values().filter(|run| run.head_sha == sha).count(),
            "check_runs_url": format!("{url}/check-runs"),
            "head_commit": commit,
        });
        let payload =
            json!({ "action": "rerequested", "check_suite": with(state.suite_json(id, run), more) });
        self.hub.announce(&state, id, "check_suite", &state.repository(id).owner, payload);
        Ok(())
    }
}

impl State {
    /// The suite that a check run is in. Like its pull requests, its branch is only told within one repository.
    fn suite_json(&self, repository: u64, run: &CheckRun) -> Value {
        let (sha, shown) = (run.head_sha, self.check_run_json(repository, run));
        let mut pulls = self.repository(repository).pulls.values();
        let own = pulls.find(|pull| pull.head.sha == sha && pull.head.repository == Some(repository));
        json!({
            "id": suite_id(sha),
            "node_id": node_id("CheckSuite", suite_id(sha)),
            "head_branch": own.map(|pull| &pull.head.git_ref),
            "head_sha": sha,
            "status": run.status,
            "conclusion": run.conclusion,
            "url": format!("{}/check-suites/{}", self.repository_url(repository), suite_id(sha)),
            "before": null,
            "after": sha,
            "pull_requests": shown["pull_requests"],
            "app": shown["app"],
            "created_at": shown["started_at"],
            "updated_at": shown["started_at"],
            "repository": self.repository_json(repository, Detail::Short),
        })
    }
}
