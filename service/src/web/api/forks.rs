//! Forks of a branch: throw-away clones of its ready state, each for one test run.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::branch::{PullPath, Which};
use super::{fork_wait, wait};
use crate::domain::fork::DEFAULT_TTL;
use crate::domain::ids::{DatabaseLabel, Oid};
use crate::domain::job::Job;
use crate::engine::{Access, Engine};
use crate::store::forks::{self, Fork, Handed, Wish};
use crate::store::{Listener, Store, StoreError, branches, jobs};
use crate::web::App;
use crate::web::auth::Caller;
use crate::web::problem::Problem;

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichFork {
    /// Which of the repository's databases; `main` unless configured.
    #[serde(default = "DatabaseLabel::main")]
    #[param(value_type = Option<String>)]
    database: DatabaseLabel,
    /// A fork of this commit's database and of no other's; without it, of the head that is known.
    #[param(value_type = Option<String>)]
    sha: Option<Oid>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFork {
    /// For how long it is needed, as `30m`; an hour unless said, at most what the operator allows.
    ttl: Option<String>,
}

/// A fork that was handed out. Its URL is in this answer and nowhere else.
#[derive(Serialize, ToSchema)]
pub(super) struct ForkDocument {
    #[schema(value_type = String)]
    id: String,
    database_url: String,
    /// It is dropped then, whoever uses it.
    expires_at: DateTime<Utc>,
}

impl ForkDocument {
    fn new(engine: &Engine, handed: Handed) -> Self {
        let Handed { id, database_name, password, expires_at, .. } = handed;
        let access = Access { role: database_name.clone(), database: database_name, password };
        let database_url = engine.url(&access).expose().to_owned();
        Self { id: id.simple().to_string(), database_url, expires_at }
    }
}

/// Hands out a clone of the branch's ready state, with a login role of its own: what the migrations and seeds lead to, without what was
/// written to the branch since. A token that only reads will do: a fork opens nothing that the branch's own URL does not.
#[utoipa::path(post, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch/forks", params(PullPath, WhichFork), tag = "forks",
    request_body = Option<NewFork>,
    responses(
        (status = 201, description = "It is the caller's until it expires", body = ForkDocument),
        (status = 404, description = "There is no branch", body = Problem),
        (status = 409, description = "The branch is not ready, or failed", body = Problem),
        (status = 410, description = "The branch was deleted", body = Problem),
        (status = 423, description = "The branch waits for an approval or for room", body = Problem),
        (status = 429, description = "The branch has as many forks as it may", body = Problem),
        (status = 503, description = "It could not be made in time", body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    path: Result<Path<PullPath>, PathRejection>,
    query: Result<Query<WhichFork>, QueryRejection>,
    new: Result<Option<Json<NewFork>>, JsonRejection>,
) -> Result<(StatusCode, Json<ForkDocument>), Problem> {
    let Path(path) = path?;
    let Query(which) = query?;
    let new = new?;
    let repository = path.repository()?;
    caller.must_read(&repository)?;
    let wish = Wish {
        repository: &repository,
        number: path.number,
        database: &which.database,
        sha: which.sha.as_ref(),
        ttl: ttl(new.and_then(|Json(new)| new.ttl), app.fork_ttl_limit)?,
    };
    let spare = match app.forks_at_hand.take(&wish) {
        Some(handed) => Some(handed),
        None => {
            let client = app.store.working().client().await?;
            forks::take(&client, app.store.vault(), &wish).await?
        }
    };
    let from = if spare.is_some() { "pool" } else { "scratch" };
    let handed = match spare {
        Some(handed) => {
            // The answer does not wait for it: should it be lost, the next fork that finds the pool empty asks again.
            tokio::spawn(refill(app.store.working(), app.listener.clone(), handed.branch));
            handed
        }
        None => fork_wait::made(&app, &wish).await?,
    };
    tokio::spawn(app.forks_at_hand.clone().reserve(handed.branch));
    metrics::counter!("offshoot_forks_handed_out_total", "from" => from).increment(1);
    Ok((StatusCode::CREATED, Json(ForkDocument::new(&app.engine, handed))))
}

/// How long a pool waits before it makes up for the fork that was handed out: to make a database keeps the server busy, and the answer goes first.
const REFILL_AFTER: Duration = Duration::from_millis(20);

async fn refill(store: Store, listener: Arc<Listener>, branch: i64) {
    let job = Job::FillForks(branch);
    let asked = async {
        let client = store.client().await?;
        jobs::enqueue_after(&client, &job, REFILL_AFTER).await
    };
    if let Err(error) = asked.await {
        let error: StoreError = error;
        tracing::warn!(branch, %error, "a pool of forks could not be asked to be refilled");
    }
    tokio::time::sleep(REFILL_AFTER).await;
    listener.wake(&job);
}

fn ttl(text: Option<String>, limit: Duration) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(DEFAULT_TTL.min(limit)) };
    match humantime::parse_duration(&text) {
        Ok(ttl) if (Duration::from_secs(1)..=limit).contains(&ttl) => Ok(ttl),
        Ok(_) => Err(Problem::bad_request(format!(
            "`ttl` is `{text}`; a fork stays for at least a second and at most {}.",
            humantime::format_duration(limit)
        ))),
        Err(_) => Err(Problem::bad_request(format!(
            "`ttl` is `{text}`, which is no duration; write `30m` or `2h`."
        ))),
    }
}

