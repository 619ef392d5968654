//! Waiting for a fork that no spare is there for.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::branch::Which;
use super::document::{Readiness, readiness};
use super::wait;
use crate::domain::branch::Branch;
use crate::domain::fork::MOST_OF_A_BRANCH;
use crate::domain::ids::{DatabaseLabel, Oid, RepositoryName};
use crate::domain::job::Job;
use crate::domain::room::NoRoom;
use crate::engine::{EngineError, fork_name};
use crate::store::forks::{self, Handed, NewFork, Wanted, Wish};
use crate::store::{Event, Store, branches, jobs};
use crate::web::App;
use crate::web::problem::Problem;

/// How long a caller waits for a fork that has to be made. Replaying a long chain is part of the first one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Behind the announcements, in case one is lost.
const POLL: Duration = Duration::from_secs(1);

/// Has a fork made and waits for it.
pub(super) async fn made(app: &App, wish: &Wish<'_>) -> Result<Handed, Problem> {
    let mut events = app.listener.subscribe();
    let waiting = ask(app, wish).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let until = deadline.min(Instant::now() + POLL);
        // Running out of time is how the poll comes round.
        _ = timeout_at(until, heard(&mut events, waiting.id)).await;
        let client = app.store.client().await?;
        match forks::claim(&client, app.store.vault(), waiting.id, wish.ttl).await? {
            Wanted::Made(handed) => {
                waiting.end();
                return Ok(handed);
            }
            Wanted::Refused(Some(why)) => return Err(unrepeatable(&why)),
            Wanted::Refused(None) => return Err(unready("It is being brought to another commit")),
            Wanted::NotYet if Instant::now() >= deadline => {
                drop(client);
                let room = app.engine.room_for(0).await;
                return Err(late(room.err().as_ref()));
            }
            Wanted::NotYet => {}
        }
    }
}

/// Waits for an announcement that concerns a fork.
async fn heard(events: &mut Receiver<Event>, id: Uuid) {
    loop {
        match events.recv().await {
            Ok(Event::Fork(other)) if other == id => return,
            Ok(Event::Connected) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Records the wish and has it seen to, or says why it cannot be granted.
async fn ask(app: &App, wish: &Wish<'_>) -> Result<Waiting, Problem> {
    let branch = ready(app, wish).await?;
    let id = Uuid::new_v4();
    let new = NewFork {
        id,
        database_name: &fork_name(&id.simple().to_string()),
        branch: branch.id,
        sha: wish.sha,
        patience: PATIENCE,
        limit: MOST_OF_A_BRANCH,
    };
    let client = app.store.client().await?;
    if !forks::want(&client, app.store.vault(), &new).await? {
        drop(client);
        ready(app, wish).await?;
        return Err(too_many());
    }
    let waiting = Waiting { store: app.store.clone(), id, ended: false };
    jobs::enqueue(&client, &Job::FillForks(branch.id)).await?;
    Ok(waiting)
}

/// The branch, if it is ready for what is wished.
async fn ready(app: &App, wish: &Wish<'_>) -> Result<Branch, Problem> {
    let which =
        Which { database: wish.database.clone(), sha: wish.sha.cloned(), wait: None, any_state: false };
    let found = wait::find(app, wish.repository, wish.number, &which).await?;
    let Some(branches::Named { branch, .. }) = found else {
        return Err(no_branch(wish.repository, wish.number, wish.database));
    };
    match readiness(&branch, wish.sha.map(Oid::as_str)) {
        Readiness::Ready => Ok(branch),
        Readiness::NotYet => Err(unready(&format!("It is {} at {}", branch.state, branch.head_sha.short()))),
        Readiness::Ended(problem) => Err(*problem),
    }
}

/// A caller that goes away hands over what was made for it: it becomes a spare.
struct Waiting {
    store: Store,
    id: Uuid,
    ended: bool,
}

impl Waiting {
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (store, id) = (self.store.clone(), self.id);
        // Where the process is ending, its wait runs out by itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let abandoned = async { forks::abandon(&store.client().await?, id).await };
            if let Err(error) = abandoned.await {
                tracing::debug!(%error, "a fork that nobody waits for could not be given up; its wait runs out");
            }
        });
    }
}

pub(super) fn no_branch(repository: &RepositoryName, number: i32, database: &DatabaseLabel) -> Problem {
    Problem::not_found(format!("{repository} has no branch `{database}` for pull request {number}."))
}

fn unready(state: &str) -> Problem {
    let detail = format!("{state}; ask again, or wait for it with `GET …/branch?wait=`.");
    Problem::conflict("branch-unready", "The branch is not ready", detail).retry_after(1)
}

fn unrepeatable(why: &str) -> Problem {
    let detail = format!("Forks are made from the branch's files anew, and that did not work: {why}.");
    Problem::conflict("fork-failed", "The branch's state cannot be made again", detail)
}

fn too_many() -> Problem {
    let detail = format!(
        "A branch may have {MOST_OF_A_BRANCH}. Delete those that are not needed any more, or give them a shorter `ttl`."
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-forks", "The branch has too many forks", detail)
        .retry_after(60)
}

/// With why, where it is the disk.
fn late(short: Option<&EngineError>) -> Problem {
    let detail = match short {
        Some(EngineError::NoRoom(shortage)) => NoRoom::Disk(*shortage).reason(),
        _ => {
            "Making it takes longer than a request should; what is being made will be there soon.".to_owned()
        }
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "fork-late", "The fork is not made yet", detail)
        .retry_after(5)
}
