use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::domain::ids::PullId;
use crate::domain::job::Lane;
use crate::domain::state::BranchState;
use crate::store::test_support::TestStore;
use crate::store::{Event, Listener, Store, jobs};

/// So long that only an announcement can have been the reason.
const NEVER: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(20);

fn reconcile(number: i32) -> Job {
    Job::ReconcilePull(PullId { repository: 7, number })
}

/// A handler that says what it was given, and goes on when it is let.
struct Scripted {
    started: mpsc::UnboundedSender<(Job, Claim)>,
    gate: Semaphore,
    script: fn(&Job, &Claim) -> Outcome,
    alive: AtomicUsize,
}

struct Alive<'a>(&'a AtomicUsize);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Handler for Scripted {
    async fn handle(&self, job: Job, claim: &Claim) -> Outcome {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let _alive = Alive(&self.alive);
        self.started.send((job.clone(), claim.clone())).unwrap();
        self.gate.acquire().await.unwrap().forget();
        (self.script)(&job, claim)
    }
}

struct Bench {
    test: TestStore,
    listener: Listener,
    handler: Arc<Scripted>,
    started: mpsc::UnboundedReceiver<(Job, Claim)>,
    shutdown: CancellationToken,
    queue: JoinHandle<()>,
}

impl Bench {
    /// A queue whose handler is let `open` times before it has to be let by hand.
    async fn new(open: usize, settings: Settings, script: fn(&Job, &Claim) -> Outcome) -> Self {
        let test = TestStore::new().await;
        let (sender, started) = mpsc::unbounded_channel();
        let handler = Arc::new(Scripted {
            started: sender,
            gate: Semaphore::new(open),
            script,
            alive: AtomicUsize::new(0),
        });
        let shutdown = CancellationToken::new();
        let listener = test.store.listener();
        connected(&listener).await;
        let queue = {
            let (store, handler, shutdown) = (test.store.clone(), handler.clone(), shutdown.clone());
            let listener = test.store.listener();
            connected(&listener).await;
            tokio::spawn(async move { run(store, &listener, handler, settings, shutdown).await })
        };
        Self { test, listener, handler, started, shutdown, queue }
    }

    async fn enqueue(&self, job: &Job) {
        jobs::enqueue(&self.test.store.client().await.unwrap(), job).await.unwrap();
    }

    async fn next(&mut self) -> (Job, Claim) {
        timeout(PATIENCE, self.started.recv()).await.expect("a job starts").unwrap()
    }

    /// Waits until the table shows these states, whatever the kinds.
    async fn settled(&self, expected: &[&str]) {
        until(async || {
            let client = self.test.store.client().await.unwrap();
            let figures = jobs::figures(&client).await.unwrap();
            figures.iter().map(|figure| figure.state.as_str()).eq(expected.iter().copied())
        })
        .await;
    }

    async fn stop(self) -> TestStore {
        self.shutdown.cancel();
        timeout(PATIENCE, self.queue).await.expect("the queue stops").unwrap();
        self.test
    }
}

async fn connected(listener: &Listener) {
    let mut events = listener.subscribe();
    timeout(PATIENCE, events.recv()).await.expect("the listener connects").unwrap();
}

async fn until(condition: impl AsyncFn() -> bool) {
    let reached = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached).await.expect("the condition is reached in time");
}

async fn last_error(store: &Store) -> Option<String> {
    let client = store.client().await.unwrap();
    client.query_one("select last_error from jobs", &[]).await.unwrap().get("last_error")
}

/// No poll and no heartbeat within a test's time.
fn woken_only() -> Settings {
    Settings { poll: NEVER, heartbeat: NEVER, lease: NEVER, ..Settings::default() }
}