/// A fork in a list, without its URL.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListedFork {
    id: String,
    /// The commit whose chain it holds.
    sha: String,
    /// The branch's when it was made.
    generation: i32,
    handed_out_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
}

impl From<Fork> for ListedFork {
    fn from(fork: Fork) -> Self {
        Self {
            id: fork.id.simple().to_string(),
            sha: fork.sha.to_string(),
            generation: fork.generation,
            handed_out_at: fork.handed_out_at,
            expires_at: fork.expires_at,
        }
    }
}

/// The forks of a branch that are handed out, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForkList {
    forks: Vec<ListedFork>,
}

/// Lists the forks of a branch that are handed out.
#[utoipa::path(get, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch/forks", params(PullPath, WhichFork), tag = "forks",
    responses((status = 200, body = ForkList), (status = 404, description = "There is no branch", body = Problem)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    path: Result<Path<PullPath>, PathRejection>,
    query: Result<Query<WhichFork>, QueryRejection>,
) -> Result<Json<ForkList>, Problem> {
    let Path(path) = path?;
    let Query(which) = query?;
    let repository = path.repository()?;
    caller.must_read(&repository)?;
    let which = Which { database: which.database, sha: which.sha, wait: None, any_state: false };
    let found = wait::find(&app, &repository, path.number, &which).await?;
    let Some(branches::Named { branch, .. }) = found else {
        return Err(fork_wait::no_branch(&repository, path.number, &which.database));
    };
    app.forks_at_hand.recorded().await;
    let client = app.store.client().await?;
    let forks = forks::live_of(&client, branch.id).await?;
    let wanted = |fork: &Fork| which.sha.as_ref().is_none_or(|sha| fork.sha == *sha);
    Ok(Json(ForkList { forks: forks.into_iter().filter(wanted).map(ListedFork::from).collect() }))
}

/// Ends a fork before its time. Its sessions are ended, and it is dropped in the background.
#[utoipa::path(delete, path = "/api/v1/forks/{id}", tag = "forks", params(("id" = String, Path)),
    responses((status = 204, description = "It is being dropped"), (status = 404, body = Problem)))]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    let missing = || Problem::not_found(format!("There is no fork {}, or not for this token.", id.simple()));
    let client = app.store.client().await?;
    let found = forks::find_live(&client, id).await?.ok_or_else(missing)?;
    caller.must_read(&found.repository).map_err(|_| missing())?;
    if !forks::discard(&client, id).await? {
        return Err(missing());
    }
    jobs::enqueue(&client, &Job::EmptyTrash).await?;
    Ok(StatusCode::NO_CONTENT)
}
