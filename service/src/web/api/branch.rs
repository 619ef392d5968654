//! One branch: shown with its URL, made, rebuilt, kept and removed.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::BranchDocument;
use super::document::{Readiness, Urls, readiness};
use super::wait;
use crate::domain::audit::Action;
use crate::domain::branch::Branch;
use crate::domain::ids::{DatabaseLabel, Oid, PullId, RepositoryName};
use crate::domain::job::Job;
use crate::domain::pull::PullRequest;
use crate::domain::repository::RepositoryFacts;
use crate::domain::state::BranchState;
use crate::github::GithubError;
use crate::store::branches::{Change, Named};
use crate::store::{Store, StoreError, audit, branches, jobs, pulls, repositories};
use crate::web::App;
use crate::web::auth::Caller;
use crate::web::problem::Problem;

/// The pull request that a path names.
#[derive(Debug, Clone, Deserialize, IntoParams)]
pub(super) struct PullPath {
    owner: String,
    name: String,
    pub(super) number: i32,
}

impl PullPath {
    pub(super) fn repository(&self) -> Result<RepositoryName, Problem> {
        if self.number < 1 {
            return Err(Problem::bad_request(format!("{} is no pull request's number.", self.number)));
        }
        RepositoryName::new(&self.owner, &self.name)
            .map_err(|error| Problem::bad_request(format!("{error}.")))
    }
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
pub(super) struct Which {
    /// Which of the repository's databases; `main` unless configured.
    #[serde(default = "DatabaseLabel::main")]
    #[param(value_type = Option<String>)]
    pub(super) database: DatabaseLabel,
    /// Ready for this commit and no other; without it, for the head that is known.
    #[param(value_type = Option<String>)]
    pub(super) sha: Option<Oid>,
    /// Wait so many seconds, at most 300, for it to become ready.
    pub(super) wait: Option<u64>,
    /// Hand out the database that stands, whatever it holds: for a look at a branch that failed.
    #[serde(default)]
    pub(super) any_state: bool,
}

type Params<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;
type PullParams = Result<Path<PullPath>, axum::extract::rejection::PathRejection>;

pub(super) fn parameters(path: PullParams, query: Params<Which>) -> Result<(PullPath, Which), Problem> {
    Ok((path?.0, query?.0))
}

/// Hands out the branch once it is ready for the commit asked for, and never anything else.
#[utoipa::path(get, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch", params(PullPath, Which), tag = "branches",
    responses(
        (status = 200, description = "Ready, for `sha` if one was given", body = BranchDocument),
        (status = 202, description = "Not yet: ask again after `Retry-After` seconds", body = BranchDocument),
        (status = 404, description = "There is none", body = Problem),
        (status = 409, description = "It failed: the failing migration with its line", body = Problem),
        (status = 410, description = "It was deleted", body = Problem),
        (status = 423, description = "It waits for an approval or for room", body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    path: PullParams,
    query: Params<Which>,
) -> Result<Response, Problem> {
    let (path, which) = parameters(path, query)?;
    let repository = path.repository()?;
    caller.must_read(&repository)?;
    let found = wait::settled(&app, &repository, path.number, &which).await?;
    let Some(found) = found else {
        return Err(Problem::not_found(format!(
            "{repository} has no branch `{}` for pull request {}: no webhook told of it, or it has no migrations.",
            which.database, path.number
        )));
    };
    let Named { repository, branch, .. } = &found;
    if which.any_state && branch.is_reachable() {
        return Ok(Json(document(&app, &found)?).into_response());
    }
    match readiness(branch, which.sha.as_ref().map(Oid::as_str)) {
        Readiness::Ready => Ok(Json(document(&app, &found)?).into_response()),
        Readiness::NotYet => {
            let document = BranchDocument::new(repository, branch, &app.public_url, None);
            Ok((StatusCode::ACCEPTED, [(header::RETRY_AFTER, "1")], Json(document)).into_response())
        }
        Readiness::Ended(problem) => Err(*problem),
    }
}

/// The branch's document with its URLs.
fn document(app: &App, found: &Named) -> Result<BranchDocument, Problem> {
    let Named { repository, branch, .. } = found;
    let urls = Urls::of(&app.engine, &branch.database_name, &found.credentials(app.store.vault())?);
    Ok(BranchDocument::new(repository, branch, &app.public_url, Some(urls)))
}

/// Makes the branch of a pull request whose webhook never came.
#[utoipa::path(post, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch", params(PullPath), tag = "branches",
    responses((status = 202, description = "Taken up"), (status = 404, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    path: PullParams,
) -> Result<StatusCode, Problem> {
    let Path(path) = path?;
    let repository = path.repository()?;
    caller.must_write(&repository)?;
    let client = app.store.client().await?;
    let known = repositories::find_by_name(&client, &repository).await?;
    drop(client);
    // GitHub may take its time: no session of the store is held meanwhile.
    let facts = match known {
        Some(known) if !known.removed => known.facts,
        _ => {
            let facts = app.github.repository_facts(&repository).await.map_err(|error| {
                tracing::info!(error = %error, %repository, "a repository could not be looked up");
                Problem::not_found(format!("{repository} is not known here, and GitHub does not show it to Offshoot: install the App on it."))
            })?;
            let mut client = app.store.client().await?;
            let tx = Store::begin(&mut client).await?;
            repositories::upsert(&tx, &facts).await?;
            Store::commit(tx).await?;
            facts
        }
    };
    let pull = PullId { repository: facts.github_id, number: path.number };
    let client = app.store.client().await?;
    let stored = pulls::find(&client, pull).await?;
    drop(client);
    if stored.is_none() {
        let told = described(&app, &facts, path.number).await?;
        // Or a webhook told of it meanwhile.
        pulls::save_over(&app.store.client().await?, &told, None).await?;
    }
    let mut client = app.store.client().await?;
    let tx = Store::begin(&mut client).await?;
    pulls::want_anew(&tx, pull).await?;
    jobs::enqueue(&tx, &Job::ReconcilePull(pull)).await?;
    let subject = format!("{}#{}", facts.name, path.number);
    audit::record(&tx, &caller.does(Action::BranchCreated, subject)).await?;
    Store::commit(tx).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A pull request that nobody told of, as GitHub shows it: a job for one that is not there would be tried for ever.
async fn described(app: &App, facts: &RepositoryFacts, number: i32) -> Result<PullRequest, Problem> {
    match app.github.repository(&facts.name, facts.installation).pull(number).await {
        Ok(pull) => Ok(pull),
        Err(GithubError::Missing { .. }) => {
            Err(Problem::not_found(format!("GitHub shows no pull request {number} of {}.", facts.name)))
        }
        Err(error) => {
            tracing::warn!(%error, repository = %facts.name, number, "a pull request could not be looked up");
            let detail = "GitHub does not answer; try again in a few seconds.";
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "GitHub is out of reach",
                detail,
            )
            .retry_after(5))
        }
    }
}

/// Rebuilds the branch from its layer; the URL stays, data written to it is gone.
#[utoipa::path(post, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch/reset", params(PullPath, Which), tag = "branches",
    responses((status = 202, body = BranchDocument), (status = 404, body = Problem)))]
