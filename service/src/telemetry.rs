//! Logs for people on a terminal and as JSON elsewhere, traces where they are asked for, and the process's figures.

pub mod catalogue;
pub mod traces;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::figures::unix_now;
use traces::Traces;

/// What is logged unless `RUST_LOG` says otherwise. The libraries below log SQL and requests at their finer levels: they stay at warnings;
/// the pools warn of each session that a stopping server ends, which we say ourselves; the scheduler calls its own end an error.
const DEFAULT_FILTER: &str =
    "warn,offshoot=info,deadpool.postgres=error,tokio_cron_scheduler::notification=off";

/// Bounds of the durations' buckets, in seconds: from a rename to a long migration.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// Starts logging to standard error. `quiet` leaves only warnings, for commands whose output is for people.
pub fn log(quiet: bool) {
    start(if quiet { "warn,deadpool.postgres=error" } else { DEFAULT_FILTER }, &Traces::default());
}

/// Starts what a service tells while it runs: its log, and traces where an endpoint is configured for them.
pub fn serve() -> anyhow::Result<Traces> {
    let traces = Traces::configured().context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    start(DEFAULT_FILTER, &traces);
    Ok(traces)
}

/// The log and the traces each have a filter of their own: traces show steps that would only be noise in the log.
fn start(default: &str, traces: &Traces) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(traces.layer());
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        let format = format.with_target(false).with_ansi(std::env::var_os("NO_COLOR").is_none());
        registry.with(format.with_filter(filter)).try_init()
    } else {
        registry.with(format.json().flatten_event(true).with_span_list(false).with_filter(filter)).try_init()
    };
    // The demo runs the service in a process that logs already.
    _ = started;
}

/// Starts the process's figures; what renders them as Prometheus' text.
pub fn figures() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .context("the buckets of the histograms")?;
    let recorder = builder.install_recorder().context("starting the figures")?;
    catalogue::register();
    metrics::gauge!("offshoot_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::gauge!("process_start_time_seconds").set(unix_now());
    Ok(recorder)
}
