//! The gauges: brought up to date by a clock and not by whoever reads them, so that `/metrics` answers at once whatever hangs.

use std::time::{Duration, SystemTime};

use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::domain::job::Job;
use crate::domain::room::Disk;
use crate::domain::state::BranchState;
use crate::engine::{Engine, EngineError, Subject};
use crate::github::Github;
use crate::store::figures::{self, Count};
use crate::store::{Store, StoreError, branches, jobs};

const BEAT: Duration = Duration::from_secs(10);
/// Sizes take a walk through each database's files.
const BEATS_TO_SIZES: u32 = 6;
/// A server that takes longer counts as down until the next beat.
const PATIENCE: Duration = Duration::from_secs(8);

/// What the gauges tell of.
#[derive(Debug)]
pub struct Figures {
    pub store: Store,
    pub engine: Engine,
    pub github: Github,
    pub recorder: PrometheusHandle,
}

impl Figures {
    /// Keeps the gauges up to date until the shutdown.
    pub async fn keep(self, shutdown: CancellationToken) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for beat in 0_u32.. {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = beats.tick() => {}
            }
            self.measure(beat % BEATS_TO_SIZES == 0).await;
            // Without this, durations pile up until somebody reads them.
            self.recorder.run_upkeep();
        }
    }

    async fn measure(&self, sizes: bool) {
        let control = timely(self.control()).await;
        gauge!("offshoot_up", "server" => "control").set(up(&control));
        let branch = timely(self.branch_server(sizes)).await;
        gauge!("offshoot_up", "server" => "branch").set(up(&branch));
        self.quota();
        process();
        gauge!("offshoot_measured_timestamp_seconds").set(unix_now());
    }

    /// What the tables hold. Groups without rows are set to nothing, or their last figure would stay for ever.
    async fn control(&self) -> Result<(), StoreError> {
        let client = self.store.client().await?;
        let counts = branches::counts(&client).await?;
        for name in BranchState::LIVE_NAMES {
            let count = counts.iter().find(|count| count.state.as_str() == *name);
            gauge!("offshoot_branches", "state" => *name)
                .set(count.map_or(0.0, |count| count.branches as f64));
        }
        let waiting = branches::waiting_for_room(&client).await?;
        gauge!("offshoot_branches_waiting_for_room").set(waiting as f64);
        let queue = jobs::figures(&client).await?;
        for kind in Job::KINDS {
            let of_kind = || queue.iter().filter(|figure| figure.kind == *kind);
            for state in ["available", "running", "done", "failed"] {
                let jobs = of_kind().find(|figure| figure.state == state).map_or(0, |figure| figure.jobs);
                gauge!("offshoot_jobs", "kind" => *kind, "state" => state).set(jobs as f64);
            }
            let oldest = of_kind().map(|figure| figure.oldest_wait).fold(0.0, f64::max);
            gauge!("offshoot_job_oldest_wait_seconds", "kind" => *kind).set(oldest);
        }
        let waiting = figures::waiting(&client).await?;
        gauge!("offshoot_deliveries_waiting").set(waiting.deliveries as f64);
        gauge!("offshoot_delivery_oldest_wait_seconds").set(waiting.oldest_wait);
        let count = |counts: &[Count], state: &str| {
            counts.iter().find(|count| count.state == state).map_or(0, |count| count.rows) as f64
        };
        let instances = figures::instances(&client).await?;
        for state in ["preparing", "live", "trash", "spare"] {
            gauge!("offshoot_instances", "state" => state).set(count(&instances, state));
        }
        let layers = figures::layers(&client).await?;
        for state in ["complete", "building"] {
            gauge!("offshoot_layers", "state" => state).set(count(&layers, state));
        }
        Ok(())
    }

    async fn branch_server(&self, sizes: bool) -> Result<(), EngineError> {
        let capacity = self.engine.capacity().await?;
        let disk = |read: fn(&Disk) -> i64| capacity.disk.as_ref().map_or(-1, read) as f64;
        let floor = capacity.disk.map_or(-1, |disk| self.engine.floor().of(&disk));
        gauge!("offshoot_disk_floor_bytes").set(floor as f64);
        gauge!("offshoot_disk_free_bytes").set(disk(|disk| disk.free_bytes));
        gauge!("offshoot_disk_size_bytes").set(disk(|disk| disk.size_bytes));
        gauge!("offshoot_connections").set(capacity.connections as f64);
        gauge!("offshoot_connections_limit").set(capacity.connection_limit as f64);
        if !sizes {
            return Ok(());
        }
        let (mut layers, mut branches, mut other, mut largest) = (0, 0, 0, 0);
        for database in self.engine.inventory().await? {
            match database.identity.map(|identity| identity.subject) {
                Some(Subject::Layer { .. }) => layers += database.size_bytes,
                Some(Subject::Branch { .. }) => {
                    branches += database.size_bytes;
                    largest = largest.max(database.size_bytes);
                }
                _ => other += database.size_bytes,
            }
        }
        for (of, bytes) in [("layers", layers), ("branches", branches), ("other", other)] {
            gauge!("offshoot_database_bytes", "of" => of).set(bytes as f64);
        }
        gauge!("offshoot_largest_branch_bytes").set(largest as f64);
        Ok(())
    }

    fn quota(&self) {
        let quota = self.github.quota();
        let of = |read: fn(crate::github::Quota) -> i64| quota.map_or(-1, read) as f64;
        gauge!("offshoot_github_quota_remaining").set(of(|quota| quota.remaining));
        gauge!("offshoot_github_quota_limit").set(of(|quota| quota.limit));
        gauge!("offshoot_github_quota_reset_timestamp_seconds").set(of(|quota| quota.reset.timestamp()));
    }
}

/// None where a server gave an error or no answer; the next beat asks again.
async fn timely<E: std::fmt::Display>(asked: impl Future<Output = Result<(), E>>) -> Option<()> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(())) => Some(()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "gauges stay as they were");
            None
        }
        Err(_) => None,
    }
}

fn up(answered: &Option<()>) -> f64 {
    if answered.is_some() { 1.0 } else { 0.0 }
}

/// Linux tells; elsewhere the gauges stay at 0.
fn process() {
    const PAGE_BYTES: f64 = 4096.0;
    if let Ok(memory) = std::fs::read_to_string("/proc/self/statm")
        && let Some(pages) = memory.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok())
    {
        gauge!("process_resident_memory_bytes").set(pages * PAGE_BYTES);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(files.count() as f64);
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
