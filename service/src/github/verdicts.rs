//! Verdicts on commits: check runs for an App, commit statuses for a token.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::GithubError;
use super::repository::RepositoryClient;
use super::request::Written;
use crate::domain::failure::excerpt;
use crate::domain::ids::Oid;
use crate::domain::report::{Annotation, CHECK_NAME, CheckStatus, Conclusion, Verdict};

/// GitHub takes this many annotations with one request, and adds those of the next to them.
const ANNOTATIONS: usize = 50;
/// In characters.
const STATUS_DESCRIPTION: usize = 140;

/// A check run of ours.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckRunRef {
    pub id: i64,
    /// What we gave it to be known by.
    #[serde(default)]
    pub external_id: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

impl CheckRunRef {
    /// Whether its verdict is told.
    pub fn has_ended(&self) -> bool {
        self.status.as_deref() == Some("completed")
    }
}

#[derive(Deserialize)]
struct CheckRunsObject {
    check_runs: Vec<CheckRunObject>,
}

#[derive(Deserialize)]
struct CheckRunObject {
    #[serde(flatten)]
    run: CheckRunRef,
    app: Option<AppObject>,
}

#[derive(Deserialize)]
struct AppObject {
    id: i64,
}

impl RepositoryClient {
    /// Not repeated when its answer is lost: look with [`Self::find_check_run`] before trying again.
    pub async fn create_check_run(&self, verdict: &Verdict, external_id: &str) -> Result<i64, GithubError> {
        let mut body = check_run(verdict, first(&verdict.annotations), Utc::now());
        body["head_sha"] = json!(verdict.sha);
        body["external_id"] = json!(external_id);
        let ask = self.post("/repos/{owner}/{repo}/check-runs", &[], body);
        let id = self.send(ask).await?.json::<CheckRunRef>()?.id;
        self.annotate(id, verdict).await?;
        Ok(id)
    }

    pub async fn update_check_run(&self, id: i64, verdict: &Verdict) -> Result<(), GithubError> {
        let annotations = first(&verdict.annotations);
        self.patch_check_run(id, check_run(verdict, annotations, Utc::now()), annotations.is_empty()).await?;
        self.annotate(id, verdict).await
    }

    /// Our latest check run on a commit that is known by this id: several pull requests may have one head.
    pub async fn find_check_run(
        &self,
        sha: &Oid,
        external_id: &str,
    ) -> Result<Option<CheckRunRef>, GithubError> {
        let ask = self.get("/repos/{owner}/{repo}/commits/{ref}/check-runs", &[sha.as_str()]);
        let app = self.github().app_id();
        let ask = ask.query(&[("check_name", CHECK_NAME), ("filter", "all"), ("per_page", "100")]);
        let runs = self.send(ask).await?.json::<CheckRunsObject>()?.check_runs;
        // Any App may call its check run as it likes.
        let ours =
            runs.into_iter().filter(|run| run.app.as_ref().map(|app| app.id) == app).map(|run| run.run);
        Ok(ours.filter(|run| run.external_id.as_deref() == Some(external_id)).max_by_key(|run| run.id))
    }

    /// For tokens, which cannot write check runs.
    pub async fn create_status(&self, verdict: &Verdict) -> Result<(), GithubError> {
        let body = json!({
            "state": state(verdict.status),
            "context": CHECK_NAME,
            "description": shortened(&verdict.title),
            "target_url": verdict.details_url,
        });
        // A second one of the same context takes the first one's place.
        let ask =
            self.post("/repos/{owner}/{repo}/statuses/{sha}", &[verdict.sha.as_str()], body).repeatable();
        self.send(ask).await?.json::<Written>().map(drop)
    }

    /// Adds the annotations that found no room in the first request.
    async fn annotate(&self, id: i64, verdict: &Verdict) -> Result<(), GithubError> {
        for annotations in verdict.annotations.chunks(ANNOTATIONS).skip(1) {
            self.patch_check_run(id, json!({"output": output(verdict, annotations)}), false).await?;
        }
        Ok(())
    }

    async fn patch_check_run(&self, id: i64, body: Value, repeatable: bool) -> Result<(), GithubError> {
        let ask = self.patch("/repos/{owner}/{repo}/check-runs/{id}", &[&id.to_string()], body);
        self.send(if repeatable { ask.repeatable() } else { ask }).await?.json::<Written>().map(drop)
    }
}