pub(super) async fn reset(
    State(app): State<App>,
    caller: Caller,
    path: PullParams,
    query: Params<Which>,
) -> Result<Response, Problem> {
    let (repository, branch) = writable(&app, &caller, path, query).await?;
    let mut client = app.store.client().await?;
    let tx = Store::begin(&mut client).await?;
    if !branches::request_reset(&tx, branch.id).await? {
        return Err(Problem::conflict(
            "branch-deleted",
            "The branch is being deleted",
            "Its pull request is closed.",
        ));
    }
    jobs::enqueue(&tx, &Job::ReconcilePull(branch.pull)).await?;
    audit::record(&tx, &caller.does(Action::BranchReset, subject(&repository, &branch))).await?;
    Store::commit(tx).await?;
    drop(client);
    accepted(&app, &repository, branch.id).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Keeps the branch from its expiry.
    protected: Option<bool>,
    /// Moves its expiry to so long from now, as `3d` or `12h`.
    extend: Option<String>,
}

/// Protects the branch, or moves its expiry.
#[utoipa::path(patch, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch", params(PullPath, Which), tag = "branches",
    request_body = Wish, responses((status = 202, body = BranchDocument), (status = 400, body = Problem)))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    path: PullParams,
    query: Params<Which>,
    wish: Result<Json<Wish>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, Problem> {
    let (repository, branch) = writable(&app, &caller, path, query).await?;
    let Json(wish) = wish?;
    let mut client = app.store.client().await?;
    let tx = Store::begin(&mut client).await?;
    if let Some(text) = &wish.extend {
        let expires_at = after(text)?;
        branches::set_expiry(&tx, branch.id, expires_at).await?;
        let entry = caller.does(Action::BranchExtended, subject(&repository, &branch));
        audit::record(&tx, &entry.with(json!({ "expires_at": expires_at }))).await?;
    }
    if let Some(protected) = wish.protected {
        branches::set_protected(&tx, branch.id, protected).await?;
        let entry = caller.does(Action::BranchProtected, subject(&repository, &branch));
        audit::record(&tx, &entry.with(json!({ "protected": protected }))).await?;
    }
    // The pull request may have been told that it goes.
    jobs::enqueue(&tx, &Job::ReportPull(branch.pull)).await?;
    Store::commit(tx).await?;
    drop(client);
    accepted(&app, &repository, branch.id).await
}

