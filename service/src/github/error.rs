//! What GitHub's refusals mean, from an answer's status, headers and message.

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::ids::InvalidId;
use crate::source::SourceError;

/// Why GitHub did not do as asked. `asked` is the request, as `GET /repos/acme/shop/pulls/42`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GithubError {
    /// It is not there, or not for these credentials to see: GitHub does not tell these apart.
    #[error("GitHub found nothing for {asked}, or does not show it to these credentials")]
    Missing { asked: String },
    /// A rate limit; nothing is wrong.
    #[error("GitHub asks to wait until {until} with {asked}: {why}")]
    Wait { asked: String, until: DateTime<Utc>, why: String },
    /// No answer, an answer that is none, or trouble on GitHub's side. Worth another try.
    #[error("GitHub could not be asked for {asked}: {why}")]
    Unavailable { asked: String, why: String },
    #[error(
        "GitHub refuses the credentials for {asked}: {message}; check the App's key and id, or the token"
    )]
    Unauthorized { asked: String, message: String },
    /// `needs` are the permissions that would do, in GitHub's own notation, as `contents=read`.
    #[error("GitHub forbids {asked}: {message}{}", needed(.needs.as_deref()))]
    Forbidden { asked: String, message: String, needs: Option<String> },
    /// GitHub does not take the request as it is; another try would end the same.
    #[error("GitHub rejects {asked} with status {status}: {message}")]
    Rejected { asked: String, status: u16, message: String },
    /// A setting with which no request can be made.
    #[error("{0}")]
    Setting(String),
}

fn needed(needs: Option<&str>) -> String {
    needs.map_or_else(String::new, |needs| format!("; it needs the permission {needs}"))
}

impl GithubError {
    /// GitHub does not have the commit that a check or a status was for: history was purged, or restored from before it.
    pub fn knows_no_such_commit(&self) -> bool {
        matches!(self, Self::Rejected { status: 422, message, .. } if message.starts_with("No commit found for SHA"))
    }

    pub(super) fn unavailable(asked: &str, why: impl ToString) -> Self {
        Self::Unavailable { asked: asked.to_owned(), why: why.to_string() }
    }

    /// For an answer that names something in a way that GitHub never does.
    pub(super) fn unreadable(asked: &str) -> impl Fn(InvalidId) -> Self + '_ {
        move |error| Self::unavailable(asked, format!("its answer cannot be read: {error}"))
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether GitHub does not let these credentials see what was asked for, be it there or not.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Unauthorized { .. } | Self::Forbidden { .. })
    }
}

impl From<GithubError> for SourceError {
    fn from(error: GithubError) -> Self {
        let text = error.to_string();
        match error {
            GithubError::Missing { asked } => Self::Missing(format!("at GitHub, {asked}")),
            GithubError::Wait { asked, until, why } => Self::Wait { until, why: format!("{asked}: {why}") },
            GithubError::Unavailable { .. } => Self::Unavailable(text),
            GithubError::Unauthorized { .. }
            | GithubError::Forbidden { .. }
            | GithubError::Rejected { .. }
            | GithubError::Setting(_) => Self::Refused(text),
        }
    }
}

/// What GitHub says in the body of an error; of a body that is none of its own, the beginning.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Complaint {
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub errors: Vec<Value>,
}

/// How much of a body that is not GitHub's JSON is repeated.
const EXCERPT: usize = 200;

impl Complaint {
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]);
            Self { message: crate::domain::failure::excerpt(text.trim(), EXCERPT), errors: Vec::new() }
        })
    }

    /// The message with what GitHub adds for a 422: objects with a field and a code, or plain texts.
    fn in_full(&self) -> String {
        let details: Vec<String> = self.errors.iter().map(detail).collect();
        match (self.message.is_empty(), details.is_empty()) {
            (true, true) => "it does not say why".to_owned(),
            (false, true) => self.message.clone(),
            _ => format!("{} ({})", self.message, details.join("; ")),
        }
    }
}

fn detail(error: &Value) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    match (error.as_str().or_else(|| text("message")), text("field"), text("code")) {
        (Some(message), ..) => message.to_owned(),
        (None, Some(field), Some(code)) => format!("{field}: {code}"),
        _ => error.to_string(),
    }
}

/// How long to wait where GitHub gives no time: at least a minute, as its page on rate limits asks.
const UNTOLD_WAIT: TimeDelta = TimeDelta::seconds(60);

/// What an answer that is no success means.
pub(super) fn classify(
    asked: &str,
    status: StatusCode,
    headers: &HeaderMap,
    complaint: &Complaint,
    now: DateTime<Utc>,
) -> GithubError {
    let asked = asked.to_owned();
    let message = complaint.in_full();
    match status.as_u16() {
        401 => GithubError::Unauthorized { asked, message },
        403 | 429 => match wait(status, headers, &complaint.message, now) {
            Some(until) => GithubError::Wait { asked, until, why: message },
            None => {
                let needs = text(headers, "x-accepted-github-permissions").filter(|needs| !needs.is_empty());
                GithubError::Forbidden { asked, message, needs: needs.map(str::to_owned) }
            }
        },
        404 | 410 => GithubError::Missing { asked },
        // A repository without a commit has no git objects to show.
        409 if complaint.message.contains("is empty") => GithubError::Missing { asked },
        408 | 500.. => GithubError::unavailable(&asked, format!("it answered {status}: {message}")),
        status => GithubError::Rejected { asked, status, message },
    }
}

