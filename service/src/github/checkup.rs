//! Whether the credentials suffice: for `offshoot doctor`.

use std::fmt;

use serde::Serialize;

use super::Github;
use super::ask::Ask;
use super::error::{GithubError, text};
use super::installations::{App, Installation};

/// What an App needs, and for what; the smallest set that carries everything.
const NEEDED: [(&str, Level, &str); 4] = [
    (
        "metadata",
        Level::Read,
        "repositories, their installation and what a person may do (/repos/{owner}/{repo})",
    ),
    (
        "contents",
        Level::Read,
        "chains: comparisons, trees and blobs (/compare, /git/trees, /git/blobs, /graphql)",
    ),
    // Comments of pull requests are issue comments, for which this permission is enough: no `issues` is needed.
    (
        "pull_requests",
        Level::Write,
        "pull requests and the comment on them (/pulls, /issues/{number}/comments)",
    ),
    ("checks", Level::Write, "check runs (/check-runs)"),
];

/// The events that the App must subscribe to. GitHub delivers those of its installations and of its check runs unasked.
const EVENTS: [&str; 3] = ["pull_request", "push", "repository"];

/// A classic token's scope that carries everything; `public_repo` does for public repositories.
const SCOPES: [&str; 2] = ["repo", "public_repo"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Read,
    Write,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A permission that is needed, and whether it is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    pub permission: &'static str,
    /// `read` or `write`.
    pub needed: &'static str,
    /// What the App has; none where it has nothing.
    pub granted: Option<String>,
    pub suffices: bool,
    /// What it is needed for.
    pub purpose: &'static str,
}

/// What GitHub says of the credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Checkup {
    App {
        name: String,
        grants: Vec<Grant>,
        missing_events: Vec<&'static str>,
        installations: Vec<Installation>,
    },
    /// Fine-grained tokens do not tell their permissions: `scopes` is then none, and nothing is known.
    Token { login: String, scopes: Option<Vec<String>> },
}

impl fmt::Display for Checkup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App { name, installations, .. } => {
                write!(
                    f,
                    "the App {name}, with all permissions, installed on {} accounts",
                    installations.len()
                )
            }
            Self::Token { login, .. } => write!(f, "the token of {login}"),
        }
    }
}

impl Checkup {
    /// What stands in the way, for people; empty where nothing does.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::App { grants, missing_events, installations, .. } => {
                let grants = grants.iter().filter(|grant| !grant.suffices).map(|grant| {
                    let Grant { permission, needed, purpose, .. } = grant;
                    format!("the App lacks the permission {permission}: {needed}, for {purpose}")
                });
                let events = missing_events
                    .iter()
                    .map(|event| format!("the App does not subscribe to {event} events"));
                let usable = installations.iter().any(|installation| !installation.suspended);
                let nowhere = (!usable)
                    .then(|| "no account has the App installed, so it sees no repository".to_owned());
                grants.chain(events).chain(nowhere).collect()
            }
            Self::Token { scopes: Some(scopes), .. }
                if !scopes.iter().any(|scope| SCOPES.contains(&scope.as_str())) =>
            {
                vec!["the token has neither of the scopes repo and public_repo".to_owned()]
            }
            Self::Token { .. } => Vec::new(),
        }
    }
}

impl Github {
    /// Asks GitHub what the credentials are and may.
    pub async fn check(&self) -> Result<Checkup, GithubError> {
        if self.is_app() {
            let app = self.app().await?;
            let (grants, missing_events) = (grants(&app), missing_events(&app));
            return Ok(Checkup::App {
                name: app.name,
                grants,
                missing_events,
                installations: self.installations().await?,
            });
        }
        let answer = self.itself().send(Ask::get("/user", &[])).await?;
        let scopes = text(&answer.headers, "x-oauth-scopes").map(scopes);
        let login = answer.json::<crate::domain::github_json::UserObject>()?.login;
        Ok(Checkup::Token { login, scopes })
    }
}

fn scopes(header: &str) -> Vec<String> {
    header.split(',').map(|scope| scope.trim().to_owned()).filter(|scope| !scope.is_empty()).collect()
}

fn grants(app: &App) -> Vec<Grant> {
    let grant = |&(permission, needed, purpose): &(&'static str, Level, &'static str)| {
        let granted = app.permissions.get(permission).cloned();
        let suffices = match granted.as_deref() {
            Some("write" | "admin") => true,
            Some("read") => needed == Level::Read,
            _ => false,
        };
        Grant { permission, needed: needed.as_str(), granted, suffices, purpose }
    };
    NEEDED.iter().map(grant).collect()
}

fn missing_events(app: &App) -> Vec<&'static str> {
    EVENTS.into_iter().filter(|event| !app.events.iter().any(|subscribed| subscribed == event)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checkup(permissions: serde_json::Value, events: &[&str]) -> Checkup {
        let app = json!({"id": 1, "slug": "offshoot", "name": "Offshoot", "permissions": permissions, "events": events});
        let app: App = serde_json::from_value(app).unwrap();
        let installations = vec![Installation { id: 5, account: "acme".into(), suspended: false }];
        Checkup::App {
            grants: grants(&app),
            missing_events: missing_events(&app),
            name: app.name,
            installations,
        }
    }

    #[test]
    fn a_well_made_app_has_no_problems() {
        let granted =
            json!({"metadata": "read", "contents": "write", "pull_requests": "write", "checks": "write"});
        assert_eq!(checkup(granted, &EVENTS).problems(), Vec::<String>::new());
    }

    #[test]
    fn what_an_app_lacks_is_named() {
        let problems =
            checkup(json!({"metadata": "read", "contents": "read", "checks": "read"}), &["push"]).problems();
        assert_eq!(problems.len(), 4, "{problems:#?}");
        assert!(problems[0].contains("pull_requests: write") && problems[1].contains("checks: write"));
        assert!(problems[2].contains("pull_request events"));
    }

    #[test]
    fn only_classic_tokens_tell_their_scopes() {
        let token =
            |scopes: Option<&str>| Checkup::Token { login: "ada".into(), scopes: scopes.map(self::scopes) };
        assert!(token(Some("gist, repo")).problems().is_empty());
        assert!(token(None).problems().is_empty());
        assert_eq!(token(Some("gist")).problems().len(), 1);
        assert_eq!(token(Some("")).problems().len(), 1);
    }
}
