//! Hears what the control database announces and passes it on within the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::domain::ids::PullId;
use crate::domain::job::{Job, Lane};
use crate::domain::state::BranchState;
use crate::postgres::{ConnectError, Endpoint};

const JOBS: &str = "offshoot_jobs";
const STATES: &str = "offshoot_states";
const FORKS: &str = "offshoot_forks";
const REPOSITORIES: &str = "offshoot_repositories";

/// What was announced. It only wakes: what there is to do, the tables say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A job of this lane may be waiting.
    Job(Lane),
    /// A branch of this pull request changed, and is in this state now; none where that is one of a later version.
    Branch(PullId, Option<BranchState>),
    /// A fork that somebody waits for was made, or will not be.
    Fork(Uuid),
    /// A repository came, went, or has another name.
    Repository(i64),
    /// The listener is connected, anew or for the first time: anything may have happened before.
    Connected,
}

/// How many events a slow subscriber may be behind before it is told that it missed some.
const BACKLOG: usize = 1024;
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(5);

/// One session that listens for the whole process, and reconnects by itself. It ends when this is dropped.
#[derive(Debug)]
pub struct Listener {
    events: broadcast::Sender<Event>,
    is_connected: Arc<AtomicBool>,
    task: AbortOnDropHandle<()>,
}

impl Listener {
    pub(super) fn start(endpoint: Endpoint) -> Self {
        let (events, _) = broadcast::channel(BACKLOG);
        let is_connected = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(listen(endpoint, events.clone(), is_connected.clone()));
        Self { events, is_connected, task: AbortOnDropHandle::new(task) }
    }

    /// Ends the session, so that the server can stop without cutting it off; nothing is announced any more.
    pub fn end(&self) {
        self.task.abort();
    }

    /// Wakes those within this process who wait for jobs like this one.
    pub fn wake(&self, job: &Job) {
        if let Some(lane) = Lane::of_kind(job.kind()) {
            // Nobody may be subscribed, and then nobody misses it.
            _ = self.events.send(Event::Job(lane));
        }
    }

    /// Whether what is announced is heard now.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire)
    }

    /// All that is announced from now on. Subscribe first and look at the tables then, so that nothing falls between.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

async fn listen(endpoint: Endpoint, events: broadcast::Sender<Event>, is_connected: Arc<AtomicBool>) {
    let mut pause = RECONNECT_MIN;
    loop {
        let ended = pass_on(&endpoint, &events, &is_connected).await;
        is_connected.store(false, Ordering::Release);
        match ended {
            Ok(()) => {
                tracing::warn!("the session that listens to the control database ended; connecting again");
                pause = RECONNECT_MIN;
            }
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::warn!(
                    error = format!("{error:#}"),
                    "cannot listen to the control database; trying again"
                );
                pause = (pause * 2).min(RECONNECT_MAX);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Passes on what is announced until the session ends.
async fn pass_on(
    endpoint: &Endpoint,
    events: &broadcast::Sender<Event>,
    is_connected: &AtomicBool,
) -> Result<(), ConnectError> {
    let (client, mut notifications) = endpoint.connect_notified().await?;
    let channels = [JOBS, STATES, FORKS, REPOSITORIES].map(|channel| format!("listen {channel};")).concat();
    let listening = client.batch_execute(&channels).await;
    listening.map_err(|source| ConnectError::Refused { server: endpoint.address(), source })?;
    // Nobody may be subscribed, and then nobody misses it.
    _ = events.send(Event::Connected);
    is_connected.store(true, Ordering::Release);
    while let Some(notification) = notifications.recv().await {
        if let Some(event) = event_of(notification.channel(), notification.payload()) {
            _ = events.send(event);
        }
    }
    Ok(())
}

fn event_of(channel: &str, payload: &str) -> Option<Event> {
    match channel {
        JOBS => Lane::of_kind(payload).map(Event::Job),
        STATES => {
            let (pull, state) = payload.split_once(' ')?;
            Some(Event::Branch(pull.parse().ok()?, state.parse().ok()))
        }
        FORKS => payload.parse().ok().map(Event::Fork),
        REPOSITORIES => payload.parse().ok().map(Event::Repository),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_become_events() {
        let pull = PullId { repository: 7, number: 42 };
        assert_eq!(event_of("offshoot_jobs", "reconcile_pull"), Some(Event::Job(Lane::Foreground)));
        assert_eq!(event_of("offshoot_jobs", "make_coffee"), None);
        let ready = Event::Branch(pull, Some(BranchState::Ready));
        assert_eq!(event_of("offshoot_states", "7#42 ready"), Some(ready));
        assert_eq!(event_of("offshoot_states", "7#42 frozen"), Some(Event::Branch(pull, None)));
        assert_eq!(event_of("offshoot_states", "hello"), None);
        let fork = Uuid::new_v4();
        assert_eq!(event_of("offshoot_forks", &fork.to_string()), Some(Event::Fork(fork)));
        assert_eq!(event_of("offshoot_repositories", "7"), Some(Event::Repository(7)));
        assert_eq!(event_of("another", "7#42"), None);
    }
}