/// Until when a refusal asks to wait; none where it is no rate limit.
fn wait(status: StatusCode, headers: &HeaderMap, message: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Some(seconds) = number(headers, "retry-after") {
        return Some(now + TimeDelta::try_seconds(seconds)?);
    }
    if number(headers, "x-ratelimit-remaining") == Some(0) {
        return Some(reset(headers).unwrap_or(now + UNTOLD_WAIT));
    }
    let message = message.to_ascii_lowercase();
    let limited = status == StatusCode::TOO_MANY_REQUESTS
        || message.contains("rate limit")
        || message.contains("abuse detection");
    limited.then_some(now + UNTOLD_WAIT)
}

/// A GraphQL answer of status 200 that says that the limit is reached.
pub(super) fn graphql_limit(asked: &str, headers: &HeaderMap, why: &str, now: DateTime<Utc>) -> GithubError {
    let until = reset(headers).filter(|reset| *reset > now).unwrap_or(now + UNTOLD_WAIT);
    GithubError::Wait { asked: asked.to_owned(), until, why: why.to_owned() }
}

/// When the current quota is filled up again.
pub(super) fn reset(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(number(headers, "x-ratelimit-reset")?, 0)
}

pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.trim().parse().ok()
}

pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    const ASKED: &str = "GET /repos/acme/shop";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn classified(status: u16, headers: &[(&'static str, &'static str)], body: Value) -> GithubError {
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let complaint = Complaint::read(body.to_string().as_bytes());
        classify(ASKED, StatusCode::from_u16(status).unwrap(), &headers, &complaint, now())
    }

    fn seconds_to_wait(error: &GithubError) -> i64 {
        match error {
            GithubError::Wait { until, .. } => (*until - now()).num_seconds(),
            other => panic!("{other} is no wait"),
        }
    }

    #[test]
    fn limits_say_until_when_to_wait() {
        let primary = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000900")];
        let exceeded = json!({"message": "API rate limit exceeded for installation ID 5."});
        assert_eq!(seconds_to_wait(&classified(403, &primary, exceeded.clone())), 900);
        assert_eq!(seconds_to_wait(&classified(429, &primary, exceeded)), 900);

        let secondary = json!({"message": "You have exceeded a secondary rate limit."});
        assert_eq!(seconds_to_wait(&classified(403, &[("retry-after", "7")], secondary.clone())), 7);
        assert_eq!(seconds_to_wait(&classified(403, &[("x-ratelimit-remaining", "4000")], secondary)), 60);
        assert_eq!(seconds_to_wait(&classified(429, &[], json!({}))), 60);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let headers = [("x-accepted-github-permissions", "checks=write"), ("x-ratelimit-remaining", "12")];
        let message = json!({"message": "Resource not accessible by integration"});
        assert_eq!(
            classified(403, &headers, message).to_string(),
            "GitHub forbids GET /repos/acme/shop: Resource not accessible by integration; it needs the permission checks=write"
        );
    }

    #[test]
    fn a_rejection_repeats_github_s_own_words() {
        let body = json!({"message": "Validation Failed", "errors": [
            {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body is too long"},
            {"resource": "CheckRun", "code": "invalid", "field": "head_sha"},
            "No commit found for SHA: abc",
        ]});
        assert_eq!(
            classified(422, &[], body).to_string(),
            "GitHub rejects GET /repos/acme/shop with status 422: Validation Failed \
             (Body is too long; head_sha: invalid; No commit found for SHA: abc)"
        );
    }

    #[test]
    fn the_rest_falls_to_its_kind() {
        assert!(classified(404, &[], json!({"message": "Not Found"})).is_missing());
        assert!(classified(410, &[], json!({})).is_missing());
        assert!(classified(409, &[], json!({"message": "Git Repository is empty."})).is_missing());
        assert!(matches!(classified(401, &[], json!({})), GithubError::Unauthorized { .. }));
        assert!(matches!(classified(502, &[], json!("<html>")), GithubError::Unavailable { .. }));
        assert!(matches!(classified(409, &[], json!({})), GithubError::Rejected { status: 409, .. }));
    }

    #[test]
    fn sources_learn_what_a_caller_branches_on() {
        let missing = SourceError::from(classified(404, &[], json!({})));
        assert_eq!(missing.to_string(), "at GitHub, GET /repos/acme/shop was not found");
        let wait =
            SourceError::from(classified(429, &[("retry-after", "7")], json!({"message": "slow down"})));
        assert!(matches!(wait, SourceError::Wait { until, .. } if (until - now()).num_seconds() == 7));
        assert!(matches!(SourceError::from(classified(500, &[], json!({}))), SourceError::Unavailable(_)));
        assert!(matches!(SourceError::from(classified(401, &[], json!({}))), SourceError::Refused(_)));
    }
}
