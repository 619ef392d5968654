//! Every figure of the service: its name, kind, labels and meaning. `docs/metrics.md` is made from it, and a running service is held to it.

use std::fmt::Write as _;

use Kind::{Counter, Gauge, Histogram};

use crate::domain::job::Job;
use crate::domain::state::BranchState;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, from the start of the process.
    Counter,
    /// What is now.
    Gauge,
    /// Durations in seconds, counted in buckets.
    Histogram,
}

/// A label and the values that it may have; none where they are not known beforehand.
type Label = (&'static str, &'static [&'static str]);

#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [Label],
    pub meaning: &'static str,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [Label], meaning: &'static str) -> Metric {
    Metric { name, kind, labels, meaning }
}

const JOB_KIND: Label = ("kind", Job::KINDS);
const JOB_STATE: Label = ("state", &["available", "running", "done", "failed"]);
const JOB_OUTCOME: Label = ("outcome", &["done", "snoozed", "retried", "failed", "lost", "released"]);
/// GitHub has many events, and a figure should have few series: what is none of these is counted as the last.
pub const DELIVERY_EVENTS: &[&str] = &[
    "pull_request",
    "push",
    "issue_comment",
    "check_run",
    "check_suite",
    "repository",
    "installation",
    "ping",
    "other",
];
const DELIVERY_EVENT: Label = ("event", DELIVERY_EVENTS);
const DELIVERY_OUTCOME: Label = ("outcome", &["stored", "nothing_to_do", "repeated"]);
const REFUSAL: Label =
    ("why", &["unsigned", "malformed", "too_large", "too_slow", "crowded", "unavailable", "internal"]);
const BRANCH_STATE: Label = ("state", BranchState::LIVE_NAMES);
const SETTLED: Label = ("state", &["ready", "failed"]);
const STEP: Label = ("step", &["queued", "read", "acquire", "migrate", "seed", "total"]);
const INSTANCE_STATE: Label = ("state", &["filling", "spare", "preparing", "live", "trash"]);
const FORK_FROM: Label = ("from", &["pool", "scratch"]);
const LAYER_STATE: Label = ("state", &["complete", "building"]);
const SPARE_FOUND: Label = ("found", &["yes", "no"]);
const DROPPED_BECAUSE: Label = ("because", &["idle", "budget", "disk"]);
const CHECK_OUTCOME: Label = ("outcome", &["same", "differs", "broken", "unstable"]);
/// What the sweep mends, or ends.
const MENDED: Label =
    ("what", &["orphan_database", "orphan_role", "vanished", "stalled", "unended_check", "expired", "idle"]);
const SERVER: Label = ("server", &["control", "branch"]);
const ERROR_KIND: Label = ("kind", &["github", "branch_server", "control_database", "internal", "panic"]);
const STATUS_CLASS: Label = ("status", &["2xx", "3xx", "4xx", "5xx"]);
const GITHUB_STATUS: Label = ("status", &["2xx", "3xx", "4xx", "5xx", "none"]);
const SIZED: Label = ("of", &["branches", "layers", "other"]);

/// All of them, in the order of the table for people.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    // Is it healthy?
    metric("offshoot_up", Gauge, &[SERVER], "1 where the control database, or the branch server, answered when it was last asked, else 0"),
    metric("offshoot_measured_timestamp_seconds", Gauge, &[], "When the gauges were last brought up to date, in Unix time; every 10 s, sizes every minute"),
    metric("offshoot_build_info", Gauge, &[("version", &[env!("CARGO_PKG_VERSION")])], "Always 1; the label tells the version"),
    metric("offshoot_errors_total", Counter, &[ERROR_KIND], "What went wrong on our side, by whose fault: jobs that are retried, requests that are answered 5xx, panics"),
    metric("offshoot_jobs", Gauge, &[JOB_KIND, JOB_STATE], "Jobs in the queue; finished ones are forgotten after a week"),
    metric("offshoot_job_oldest_wait_seconds", Gauge, &[JOB_KIND], "For how long the job that is due the longest has been waiting for a worker; 0 where none is due"),
    metric("offshoot_jobs_ended_total", Counter, &[JOB_KIND, JOB_OUTCOME], "How jobs ended; snoozed: they wait for somebody else, retried: they failed and are tried again, failed: for good"),
    metric("offshoot_jobs_rescued_total", Counter, &[], "Jobs taken back from a worker that stopped answering"),
    metric("offshoot_deliveries_total", Counter, &[DELIVERY_EVENT, DELIVERY_OUTCOME], "Webhooks that were taken, by GitHub's event"),
    metric("offshoot_deliveries_refused_total", Counter, &[REFUSAL], "Webhooks that were not taken; what is unavailable or internal GitHub does not send again by itself"),
    metric("offshoot_deliveries_waiting", Gauge, &[], "Stored webhooks that no job took up yet"),
    metric("offshoot_delivery_oldest_wait_seconds", Gauge, &[], "For how long the oldest of them has been waiting"),
    metric("offshoot_throttled_total", Counter, &[], "Requests that were answered 429"),
    metric("offshoot_connections_refused_total", Counter, &[], "Connections to the HTTP address that were closed at once, because too many were open"),
    metric("offshoot_sessions_ended_total", Counter, &[], "Sessions of branches that were ended because they went beyond a limit"),
    metric("offshoot_branches", Gauge, &[BRANCH_STATE], "Branches by state; errored: our trouble, retried; failed: a migration or seed of the pull request"),
    metric("offshoot_branches_settled_total", Counter, &[SETTLED], "Verdicts on pull requests' databases"),
    metric("offshoot_mended_total", Counter, &[MENDED], "What the sweep found and mended; orphan: nothing stood for it, vanished: a branch's database was gone, stalled: work had no job, unended_check: nobody was to end it, expired and idle: branches whose time was over"),
    metric("offshoot_layer_checks_total", Counter, &[CHECK_OUTCOME], "Layers compared with a replay from empty; differs: replaced by it, broken: the files fail from empty, unstable: two replays do not agree"),
    // Is it slow?
    metric("offshoot_branch_step_seconds", Histogram, &[STEP], "What a verdict took by step, from the webhook's arrival: total is what people wait for"),
    metric("offshoot_layer_build_seconds", Histogram, &[], "How long a base's template took to build"),
    metric("offshoot_snapshot_build_seconds", Histogram, &[], "How long a branch's ready state took to be made once more and frozen, for the first fork of a commit"),
    metric("offshoot_fork_make_seconds", Histogram, &[], "How long a fork took to be made"),
    metric("offshoot_forks_handed_out_total", Counter, &[FORK_FROM], "Forks by where they came from; pool: they waited, scratch: somebody waited for them"),
    metric("offshoot_job_wait_seconds", Histogram, &[JOB_KIND], "From when a job could be claimed until it was"),
    metric("offshoot_job_seconds", Histogram, &[JOB_KIND], "How long jobs ran"),
    metric("offshoot_delivery_seconds", Histogram, &[], "How long a webhook took to be stored and answered"),
    metric("offshoot_http_request_seconds", Histogram, &[STATUS_CLASS], "How long requests took until their answer began; a long poll takes as long as its caller waits"),
    metric("offshoot_github_request_seconds", Histogram, &[], "How long GitHub took to answer"),
    // What will run out?
    metric("offshoot_instances", Gauge, &[INSTANCE_STATE], "Databases on the branch server that stand for branches; spare: clones that wait to become one (the pool), trash: to be dropped"),
    metric("offshoot_spares_asked_total", Counter, &[SPARE_FOUND], "Branches that asked for a spare, and whether one was waiting; many without one: raise OFFSHOOT_POOL_SIZE"),
    metric("offshoot_layers", Gauge, &[LAYER_STATE], "Frozen databases that branches are cloned from"),
    metric("offshoot_layers_dropped_total", Counter, &[DROPPED_BECAUSE], "Layers dropped that nobody needed; idle: unused for 14 days, budget: beyond OFFSHOOT_LAYER_BUDGET, disk: it was nearly full"),
    metric("offshoot_database_bytes", Gauge, &[SIZED], "Sizes of Offshoot's databases on the branch server; copy-on-write clones count in full"),
    metric("offshoot_largest_branch_bytes", Gauge, &[], "The size of the largest branch"),
    metric("offshoot_disk_free_bytes", Gauge, &[], "Free space where the branch server keeps its data; -1 where the server does not tell"),
    metric("offshoot_disk_size_bytes", Gauge, &[], "Size of that file system; -1 where the server does not tell"),
    metric("offshoot_disk_floor_bytes", Gauge, &[], "Below so much free space no new database is begun; -1 where the server does not tell its disk"),
    metric("offshoot_branches_waiting_for_room", Gauge, &[], "Branches that wait, in a queue, until the disk has room for them"),
    metric("offshoot_connections", Gauge, &[], "Sessions on the branch server, everybody's"),
    metric("offshoot_connections_limit", Gauge, &[], "The branch server's max_connections"),
    metric("offshoot_github_requests_total", Counter, &[GITHUB_STATUS], "Requests to GitHub by the answer's class; none: there was no answer"),
    metric("offshoot_github_quota_remaining", Gauge, &[], "What GitHub's REST quota still holds; -1 until GitHub said"),
    metric("offshoot_github_quota_limit", Gauge, &[], "How much that quota is for an hour; -1 until GitHub said"),
    metric("offshoot_github_quota_reset_timestamp_seconds", Gauge, &[], "When it is full again, in Unix time; -1 until GitHub said"),
    metric("process_resident_memory_bytes", Gauge, &[], "The service's memory (Linux)"),
    metric("process_open_fds", Gauge, &[], "The service's open files and sockets (Linux)"),
    metric("process_start_time_seconds", Gauge, &[], "When the service started, in Unix time"),
];

