//! The webhooks that changes of the state give rise to.

use anyhow::Result;
use serde_json::{Value, json};

use super::Hub;
use super::model::AccountKind;
use super::shapes::{Detail, node_id, with};
use super::state::State;

impl Hub {
    /// Delivers an event of a repository, with what every such payload carries. Nothing is sent for a repository
    /// that the App is not installed on. Returns the delivery's GUID.
    pub(crate) fn announce(
        &self,
        state: &State,
        repository: u64,
        event: &str,
        sender: &str,
        more: Value,
    ) -> Option<String> {
        let installation = state.installation_of(repository);
        if state.app.is_some() && installation.is_none() {
            return None;
        }
        let mut payload = with(more, json!({ "sender": state.user(sender) }));
        payload["repository"] =
            with(state.repository_json(repository, Detail::Short), payload["repository"].take());
        if let Some(installation) = installation {
            let id = installation.id;
            payload["installation"] = json!({ "id": id, "node_id": node_id("Integration", id) });
        }
        if let Some(organization) = state.organization_of(repository) {
            payload["organization"] = organization;
        }
        Some(self.deliveries.emit(event, &payload))
    }

    /// Delivers a `pull_request` event; `more` is what this action adds to the payload.
    pub(crate) fn announce_pull(
        &self,
        state: &State,
        (repository, number): (u64, u64),
        action: &str,
        sender: &str,
        more: Value,
    ) -> Result<Option<String>> {
        let pull = state.pull_json(repository, number)?;
        let payload = with(json!({ "action": action, "number": number, "pull_request": pull }), more);
        Ok(self.announce(state, repository, "pull_request", sender, payload))
    }

    /// Delivers an `issue_comment` event.
    pub(crate) fn announce_comment(
        &self,
        state: &State,
        repository: u64,
        comment: &super::model::Comment,
        action: &str,
        sender: &str,
    ) -> Result<Option<String>> {
        let mut payload = json!({
            "action": action,
            "issue": state.issue_json(repository, comment.issue)?,
            "comment": state.comment_json(repository, comment),
        });
        if action == "edited" {
            payload["changes"] = json!({ "body": { "from": "" } });
        }
        Ok(self.announce(state, repository, "issue_comment", sender, payload))
    }
}

impl State {
    fn organization_of(&self, repository: u64) -> Option<Value> {
        let account = self.find_account(&self.repository(repository).owner)?;
        let url = format!("{}/orgs/{}", self.url, account.login);
        (account.kind == AccountKind::Organization).then(|| {
            json!({
                "login": account.login,
                "id": account.id,
                "node_id": node_id("Organization", account.id),
                "url": url,
                "repos_url": format!("{url}/repos"),
                "events_url": format!("{url}/events"),
                "hooks_url": format!("{url}/hooks"),
                "issues_url": format!("{url}/issues"),
                "members_url": format!("{url}/members{{/member}}"),
                "public_members_url": format!("{url}/public_members{{/member}}"),
                "avatar_url": format!("{}/avatars/{}", self.url, account.id),
                "description": null,
            })
        })
    }
}