fn first(annotations: &[Annotation]) -> &[Annotation] {
    &annotations[..annotations.len().min(ANNOTATIONS)]
}

fn check_run(verdict: &Verdict, annotations: &[Annotation], now: DateTime<Utc>) -> Value {
    let mut body = json!({
        "name": CHECK_NAME,
        "details_url": verdict.details_url,
        "output": output(verdict, annotations),
    });
    let now = json!(now.to_rfc3339_opts(SecondsFormat::Secs, true));
    match verdict.status {
        CheckStatus::Queued => body["status"] = json!("queued"),
        CheckStatus::InProgress => {
            body["status"] = json!("in_progress");
            body["started_at"] = now;
        }
        CheckStatus::Completed(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
            body["completed_at"] = now;
        }
    }
    body
}

fn output(verdict: &Verdict, annotations: &[Annotation]) -> Value {
    let annotation = |annotation: &Annotation| {
        json!({
            "path": annotation.path,
            "start_line": annotation.line,
            "end_line": annotation.line,
            "annotation_level": "failure",
            "title": annotation.title,
            "message": annotation.message,
        })
    };
    let annotations: Vec<Value> = annotations.iter().map(annotation).collect();
    json!({"title": verdict.title, "summary": verdict.summary, "annotations": annotations})
}

/// A commit status knows none but these. `success` would vouch for migrations that nobody tried, and `pending` would never
/// end, so it is `error`: by GitHub's own words the trouble of whoever reports, apart from `failure`, which is the author's.
fn state(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Queued | CheckStatus::InProgress => "pending",
        CheckStatus::Completed(Conclusion::Success) => "success",
        CheckStatus::Completed(Conclusion::Failure) => "failure",
        CheckStatus::Completed(Conclusion::ActionRequired | Conclusion::Cancelled | Conclusion::Neutral) => {
            "error"
        }
    }
}

fn shortened(title: &str) -> String {
    if title.chars().count() <= STATUS_DESCRIPTION {
        title.to_owned()
    } else {
        excerpt(title, STATUS_DESCRIPTION - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: CheckStatus) -> Verdict {
        let annotation =
            Annotation { path: "a.sql".into(), line: 3, title: "42P01".into(), message: "no table".into() };
        Verdict {
            sha: "a".repeat(40).parse().unwrap(),
            status,
            title: "1 migration applied".into(),
            summary: "All well".into(),
            details_url: "https://offshoot.example/1".into(),
            annotations: vec![annotation],
        }
    }

    fn body(status: CheckStatus) -> Value {
        let verdict = verdict(status);
        check_run(&verdict, &verdict.annotations, DateTime::from_timestamp(1_700_000_000, 0).unwrap())
    }

    #[test]
    fn a_check_run_begins_and_ends() {
        let begun = body(CheckStatus::InProgress);
        assert_eq!(
            (&begun["status"], &begun["started_at"]),
            (&json!("in_progress"), &json!("2023-11-14T22:13:20Z"))
        );
        assert!(begun.get("conclusion").is_none());
        let ended = body(CheckStatus::Completed(Conclusion::Neutral));
        assert_eq!((&ended["status"], &ended["conclusion"]), (&json!("completed"), &json!("neutral")));
        assert_eq!(ended["completed_at"], "2023-11-14T22:13:20Z");
        assert_eq!(ended["output"]["annotations"][0]["start_line"], 3);
    }

    #[test]
    fn a_status_never_vouches_for_what_was_not_judged() {
        let states = [
            Conclusion::Success,
            Conclusion::Failure,
            Conclusion::ActionRequired,
            Conclusion::Cancelled,
            Conclusion::Neutral,
        ]
        .map(|conclusion| state(CheckStatus::Completed(conclusion)));
        assert_eq!(states, ["success", "failure", "error", "error", "error"]);
        assert_eq!(state(CheckStatus::Queued), "pending");
    }

    #[test]
    fn a_description_fits() {
        assert_eq!(shortened(&"é".repeat(140)).chars().count(), 140);
        assert_eq!(shortened(&"é".repeat(141)).chars().count(), 140);
    }
}