/// Describes every figure to the recorder and gives it a first value, so that a rate is known from its first event on.
pub(super) fn register() {
    for metric in METRICS {
        match metric.kind {
            Counter => metrics::describe_counter!(metric.name, metric.meaning),
            Gauge => metrics::describe_gauge!(metric.name, metric.meaning),
            Histogram => metrics::describe_histogram!(metric.name, metric.meaning),
        }
        for labels in series(metric.labels) {
            match metric.kind {
                Counter => metrics::counter!(metric.name, labels).increment(0),
                Gauge => metrics::gauge!(metric.name, labels).set(0.0),
                Histogram => drop(metrics::histogram!(metric.name, labels)),
            }
        }
    }
}

/// Every combination of the labels' values.
fn series(labels: &[Label]) -> Vec<Vec<metrics::Label>> {
    labels.iter().fold(vec![Vec::new()], |made, (name, values)| {
        let with = |value: &&'static str| {
            let label = metrics::Label::from_static_parts(name, value);
            made.iter()
                .map(move |labels| [labels.as_slice(), std::slice::from_ref(&label)].concat())
                .collect()
        };
        values.iter().flat_map::<Vec<_>, _>(with).collect()
    })
}

/// The table for people.
pub fn table() -> String {
    let mut table = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for Metric { name, kind, labels, meaning } in METRICS {
        let label = |(name, values): &Label| match values.len() {
            0 | 1 => format!("`{name}`"),
            _ => format!("`{name}`: {}", values.join(", ")),
        };
        let labels = labels.iter().map(label).collect::<Vec<_>>().join("; ");
        let kind = format!("{kind:?}").to_lowercase();
        writeln!(table, "| `{name}` | {kind} | {labels} | {meaning} |").expect("a text can be written to");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_say_their_units_and_are_used_once() {
        let mut seen = HashSet::new();
        for Metric { name, kind, .. } in METRICS {
            assert!(seen.insert(name), "{name} is there twice");
            assert_eq!(*kind == Counter, name.ends_with("_total"), "{name}");
            assert!(*kind != Histogram || name.ends_with("_seconds"), "{name}");
        }
    }

    #[test]
    fn series_are_every_combination() {
        assert_eq!(series(&[]).len(), 1);
        assert_eq!(series(&[STEP]).len(), 6);
        assert_eq!(series(&[DELIVERY_EVENT, DELIVERY_OUTCOME]).len(), 27);
    }

    #[test]
    fn the_documentation_is_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page.contains(&table()), "docs/metrics.md should hold this table:\n{}", table());
    }
}
