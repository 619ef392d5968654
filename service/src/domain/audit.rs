//! Who did what: the entries of the audit log. None of them holds a secret.

use std::fmt;

use serde_json::{Value, json};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The bearer of the bootstrap administrator's token.
    Administrator,
    /// The bearer of a token that was made by the API.
    Token { id: i64, name: String },
    /// A person on GitHub, by their login.
    Github(String),
    /// Whoever may start commands with the service's settings.
    Operator,
    /// The service by itself, by its own rules.
    Service,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Administrator => f.write_str("administrator"),
            Self::Token { id, name } => write!(f, "token {id} ({name})"),
            Self::Github(login) => write!(f, "github:{login}"),
            Self::Operator => f.write_str("operator"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// By which door they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Api,
    Dashboard,
    Github,
    Command,
    Service,
}

impl Via {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Dashboard => "dashboard",
            Self::Github => "github",
            Self::Command => "command",
            Self::Service => "service",
        }
    }
}

/// What was done. The names are promised to whoever searches the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    BranchCreated,
    BranchReset,
    BranchProtected,
    BranchExtended,
    BranchRemoved,
    BranchExpired,
    ForkApproved,
    TokenCreated,
    TokenRevoked,
    KeyRotated,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BranchCreated => "branch.create",
            Self::BranchReset => "branch.reset",
            Self::BranchProtected => "branch.protect",
            Self::BranchExtended => "branch.extend",
            Self::BranchRemoved => "branch.remove",
            Self::BranchExpired => "branch.expire",
            Self::ForkApproved => "fork.approve",
            Self::TokenCreated => "token.create",
            Self::TokenRevoked => "token.revoke",
            Self::KeyRotated => "key.rotate",
        }
    }
}

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub actor: Actor,
    pub via: Via,
    pub action: Action,
    /// `acme/shop#42/main`, `token 3`, a key's name.
    pub subject: String,
    pub request_id: Option<String>,
    pub details: Value,
}

impl Entry {
    pub fn new(actor: Actor, action: Action, subject: impl Into<String>) -> Self {
        let via = match &actor {
            Actor::Administrator | Actor::Token { .. } => Via::Api,
            Actor::Github(_) => Via::Github,
            Actor::Operator => Via::Command,
            Actor::Service => Via::Service,
        };
        Self { actor, via, action, subject: subject.into(), request_id: None, details: json!({}) }
    }

    pub fn via(self, via: Via) -> Self {
        Self { via, ..self }
    }

    /// Which request or delivery it came with.
    pub fn asked_by(self, request_id: Option<String>) -> Self {
        Self { request_id, ..self }
    }

    /// What else is worth knowing, as an object.
    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_who_and_by_which_door() {
        let token = Actor::Token { id: 3, name: "ci".to_owned() };
        let entry = Entry::new(token, Action::BranchReset, "acme/shop#42/main");
        assert_eq!((entry.actor.to_string().as_str(), entry.via.as_str()), ("token 3 (ci)", "api"));
        let entry = Entry::new(Actor::Github("ada".to_owned()), Action::ForkApproved, "acme/shop#42");
        assert_eq!((entry.actor.to_string().as_str(), entry.via), ("github:ada", Via::Github));
    }
}
