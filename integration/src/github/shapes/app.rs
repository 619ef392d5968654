//! The App, its installations, and people by themselves.

use serde_json::{Value, json};

use crate::github::model::{AccountKind, Installation, Permissions};
use crate::github::shapes::{node_id, stamp, with};
use crate::github::state::{APP_SLUG, State, bot_login, now};

/// The events that the App is subscribed to.
const EVENTS: [&str; 6] = ["check_run", "check_suite", "issue_comment", "pull_request", "push", "repository"];

pub(crate) fn permissions(permissions: &Permissions) -> Value {
    permissions
        .iter()
        .map(|(name, level)| (name.clone(), json!(level.name())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl State {
    /// The App itself; null if this GitHub has none.
    pub(crate) fn app_json(&self) -> Value {
        let Some(app) = &self.app else { return Value::Null };
        let granted =
            self.installations.values().next().map(|installation| permissions(&installation.permissions));
        json!({
            "id": app.id,
            "slug": APP_SLUG,
            "client_id": "Iv1.0123456789abcdef",
            "node_id": node_id("App", app.id),
            "owner": self.user(&bot_login()),
            "name": "Offshoot",
            "description": null,
            "external_url": "https://offshoot.example",
            "html_url": format!("{}/apps/{APP_SLUG}", self.url),
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "permissions": granted.unwrap_or_else(|| json!({})),
            "events": EVENTS,
            "installations_count": self.installations.len(),
        })
    }

    pub(crate) fn installation_json(&self, installation: &Installation) -> Value {
        let account = self.find_account(&installation.account);
        let target = match account.map(|account| account.kind) {
            Some(AccountKind::Organization) => "Organization",
            _ => "User",
        };
        let own = format!("{}/app/installations/{}", self.url, installation.id);
        json!({
            "id": installation.id,
            "account": self.user(&installation.account),
            "repository_selection": if installation.selected.is_some() { "selected" } else { "all" },
            "access_tokens_url": format!("{own}/access_tokens"),
            "repositories_url": format!("{}/installation/repositories", self.url),
            "html_url": format!("{}/settings/installations/{}", self.url, installation.id),
            "app_id": self.app.as_ref().map(|app| app.id),
            "app_slug": APP_SLUG,
            "target_id": account.map(|account| account.id),
            "target_type": target,
            "permissions": permissions(&installation.permissions),
            "events": EVENTS,
            "created_at": stamp(installation.created_at),
            "updated_at": stamp(installation.created_at),
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": null,
            "suspended_at": null,
        })
    }

    /// A person by themselves.
    pub(crate) fn public_user(&self, login: &str) -> Value {
        let more = json!({
            "name": null,
            "company": null,
            "blog": null,
            "location": null,
            "email": null,
            "hireable": null,
            "bio": null,
            "public_repos": 0,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": stamp(now()),
        });
        with(self.user(login), more)
    }
}
