//! The loop that claims jobs, and the life of each one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

use super::backoff::backoff;
use super::leases::Leases;
use super::{Claim, Handler, Outcome, Settings};
use crate::domain::job::Lane;
use crate::store::jobs::{self, ClaimedJob};
use crate::store::{Event, Listener, Store, StoreError};

/// A flood of announcements is one question to the table each time, and the first of them waits for nothing.
const TOGETHER: Duration = Duration::from_millis(5);

/// Claims jobs and has them done until `shutdown` is cancelled; then waits for those that run, and puts back for other
/// workers what is not done within the grace.
pub async fn run(
    store: Store,
    listener: &Listener,
    handler: Arc<dyn Handler>,
    settings: Settings,
    shutdown: CancellationToken,
) {
    let worker = Worker {
        id: Uuid::new_v4(),
        store,
        handler,
        settings,
        leases: Leases::default(),
        stop: CancellationToken::new(),
    };
    let _heartbeat = AbortOnDropHandle::new(tokio::spawn(worker.clone().keep_leases()));
    let mut events = listener.subscribe();
    let mut running = JoinSet::new();
    while !shutdown.is_cancelled() {
        worker.claim_all(&mut running, &shutdown).await;
        let looked = tokio::time::Instant::now();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = job_announced(&mut events, settings.lane) => {
                tokio::time::sleep_until(looked + TOGETHER).await;
                // All that was announced until now is looked for at once.
                events = events.resubscribe();
            }
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(settings.poll) => {}
        }
    }
    tracing::info!(lane = ?settings.lane, running = running.len(), "the queue stops");
    let ended = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(settings.grace, ended).await.is_err() {
        worker.stop.cancel();
        while running.join_next().await.is_some() {}
    }
}

/// Waits until a job may be waiting. Missed events may have been that.
async fn job_announced(events: &mut broadcast::Receiver<Event>, lane: Lane) {
    loop {
        match events.recv().await {
            Ok(Event::Job(announced)) if announced == lane => return,
            Ok(Event::Branch(..) | Event::Fork(_) | Event::Repository(_) | Event::Job(_)) => {}
            Ok(Event::Connected) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            // The listener is gone: the poll alone is left.
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        }
    }
}

#[derive(Clone)]
struct Worker {
    id: Uuid,
    store: Store,
    handler: Arc<dyn Handler>,
    settings: Settings,
    leases: Leases,
    /// Cancelled when the grace of a stop is over.
    stop: CancellationToken,
}

/// How a job left its handler.
enum Ended {
    With(Outcome),
    /// Its lease is another's, or nobody's.
    Lost,
    /// The worker stops.
    Stopped,
}

impl Worker {
    /// Claims jobs as long as there are some and room for them.
    async fn claim_all(&self, running: &mut JoinSet<()>, shutdown: &CancellationToken) {
        while running.len() < self.settings.concurrency && !shutdown.is_cancelled() {
            let asked_at = Instant::now();
            match self.claim().await {
                // The stop came while the claim was on its way.
                Ok(Some(claimed)) if shutdown.is_cancelled() => {
                    self.settle_until_written(&claimed, &Ended::Stopped, &CancellationToken::new()).await;
                }
                Ok(Some(claimed)) => {
                    let span = tracing::info_span!(
                        "job",
                        id = claimed.lease.id,
                        job = %claimed.job,
                        attempt = claimed.lease.attempt,
                        outcome = Empty,
                        otel.status_code = Empty,
                    );
                    running.spawn(self.clone().work_off(claimed, asked_at).instrument(span));
                }
                Ok(None) => return,
                Err(error) => return warn("cannot claim jobs", error),
            }
        }
    }

    async fn claim(&self) -> Result<Option<ClaimedJob>, StoreError> {
        let Settings { lane, lease, .. } = self.settings;
        jobs::claim(&self.store.client().await?, lane, self.id, lease).await
    }

