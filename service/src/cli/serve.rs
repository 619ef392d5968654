//! `offshoot serve`, and the health check that a container runs against it.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Stop};
use crate::config::{LISTEN, ServeArgs, host_port};
use crate::service::Service;
use crate::telemetry;

pub(super) async fn run(args: ServeArgs) -> Result<Exit, Stop> {
    let traces = telemetry::serve().map_err(Stop::usage)?;
    // A wrong setting is the caller's to mend, and said before anything starts.
    args.check().map_err(Stop::usage)?;
    // Heard from the beginning: it may be asked to end as soon as it answers.
    let asked_to_end = tokio::spawn(terminated());
    let service = Service::start(&args, telemetry::figures()?).await?;
    let ended = service.run_until(async { _ = asked_to_end.await }).await;
    traces.end().await;
    ended?;
    Ok(Exit::Done)
}

/// Ends when the process is asked to end.
pub(super) async fn terminated() {
    let asked = async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // A terminal that is closed would otherwise leave the embedded server running.
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        std::io::Result::Ok(())
    };
    if let Err(error) = asked.await {
        tracing::error!(%error, "signals cannot be heard; only a kill ends this process");
        std::future::pending::<()>().await;
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    /// Where the service listens
    #[arg(long, env = "OFFSHOOT_LISTEN", default_value = LISTEN, value_name = "HOST:PORT", value_parser = host_port)]
    listen: String,
}

pub(super) async fn health(args: HealthArgs) -> Result<Exit, Stop> {
    let url = format!("http://{}/healthz", reachable(&args.listen));
    let response = reqwest::get(&url).await.with_context(|| format!("{url} does not answer"))?;
    Ok(if response.status().is_success() { Exit::Done } else { Exit::Failed })
}

/// Who listens on every address listens on this machine's own.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]", port)) => format!("127.0.0.1:{port}"),
        _ => listen.to_owned(),
    }
}