/// Nobody means to keep a branch longer; `protected` keeps it for good.
const LONGEST_EXTENSION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

fn after(text: &str) -> Result<DateTime<Utc>, Problem> {
    let invalid =
        || Problem::bad_request("`extend` is no duration of at most 366 days; write it as `3d` or `12h`.");
    let duration = humantime::parse_duration(text).map_err(|_| invalid())?;
    let delta = TimeDelta::from_std(duration.min(LONGEST_EXTENSION)).map_err(|_| invalid())?;
    if duration > LONGEST_EXTENSION {
        return Err(invalid());
    }
    Utc::now().checked_add_signed(delta).ok_or_else(invalid)
}

/// Removes the branch although its pull request is open; the next push brings a new one.
#[utoipa::path(delete, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch", params(PullPath, Which), tag = "branches",
    responses((status = 202, description = "It is being removed"), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    path: PullParams,
    query: Params<Which>,
) -> Result<StatusCode, Problem> {
    let (repository, branch) = writable(&app, &caller, path, query).await?;
    let mut client = app.store.client().await?;
    let tx = Store::begin(&mut client).await?;
    pulls::unwant(&tx, branch.pull, &branch.head_sha).await?;
    let change = Change { reason: Some("It was removed on request.".to_owned()), ..Change::default() };
    match branches::transition(&tx, branch.id, BranchState::Deleting, &change).await {
        Ok(_) | Err(StoreError::IllegalTransition { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    jobs::enqueue(&tx, &Job::ReconcilePull(branch.pull)).await?;
    audit::record(&tx, &caller.does(Action::BranchRemoved, subject(&repository, &branch))).await?;
    Store::commit(tx).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A branch as the audit log names it.
fn subject(repository: &RepositoryName, branch: &Branch) -> String {
    format!("{repository}#{}/{}", branch.pull.number, branch.database)
}

/// The live branch that a caller wants to change.
async fn writable(
    app: &App,
    caller: &Caller,
    path: PullParams,
    query: Params<Which>,
) -> Result<(RepositoryName, Branch), Problem> {
    let (path, which) = parameters(path, query)?;
    let name = path.repository()?;
    caller.must_write(&name)?;
    let missing = || {
        Problem::not_found(format!(
            "{name} has no branch `{}` for pull request {}.",
            which.database, path.number
        ))
    };
    let client = app.store.client().await?;
    let repository = repositories::find_by_name(&client, &name).await?.ok_or_else(missing)?;
    let pull = PullId { repository: repository.facts.github_id, number: path.number };
    let branch = branches::find(&client, pull, &which.database).await?.ok_or_else(missing)?;
    Ok((repository.facts.name, branch))
}

async fn accepted(app: &App, repository: &RepositoryName, id: i64) -> Result<Response, Problem> {
    let client = app.store.client().await?;
    let branch =
        branches::find_by_id(&client, id).await?.ok_or_else(|| Problem::not_found("The branch is gone."))?;
    let document = BranchDocument::new(repository, &branch, &app.public_url, None);
    Ok((StatusCode::ACCEPTED, Json(document)).into_response())
}