    /// Prolongs this worker's leases, and rescues jobs from workers that are gone.
    async fn keep_leases(self) {
        let mut beat = tokio::time::interval(self.settings.heartbeat);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            // What does not answer for the length of a lease is asked again on another connection.
            let in_time = self.settings.lease;
            let prolonging = self.leases.prolong(&self.store, self.settings.lease);
            match tokio::time::timeout(in_time, prolonging).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn("cannot prolong the leases of the running jobs", error);
                    continue;
                }
                Err(_) => continue,
            }
            let Ok(rescued) = tokio::time::timeout(in_time, self.rescue()).await else { continue };
            match rescued {
                Ok(0) => {}
                Ok(rescued) => {
                    metrics::counter!("offshoot_jobs_rescued_total").increment(rescued);
                    tracing::warn!(rescued, "took jobs back from a worker that stopped answering");
                }
                Err(error) => warn("cannot look for jobs whose worker is gone", error),
            }
        }
    }

    async fn rescue(&self) -> Result<u64, StoreError> {
        jobs::rescue(&self.store.client().await?, self.settings.lane, &self.leases.held()).await
    }

    /// Has one job done and writes down how it ended.
    async fn work_off(self, claimed: ClaimedJob, asked_at: Instant) {
        let lost = CancellationToken::new();
        let _kept = self.leases.keep(claimed.lease, asked_at, self.settings.lease, lost.clone());
        let kind = claimed.job.kind();
        let waited = (claimed.claimed_at - claimed.run_at).to_std().unwrap_or_default();
        metrics::histogram!("offshoot_job_wait_seconds", "kind" => kind).record(waited);
        let began = Instant::now();
        let ended = self.perform(&claimed, &lost).await;
        let span = tracing::Span::current();
        span.record("outcome", ended.word());
        if matches!(ended, Ended::With(Outcome::Retry(_) | Outcome::GiveUp(_))) {
            span.record("otel.status_code", "ERROR");
        }
        metrics::histogram!("offshoot_job_seconds", "kind" => kind).record(began.elapsed());
        metrics::counter!("offshoot_jobs_ended_total", "kind" => kind, "outcome" => ended.word())
            .increment(1);
        if let Ended::Lost = ended {
            tracing::warn!("lost the job to another worker");
            return;
        }
        self.settle_until_written(&claimed, &ended, &lost).await;
    }

    /// Runs the handler in a task of its own, so that a panic ends that alone. Where the lease is lost or the worker stops, the
    /// task is dropped at its next await.
    async fn perform(&self, claimed: &ClaimedJob, lost: &CancellationToken) -> Ended {
        let claim = Claim {
            lease: claimed.lease,
            failures: claimed.failures,
            created_at: claimed.created_at,
            claimed_at: claimed.claimed_at,
            lost: lost.clone(),
        };
        let (handler, job) = (self.handler.clone(), claimed.job.clone());
        let task = tokio::spawn(async move { handler.handle(job, &claim).await }.in_current_span());
        let mut task = AbortOnDropHandle::new(task);
        let ended = tokio::select! {
            biased;
            joined = &mut task => return match joined {
                Ok(outcome) => Ended::With(outcome),
                Err(error) => {
                    metrics::counter!("offshoot_errors_total", "kind" => "panic").increment(1);
                    Ended::With(Outcome::Retry(anyhow!("the job panicked: {}", panic_text(error))))
                }
            },
            () = lost.cancelled() => Ended::Lost,
            () = self.stop.cancelled() => Ended::Stopped,
        };
        // What is put back may run elsewhere at once, so it must have ended here.
        task.abort();
        _ = task.await;
        ended
    }

    /// Writes down how a job ended, again where the database does not answer, for as long as the job is this worker's.
    async fn settle_until_written(&self, claimed: &ClaimedJob, ended: &Ended, lost: &CancellationToken) {
        report(claimed, ended);
        loop {
            let settled = tokio::select! {
                settled = self.settle(claimed, ended) => settled,
                // Nor does a connection that does not answer keep the worker for longer.
                () = lost.cancelled() => return,
            };
            match settled {
                Ok(true) => return,
                Ok(false) => return tracing::warn!("the job ended when it was another worker's already"),
                Err(error) if error.is_transient() => {
                    warn("cannot write down how a job ended; trying again", error)
                }
                // The lease runs out, and the job is done again.
                Err(error) => return warn("cannot write down how a job ended", error),
            }
            tokio::select! {
                () = lost.cancelled() => return,
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
    }

    async fn settle(&self, claimed: &ClaimedJob, ended: &Ended) -> Result<bool, StoreError> {
        let client = self.store.client().await?;
        let lease = claimed.lease;
        match ended {
            Ended::With(Outcome::Done) => jobs::complete(&client, lease).await,
            Ended::With(Outcome::Snooze { until, why }) => jobs::snooze(&client, lease, *until, why).await,
            Ended::With(Outcome::Retry(error)) => {
                let wait = backoff(claimed.failures, rand::random());
                jobs::fail(&client, lease, &format!("{error:#}"), wait).await
            }
            Ended::With(Outcome::GiveUp(error)) => jobs::give_up(&client, lease, &format!("{error:#}")).await,
            Ended::Stopped => jobs::release(&client, lease).await,
            Ended::Lost => Ok(false),
        }
    }
}

impl Ended {
    fn word(&self) -> &'static str {
        match self {
            Self::With(Outcome::Done) => "done",
            Self::With(Outcome::Snooze { .. }) => "snoozed",
            Self::With(Outcome::Retry(_)) => "retried",
            Self::With(Outcome::GiveUp(_)) => "failed",
            Self::Lost => "lost",
            Self::Stopped => "released",
        }
    }
}

/// The one place where a job's errors are logged; the job's span names it.
fn report(claimed: &ClaimedJob, ended: &Ended) {
    match ended {
        Ended::With(Outcome::Done) => tracing::debug!("the job is done"),
        Ended::With(Outcome::Snooze { until, why }) => tracing::info!(%until, why, "the job waits"),
        Ended::With(Outcome::Retry(error)) => {
            tracing::warn!(
                failures = claimed.failures + 1,
                error = format!("{error:#}"),
                "the job failed; it is tried again"
            );
        }
        Ended::With(Outcome::GiveUp(error)) => {
            tracing::error!(error = format!("{error:#}"), "the job failed for good");
        }
        Ended::Stopped => tracing::info!("put the job back, because the worker stops"),
        Ended::Lost => {}
    }
}

fn warn(what: &'static str, error: StoreError) {
    tracing::warn!(error = format!("{:#}", anyhow::Error::from(error)), "{what}");
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "it was cancelled".to_owned() };
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
