//! Waiting for a branch: the long poll of a CI job, and the stream of a page that is open.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Sse;
use axum::response::sse;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::BranchDocument;
use super::branch::{PullPath, Which, parameters};
use super::document::{Readiness, readiness};
use crate::domain::branch::Branch;
use crate::domain::ids::{Oid, RepositoryName};
use crate::domain::pull::Wanted;
use crate::domain::state::BranchState;
use crate::store::branches::{self, Named};
use crate::store::{Event, pulls};
use crate::web::App;
use crate::web::auth::Caller;
use crate::web::problem::Problem;

/// No load balancer keeps an answer waiting longer.
const LONGEST: u64 = 300;
const LONGEST_STREAM: Duration = Duration::from_secs(30 * 60);
/// Behind the announcements, in case one is lost.
const POLL: Duration = Duration::from_secs(1);

type Found = Option<Named>;

/// The branch as it stands, or as it stands when it is settled for the commit, at the latest after `wait` seconds.
pub(super) async fn settled(
    app: &App,
    repository: &RepositoryName,
    number: i32,
    which: &Which,
) -> Result<Found, Problem> {
    let deadline = Instant::now() + Duration::from_secs(which.wait.unwrap_or(0).min(LONGEST));
    let mut events = app.listener.subscribe();
    loop {
        let found = find(app, repository, number, which).await?;
        let settled = found.as_ref().is_some_and(|Named { branch, .. }| {
            // One that waits for room goes on by itself.
            branch.place().is_none()
                && !matches!(readiness(branch, which.sha.as_ref().map(Oid::as_str)), Readiness::NotYet)
        });
        if settled || Instant::now() >= deadline || app.stopping.is_cancelled() {
            return Ok(found);
        }
        let repository = found.map(|found| found.branch.pull.repository);
        let until = deadline.min(Instant::now() + POLL);
        // Running out of time is how the poll comes round.
        tokio::select! {
            _ = timeout_at(until, about(&mut events, number, repository, is_no_step)) => {}
            () = app.stopping.cancelled() => {}
        }
    }
}

/// Whether a branch has come to where it stays, as far as that can be told from its state.
fn is_no_step(state: Option<BranchState>) -> bool {
    !matches!(state, Some(BranchState::Pending | BranchState::Preparing))
}

/// Waits for an announcement that may concern a pull request: one of its number, in any repository while its own is not known. In a burst, many
/// wait for branches that are not there yet, and each asks the database again at every announcement that it takes for its own.
async fn about(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    number: i32,
    repository: Option<i64>,
    is_of_interest: fn(Option<BranchState>) -> bool,
) {
    loop {
        match events.recv().await {
            Ok(Event::Branch(pull, state))
                if pull.number == number
                    && repository.is_none_or(|id| id == pull.repository)
                    && is_of_interest(state) =>
            {
                return;
            }
            Ok(Event::Connected) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The last branch of a pull request's database. One that a reopened pull request left behind is none.
pub(super) async fn find(
    app: &App,
    repository: &RepositoryName,
    number: i32,
    which: &Which,
) -> Result<Found, Problem> {
    let client = app.store.client().await?;
    let found = branches::find_by_name(&client, repository, number, &which.database).await?;
    if let Some(Named { branch, .. }) = &found
        && branch.state == BranchState::Deleted
    {
        let stored = pulls::find(&client, branch.pull).await?;
        if stored.is_some_and(|stored| stored.pull.open && stored.wanted() != Wanted::No) {
            return Ok(None);
        }
    }
    Ok(found)
}

/// The branch's document each time that it changes, as server-sent events called `branch`.
#[utoipa::path(get, path = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch/events", params(PullPath, Which), tag = "branches",
    responses((status = 200, description = "text/event-stream of branch documents without URLs"), (status = 404, body = Problem)))]
pub(super) async fn events(
    State(app): State<App>,
    caller: Caller,
    path: Result<Path<PullPath>, PathRejection>,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let (path, which) = parameters(path, query)?;
    let repository = path.repository()?;
    caller.must_read(&repository)?;
    let events = app.listener.subscribe();
    let first = find(&app, &repository, path.number, &which).await?;
    let Some(Named { repository, branch, .. }) = first else {
        return Err(Problem::not_found(format!(
            "{repository} has no branch for pull request {}.",
            path.number
        )));
    };
    let ended = ended(app.stopping.clone());
    let state = (app, events, repository, path.number, which, Some(branch));
    let stream = futures_util::stream::unfold(
        state,
        |(app, mut events, repository, number, which, ready)| async move {
            let branch = match ready {
                Some(branch) => branch,
                None => next(&app, &mut events, &repository, number, &which).await?,
            };
            let document = BranchDocument::new(&repository, &branch, &app.public_url, None);
            let event = sse::Event::default().event("branch").json_data(document).ok()?;
            Some((Ok(event), (app, events, repository, number, which, None)))
        },
    );
    Ok(Sse::new(stream.take_until(ended)).keep_alive(sse::KeepAlive::default()))
}

/// A page asks again when its stream ends, so nothing is lost by ending those of pages that nobody looks at.
async fn ended(stopping: CancellationToken) {
    _ = timeout(LONGEST_STREAM, stopping.cancelled()).await;
}

/// The branch after its next change; none ends the stream.
async fn next(
    app: &App,
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    repository: &RepositoryName,
    number: i32,
    which: &Which,
) -> Option<Branch> {
    let before = find(app, repository, number, which).await.ok()??;
    about(events, number, Some(before.branch.pull.repository), |_| true).await;
    Some(find(app, repository, number, which).await.ok()??.branch)
}
