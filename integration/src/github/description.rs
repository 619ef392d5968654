//! GitHub's own description of its API, held against every request and answer.
//!
//! The description is the npm package `@octokit/openapi`, installed in `integration/node`. It is OpenAPI 3.0: `nullable`
//! is translated for the JSON Schema validator.

mod schemas;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use http::{Method, StatusCode};
use serde_json::Value;

use super::{Hub, SimulatedGitHub};
use schemas::Schemas;

/// Something that does not fit GitHub's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `GET /repos/{owner}/{repo}`, or `webhook push`.
    pub operation: String,
    /// Where: `request/output/summary`, `answer 200/head/sha`.
    pub at: String,
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}: {}", self.operation, self.at, self.message)
    }
}

/// The violations seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Vec<Violation>>);

impl Watch {
    fn record(&self, violations: Vec<Violation>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(violations);
    }
}

impl Hub {
    /// Holds an exchange against the description. GraphQL is no part of it.
    pub(crate) fn check_exchange(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        request: &[u8],
        status: StatusCode,
        answer: &[u8],
    ) {
        if path == "/graphql" {
            return;
        }
        let Ok(description) = description() else { return };
        let path = self.state().by_name(path);
        if path.starts_with("/repositories/") {
            // Only a path by name is described, and a repository that is gone has none.
            return;
        }
        let exchange =
            Exchange { method, path: &path, query: query.unwrap_or_default(), request, status, answer };
        self.description.record(description.check(&exchange));
    }
}

impl SimulatedGitHub {
    /// What so far did not fit GitHub's description: requests that a service sent, answers and webhooks of the
    /// simulation itself. An error if the description is not there to compare with.
    pub fn violations(&self) -> Result<Vec<Violation>> {
        let description = description().map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut violations = self.hub.description.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for delivery in self.deliveries() {
            violations.extend(description.check_webhook(
                &delivery.event,
                delivery.action.as_deref(),
                &delivery.payload(),
            ));
        }
        violations.dedup();
        Ok(violations)
    }
}

struct Exchange<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    request: &'a [u8],
    status: StatusCode,
    answer: &'a [u8],
}

struct Description {
    schemas: Schemas,
}

/// Read once a process: it is 13 MB.
fn description() -> Result<&'static Description, &'static str> {
    static DESCRIPTION: OnceLock<Result<Description, String>> = OnceLock::new();
    let read = || Description::read(&path()).map_err(|error| format!("{error:#}"));
    DESCRIPTION.get_or_init(read).as_ref().map_err(String::as_str)
}

fn path() -> PathBuf {
    match std::env::var_os("GITHUB_API_DESCRIPTION") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("node/node_modules/@octokit/openapi/generated/api.github.com.json"),
    }
}