#[tokio::test]
async fn an_announcement_wakes_it() {
    let mut bench = Bench::new(10, woken_only(), |_, _| Outcome::Done).await;
    for number in 1..=3 {
        bench.enqueue(&reconcile(number)).await;
        let (job, claim) = bench.next().await;
        assert_eq!((job, claim.lease.attempt, claim.failures), (reconcile(number), 1, 0));
    }
    bench.settled(&["done"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn the_poll_finds_what_was_not_announced() {
    let settings = Settings { poll: Duration::from_millis(20), ..woken_only() };
    let mut bench = Bench::new(10, settings, |_, _| Outcome::Done).await;
    let client = bench.test.store.client().await.unwrap();
    jobs::enqueue_after(&client, &reconcile(1), Duration::from_millis(50)).await.unwrap();
    assert_eq!(bench.next().await.0, reconcile(1));
    bench.settled(&["done"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn errors_and_panics_are_written_down_and_tried_again() {
    let script = |job: &Job, claim: &Claim| match (job, claim.failures) {
        (Job::SyncRepository(1), 0) => panic!("it {} down", "fell"),
        (_, 0) => Outcome::Retry(anyhow::anyhow!("the cause").context("the effect")),
        _ => Outcome::Done,
    };
    for (job, error) in
        [(Job::SyncRepository(1), "the job panicked: it fell down"), (reconcile(1), "the effect: the cause")]
    {
        let mut bench = Bench::new(10, woken_only(), script).await;
        bench.enqueue(&job).await;
        bench.next().await;
        bench.settled(&["available"]).await;
        assert_eq!(last_error(&bench.test.store).await.as_deref(), Some(error));
        bench.enqueue(&job).await;
        assert_eq!(bench.next().await.1.failures, 1);
        bench.settled(&["done"]).await;
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_snooze_waits_and_a_hopeless_job_ends() {
    let script = |job: &Job, _: &Claim| match job {
        Job::SyncRepository(1) => Outcome::GiveUp(anyhow::anyhow!("hopeless")),
        _ => Outcome::Snooze { until: Utc::now() + TimeDelta::hours(1), why: "no room".into() },
    };
    let mut bench = Bench::new(10, woken_only(), script).await;
    bench.enqueue(&Job::SyncRepository(1)).await;
    bench.next().await;
    bench.settled(&["failed"]).await;
    bench.enqueue(&reconcile(1)).await;
    bench.next().await;
    bench.settled(&["available", "failed"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn there_are_never_more_at_once_than_allowed() {
    let mut bench = Bench::new(0, Settings { concurrency: 2, ..woken_only() }, |_, _| Outcome::Done).await;
    for number in 1..=5 {
        bench.enqueue(&reconcile(number)).await;
    }
    for _ in 0..5 {
        bench.next().await;
        assert!(bench.handler.alive.load(Ordering::SeqCst) <= 2);
        bench.handler.gate.add_permits(1);
    }
    bench.settled(&["done"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_job_outlasts_its_lease_by_heartbeats() {
    let settings =
        Settings { lease: Duration::from_millis(400), heartbeat: Duration::from_millis(50), ..woken_only() };
    let mut bench = Bench::new(0, settings, |_, _| Outcome::Done).await;
    bench.enqueue(&reconcile(1)).await;
    let (_, claim) = bench.next().await;
    let client = bench.test.store.client().await.unwrap();
    let prolonged = claim.claimed_at + TimeDelta::milliseconds(1200);
    until(async || {
        let row =
            client.query_one("select lease_until from jobs where state = 'running'", &[]).await.unwrap();
        row.get::<_, DateTime<Utc>>("lease_until") > prolonged
    })
    .await;
    assert!(!claim.lost.is_cancelled());
    bench.handler.gate.add_permits(1);
    bench.settled(&["done"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_lost_lease_ends_the_task() {
    let settings = Settings { heartbeat: Duration::from_millis(20), ..woken_only() };
    let mut bench = Bench::new(0, settings, |_, _| Outcome::Done).await;
    bench.enqueue(&reconcile(1)).await;
    let (_, claim) = bench.next().await;
    let client = bench.test.store.client().await.unwrap();
    client.execute("update jobs set worker = gen_random_uuid()", &[]).await.unwrap();
    timeout(PATIENCE, claim.lost.cancelled()).await.expect("the loss is noticed");
    until(async || bench.handler.alive.load(Ordering::SeqCst) == 0).await;
    bench.settled(&["running"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_lease_that_nobody_can_prolong_ends_the_task() {
    // No heartbeat comes, as behind a connection that does not answer.
    let settings = Settings { lease: Duration::from_millis(300), ..woken_only() };
    let mut bench = Bench::new(0, settings, |_, _| Outcome::Done).await;
    bench.enqueue(&reconcile(1)).await;
    let (_, claim) = bench.next().await;
    timeout(PATIENCE, claim.lost.cancelled()).await.expect("the loss is noticed");
    until(async || bench.handler.alive.load(Ordering::SeqCst) == 0).await;
    bench.settled(&["running"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn what_a_dead_worker_held_is_rescued() {
    let settings =
        Settings { heartbeat: Duration::from_millis(20), poll: Duration::from_millis(20), ..woken_only() };
    let mut bench = Bench::new(10, settings, |_, _| Outcome::Done).await;
    let client = bench.test.store.client().await.unwrap();
    client
        .execute(
            "insert into jobs (kind, subject, state, attempt, worker, lease_until)
             values ('sync_repository', '1', 'running', 1, gen_random_uuid(), now())",
            &[],
        )
        .await
        .unwrap();
    let (job, claim) = bench.next().await;
    assert_eq!((job, claim.lease.attempt, claim.failures), (Job::SyncRepository(1), 2, 1));
    bench.settled(&["done"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_what_ends_in_time_and_puts_back_the_rest() {
    let mut bench = Bench::new(0, woken_only(), |_, _| Outcome::Done).await;
    bench.enqueue(&reconcile(1)).await;
    bench.next().await;
    bench.shutdown.cancel();
    bench.enqueue(&reconcile(2)).await;
    bench.handler.gate.add_permits(1);
    bench.settled(&["available", "done"]).await;
    bench.stop().await;

    let settings = Settings { grace: Duration::from_millis(50), ..woken_only() };
    let mut bench = Bench::new(0, settings, |_, _| Outcome::Done).await;
    bench.enqueue(&reconcile(1)).await;
    bench.next().await;
    let handler = bench.handler.clone();
    let test = bench.stop().await;
    assert_eq!(handler.alive.load(Ordering::SeqCst), 0);
    let client = test.store.client().await.unwrap();
    let row =
        client.query_one("select state, failures, run_at <= now() as due from jobs", &[]).await.unwrap();
    assert_eq!((row.get("state"), row.get("failures"), row.get("due")), ("available", 0, true));
}

#[tokio::test]
async fn severed_sessions_are_made_again() {
    let settings = Settings { poll: Duration::from_millis(50), ..woken_only() };
    let mut bench = Bench::new(10, settings, |_, _| Outcome::Done).await;
    let mut events = bench.listener.subscribe();
    let killer = bench.test.endpoint.connect().await.unwrap();
    let sever = "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()";
    for number in 1..=3 {
        assert!(killer.execute(sever, &[]).await.unwrap() >= 2, "both listeners had sessions");
        assert_eq!(
            timeout(PATIENCE, events.recv()).await.expect("it connects again").unwrap(),
            Event::Connected
        );
        killer.execute("select pg_notify('offshoot_states', '7#42 ready')", &[]).await.unwrap();
        let branch = Event::Branch(PullId { repository: 7, number: 42 }, Some(BranchState::Ready));
        assert_eq!(timeout(PATIENCE, events.recv()).await.expect("it hears").unwrap(), branch);
        // The pool may still hold sessions that were severed.
        until(async || match bench.test.store.client().await {
            Ok(client) => jobs::enqueue(&client, &reconcile(number)).await.is_ok(),
            Err(_) => false,
        })
        .await;
        assert_eq!(bench.next().await.0, reconcile(number));
        assert_eq!(
            timeout(PATIENCE, events.recv()).await.expect("it hears").unwrap(),
            Event::Job(Lane::Foreground)
        );
    }
    bench.stop().await;
}
