//! Check runs.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, Paging, Target, read_body, read_sha};
use super::model::{CheckRun, Level};
use super::state::{State, now};

/// GitHub takes so many annotations in one request.
const ANNOTATIONS_LIMIT: usize = 50;
/// The limit of a summary and of a text, in characters.
const TEXT_LIMIT: usize = 65_535;
const STATUSES: [&str; 6] = ["queued", "in_progress", "completed", "waiting", "requested", "pending"];
const CONCLUSIONS: [&str; 7] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];

/// What a request creates a check run with, or changes in one.
#[derive(Deserialize)]
struct Change {
    name: Option<String>,
    head_sha: Option<String>,
    details_url: Option<String>,
    external_id: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    output: Option<Output>,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    #[serde(default)]
    annotations: Vec<Value>,
}

/// `POST /repos/{owner}/{repo}/check-runs`
pub(crate) async fn create(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
    body: Bytes,
) -> Answer<(StatusCode, Json<Value>)> {
    let mut state = hub.state();
    let repository = state.enter_as_app(&caller, (&owner, &name))?;
    let change: Change = read_body(&body)?;
    let name = change.name.clone().ok_or_else(|| missing("name"))?;
    let head = change.head_sha.as_deref().ok_or_else(|| missing("head_sha"))?;
    let head_sha = read_sha(head).map_err(|_| no_commit(head))?;
    state.repository(repository).git.commit_info(head_sha)?.ok_or_else(|| no_commit(head))?;
    let id = state.next_id();
    let mut run = CheckRun {
        id,
        name,
        head_sha,
        status: "queued".to_owned(),
        conclusion: None,
        details_url: None,
        external_id: None,
        started_at: now(),
        completed_at: None,
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
        updates: 0,
    };
    change.apply(&mut run)?;
    let shown = state.check_run_json(repository, &run);
    state.repository_mut(repository).check_runs.insert(id, run);
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `PATCH /repos/{owner}/{repo}/check-runs/{id}`
pub(crate) async fn update(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    body: Bytes,
) -> Answer {
    let mut state = hub.state();
    let repository = state.enter_as_app(&caller, (&owner, &name))?;
    let mut run =
        state.repository(repository).check_runs.get(&id).cloned().ok_or_else(ApiError::not_found)?;
    let change: Change = read_body(&body)?;
    if let Some(name) = &change.name {
        run.name.clone_from(name);
    }
    run.updates += 1;
    change.apply(&mut run)?;
    let shown = state.check_run_json(repository, &run);
    state.repository_mut(repository).check_runs.insert(id, run);
    Ok(Json(shown))
}

/// `GET /repos/{owner}/{repo}/check-runs/{id}`
pub(crate) async fn show(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Answer {
    let state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "checks", Level::Read)?;
    let run = state.repository(repository).check_runs.get(&id).ok_or_else(ApiError::not_found)?;
    Ok(Json(state.check_run_json(repository, run)))
}

#[derive(Deserialize)]
pub(crate) struct Filter {
    check_name: Option<String>,
    status: Option<String>,
    filter: Option<String>,
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`
pub(crate) async fn list(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let state = hub.state();
    let repository = state.enter(&caller, (&owner, &name), "checks", Level::Read)?;
    let sha = state.commit_at(repository, &git_ref)?.sha;
    let all: Vec<&CheckRun> =
        state.repository(repository).check_runs.values().filter(|run| run.head_sha == sha).collect();
    let newest =
        |run: &CheckRun| all.iter().filter(|other| other.name == run.name).all(|other| other.id <= run.id);
    let shown = all.iter().rev().filter(|run| {
        (filter.filter.as_deref() == Some("all") || newest(run))
            && filter.check_name.as_ref().is_none_or(|name| *name == run.name)
            && filter.status.as_ref().is_none_or(|status| *status == run.status)
    });
    let shown: Vec<Value> = shown.map(|run| state.check_run_json(repository, run)).collect();
    let total = shown.len();
    Ok(paging.answer_as(&shown, &target, |page| json!({ "total_count": total, "check_runs": page })))
}

impl Change {
    fn apply(self, run: &mut CheckRun) -> Result<(), ApiError> {
        if let Some(status) = self.status {
            one_of("status", &status, &STATUSES)?;
            run.status = status;
        }
        if let Some(conclusion) = self.conclusion {
            one_of("conclusion", &conclusion, &CONCLUSIONS)?;
            // "Providing conclusion will automatically set the status parameter to completed."
            run.status = "completed".to_owned();
            run.conclusion = Some(conclusion);
        }
        match (run.status.as_str(), &run.conclusion) {
            ("completed", None) => return Err(missing("conclusion")),
            ("completed", Some(_)) => {
                run.completed_at = self.completed_at.or(run.completed_at).or(Some(now()))
            }
            // Taken up again.
            _ => (run.conclusion, run.completed_at) = (None, None),
        }
        run.started_at = self.started_at.unwrap_or(run.started_at);
        run.details_url = self.details_url.or(run.details_url.take());
        run.external_id = self.external_id.or(run.external_id.take());
        match self.output {
            Some(output) => output.apply(run),
            None => Ok(()),
        }
    }
}

impl Output {
    /// Texts are replaced, annotations added to those already there.
    fn apply(self, run: &mut CheckRun) -> Result<(), ApiError> {
        let summary = self.summary.ok_or_else(|| missing("summary"))?;
        run.title = Some(self.title.or(run.title.take()).ok_or_else(|| missing("title"))?);
        for (field, text) in [("summary", Some(&summary)), ("text", self.text.as_ref())] {
            if text.is_some_and(|text| text.chars().count() > TEXT_LIMIT) {
                let message = format!("{field} exceeds a maximum length of {TEXT_LIMIT} characters.");
                return Err(ApiError::unprocessable(format!("Invalid request.\n\n{message}")));
            }
        }
        if self.annotations.len() > ANNOTATIONS_LIMIT {
            let message = format!(
                "No more than {ANNOTATIONS_LIMIT} items are allowed; {} were supplied.",
                self.annotations.len()
            );
            return Err(ApiError::unprocessable(format!("Invalid request.\n\n{message}")));
        }
        self.annotations.iter().try_for_each(check_annotation)?;
        run.summary = Some(summary);
        run.text = self.text.or(run.text.take());
        run.annotations.extend(self.annotations);
        Ok(())
    }
}

fn check_annotation(annotation: &Value) -> Result<(), ApiError> {
    for field in ["path", "start_line", "end_line", "annotation_level", "message"] {
        if annotation[field].is_null() {
            return Err(missing(&format!("annotations.{field}")));
        }
    }
    let level = annotation["annotation_level"].as_str().unwrap_or_default();
    one_of("annotation_level", level, &["notice", "warning", "failure"])?;
    let line =
        |field: &str| annotation[field].as_u64().filter(|line| *line > 0).ok_or_else(|| missing(field));
    let (start, end) = (line("start_line")?, line("end_line")?);
    if end < start {
        return Err(ApiError::unprocessable("Invalid request.\n\nend_line must not be before start_line."));
    }
    let columns = !annotation["start_column"].is_null() || !annotation["end_column"].is_null();
    if columns && start != end {
        let message = "Annotations only support start_column and end_column on the same line.";
        return Err(ApiError::unprocessable(format!("Invalid request.\n\n{message}")));
    }
    Ok(())
}

fn one_of(field: &str, value: &str, allowed: &[&str]) -> Result<(), ApiError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!("Invalid request.\n\n{value} is not a possible value of {field}.")))
}

fn missing(field: &str) -> ApiError {
    ApiError::unprocessable(format!("Invalid request.\n\n\"{field}\" wasn't supplied."))
}

fn no_commit(sha: &str) -> ApiError {
    ApiError::unprocessable(format!("No commit found for SHA: {sha}"))
}

impl State {
    /// Only an App writes check runs.
    fn enter_as_app(&self, caller: &Caller, repository: (&str, &str)) -> Result<u64, ApiError> {
        let id = self.enter(caller, repository, "checks", Level::Write)?;
        if caller.is_app() {
            return Ok(id);
        }
        Err(ApiError::new(StatusCode::FORBIDDEN, "You must authenticate via a GitHub App."))
    }
}