impl Description {
    fn read(path: &Path) -> Result<Self> {
        let hint = "run `npm ci` in integration/node, or name the file in GITHUB_API_DESCRIPTION";
        let text = std::fs::read(path).with_context(|| format!("read {}: {hint}", path.display()))?;
        let document = serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))?;
        Ok(Self { schemas: Schemas::new(document) })
    }

    fn check(&self, exchange: &Exchange<'_>) -> Vec<Violation> {
        let Exchange { mut method, path, .. } = *exchange;
        // Where PATCH is described, GitHub takes POST too.
        if *method == Method::POST && self.template(method, path).is_none() {
            method = &Method::PATCH;
        }
        let Some(template) = self.template(method, path) else {
            let operation = format!("{} {path}", exchange.method);
            return vec![violation(&operation, "path", "GitHub describes no such operation")];
        };
        let operation = format!("{method} {template}");
        let pointer = ["paths", template, &method.as_str().to_lowercase()];
        let described = self.schemas.at(&pointer);
        let mut violations = self.check_query(&operation, described, exchange.query);
        // A request that was refused is allowed to be malformed: that is what the refusal is for.
        if exchange.status.is_success() && !exchange.request.is_empty() {
            let media = [&pointer[..], &["requestBody", "content", "application/json", "schema"]].concat();
            violations.extend(self.check_body(&operation, "request", &media, exchange.request));
        }
        let status = exchange.status.as_str();
        let place = format!("answer {status}");
        if described["responses"].get(status).is_none() {
            let unusual = [401, 403, 404, 422, 429, 301, 304, 307, 409].contains(&exchange.status.as_u16());
            if !unusual && !exchange.status.is_server_error() {
                violations.push(violation(&operation, &place, "GitHub describes no answer with this status"));
            }
        } else if exchange.status.is_success() && !exchange.answer.is_empty() {
            let media =
                [&pointer[..], &["responses", status, "content", "application/json", "schema"]].concat();
            violations.extend(self.check_body(&operation, &place, &media, exchange.answer));
        } else if exchange.status.is_client_error() {
            let media = ["components", "schemas", "basic-error"];
            violations.extend(self.check_body(&operation, &place, &media, exchange.answer));
        }
        violations
    }

    fn check_webhook(&self, event: &str, action: Option<&str>, payload: &Value) -> Vec<Violation> {
        let name = [event].into_iter().chain(action).collect::<Vec<_>>().join("-").replace('_', "-");
        let operation = format!("webhook {name}");
        let media = ["x-webhooks", &name, "post", "requestBody", "content", "application/json", "schema"];
        if self.schemas.at(&media).is_null() {
            return vec![violation(&operation, "event", "GitHub describes no such webhook")];
        }
        self.schemas
            .check(&media, payload)
            .into_iter()
            .map(|(at, message)| violation(&operation, &at, &message))
            .collect()
    }

    fn check_body(&self, operation: &str, place: &str, media: &[&str], body: &[u8]) -> Vec<Violation> {
        if self.schemas.at(media).is_null() {
            return Vec::new();
        }
        let Ok(body) = serde_json::from_slice(body) else {
            return vec![violation(operation, place, "not JSON")];
        };
        let found = self.schemas.check(media, &body).into_iter();
        found.map(|(at, message)| violation(operation, &format!("{place}{at}"), &message)).collect()
    }

    fn check_query(&self, operation: &str, described: &Value, query: &str) -> Vec<Violation> {
        let empty = Vec::new();
        let parameters = described["parameters"].as_array().unwrap_or(&empty);
        let known = |name: &str| {
            parameters
                .iter()
                .map(|parameter| self.schemas.follow(parameter))
                .any(|parameter| parameter["in"] == "query" && parameter["name"] == name)
        };
        // octocrab says both sides of a comparison twice; GitHub ignores what it does not know.
        let repeated = |name: &str| operation.contains("/compare/") && ["base", "head"].contains(&name);
        let names = query.split('&').filter(|pair| !pair.is_empty());
        names
            .map(|pair| pair.split('=').next().unwrap_or(pair))
            .filter(|name| !known(name) && !repeated(name))
            .map(|name| violation(operation, &format!("query {name}"), "GitHub describes no such parameter"))
            .collect()
    }

    /// The described path that this one is an instance of: literal segments are preferred to parameters, and a
    /// parameter at the end may hold slashes.
    fn template(&self, method: &Method, path: &str) -> Option<&str> {
        let wanted: Vec<&str> = path.split('/').collect();
        let method = method.as_str().to_lowercase();
        let paths = self.schemas.at(&["paths"]).as_object()?;
        let fitting =
            paths.iter().filter(|(template, item)| item.get(&method).is_some() && fits(template, &wanted));
        fitting
            .min_by_key(|(template, _)| {
                (wanted.len().abs_diff(template.split('/').count()), template.matches('{').count())
            })
            .map(|(template, _)| template.as_str())
    }
}

fn fits(template: &str, path: &[&str]) -> bool {
    let template: Vec<&str> = template.split('/').collect();
    let open_ended = matches!(template.last(), Some(&("{ref}" | "{path}" | "{basehead}" | "{branch}")));
    let long_enough = path.len() == template.len() || (open_ended && path.len() > template.len());
    long_enough
        && template.iter().zip(path).all(|(wanted, actual)| wanted.starts_with('{') || wanted == actual)
}

fn violation(operation: &str, at: &str, message: &str) -> Violation {
    Violation { operation: operation.to_owned(), at: at.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_lacks_something_is_noticed() {
        let description = description().unwrap();
        let payload = serde_json::json!({ "action": "deleted", "sender": null });
        let at: Vec<_> = description
            .check_webhook("issue_comment", Some("deleted"), &payload)
            .into_iter()
            .map(|violation| violation.message)
            .collect();
        assert!(at.iter().any(|m| m.contains("\"issue\" is a required property")), "{at:?}");
        assert_eq!(description.check_webhook("issue_comment", Some("burnt"), &payload)[0].at, "event");
    }

    #[test]
    fn the_most_literal_path_is_meant() {
        let description = description().unwrap();
        for (path, template) in [
            ("/repos/a/b/pulls/1", Some("/repos/{owner}/{repo}/pulls/{pull_number}")),
            ("/repos/a/b/pulls/comments", Some("/repos/{owner}/{repo}/pulls/comments")),
            ("/repos/a/b/git/ref/heads/x/y", Some("/repos/{owner}/{repo}/git/ref/{ref}")),
            ("/repos/a/b/commits/x/status", Some("/repos/{owner}/{repo}/commits/{ref}/status")),
            ("/nowhere", None),
        ] {
            assert_eq!(description.template(&Method::GET, path), template, "{path}");
        }
    }
}
