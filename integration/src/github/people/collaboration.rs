//! Comments people write, and checks they ask for again.

use anyhow::{Context, Result};
use serde_json::json;

use crate::git::Sha;
use crate::github::SimulatedGitHub;
use crate::github::model::AccountKind;
use crate::github::shapes::with;
use crate::github::state::now;

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
        let shown = state.check_run_json(id, run);
        let suite = json!({
            "id": shown["check_suite"]["id"],
            "node_id": crate::github::shapes::node_id("CheckSuite", &shown["check_suite"]["id"]),
            "head_branch": state.repository(id).pulls.values().find(|pull| pull.head.sha == sha).map(|pull| &pull.head.git_ref),
            "head_sha": sha,
            "status": run.status,
            "conclusion": run.conclusion,
            "url": format!("{}/check-suites/{}", state.repository_url(id), shown["check_suite"]["id"]),
            "before": null,
            "after": sha,
            "pull_requests": shown["pull_requests"],
            "app": shown["app"],
            "created_at": shown["started_at"],
            "updated_at": shown["started_at"],
            "repository": state.repository_json(id, crate::github::shapes::Detail::Short),
        });
        let owner = state.repository(id).owner.clone();
        let payload =
            json!({ "action": "rerequested", "check_run": with(shown, json!({ "check_suite": suite })) });
        self.hub.announce(&state, id, "check_run", &owner, payload);
        Ok(())
    }
}
