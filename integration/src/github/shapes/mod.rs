//! The JSON that GitHub shows of each thing, in one place: routes answer with it and webhooks carry it.

mod app;
mod commit;
mod pull;
mod reports;
mod repository;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::model::AccountKind;
use super::state::State;

pub(crate) use app::permissions;
pub(crate) use reports::suite_id;
pub(crate) use repository::Detail;

/// A time as GitHub writes it.
pub(crate) fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// GitHub's opaque id of a thing.
pub(crate) fn node_id(kind: &str, id: impl std::fmt::Display) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{kind}{id}"))
}

impl State {
    /// A simple user. An unknown login is the ghost that GitHub shows for deleted accounts.
    pub(crate) fn user(&self, login: &str) -> Value {
        let account = self.find_account(login);
        let (id, login) = account.map_or((10137, "ghost"), |account| (account.id, account.login.as_str()));
        let kind = match account.map(|account| account.kind) {
            Some(AccountKind::Organization) => "Organization",
            Some(AccountKind::Bot) => "Bot",
            Some(AccountKind::User) | None => "User",
        };
        let escaped = login.replace('[', "%5B").replace(']', "%5D");
        let url = format!("{}/users/{escaped}", self.url);
        json!({
            "login": login,
            "id": id,
            "node_id": node_id("User", id),
            "avatar_url": format!("{}/avatars/{id}", self.url),
            "gravatar_id": "",
            "url": url,
            "html_url": format!("{}/{escaped}", self.url),
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": kind,
            "site_admin": false,
        })
    }
}

/// `base` with the fields of `more` added or replaced.
pub(crate) fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}
