//! `offshoot demo`: the service against a simulated GitHub, and what five repositories' people do there.

mod api;
mod check;
mod narrator;
mod report;
mod stage;
mod story;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::serve::terminated;
use super::{Exit, Stop};
use narrator::Narrator;
use stage::{Directory, Stage};
use story::Story;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End when the story is told, instead of staying up for a look around
    #[arg(long)]
    exit: bool,

    /// Where a fresh directory for this run is made; it goes at the end [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// HTTP address of the service [default: 127.0.0.1:8080, or a free port where that is taken]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,

    /// Directory with `postgres`, `initdb` and `pg_ctl` [default: found]
    #[arg(long, env = "OFFSHOOT_POSTGRES_BIN", value_name = "DIR")]
    postgres_bin: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Stop> {
    log_errors();
    let interrupted = interruption()?;
    let narrator = Narrator::new();
    let directory = Directory::make(args.data_dir.as_deref()).map_err(Stop::usage)?;
    narrator.introduce();
    narrator.working("starting PostgreSQL, a simulated GitHub and the service");
    // Not cut short by Ctrl-C: a server that is half started could not be stopped in order.
    let stage = Stage::set(&args, directory.path()).await?;
    let told = perform(&args, &stage, &narrator, &interrupted).await;
    narrator.working("stopping the service and PostgreSQL");
    let struck = stage.strike().await;
    narrator.rest();
    let exit = told?;
    struck?;
    Ok(exit)
}

/// Tells the story and, where that is wanted, stays up. An interruption ends either.
async fn perform(
    args: &Args,
    stage: &Stage,
    narrator: &Narrator,
    interrupted: &CancellationToken,
) -> Result<Exit, Stop> {
    let mut story = Story::begin(stage, narrator)?;
    let told = tokio::select! {
        told = story.tell() => told,
        () = interrupted.cancelled() => {
            narrator.say("\nInterrupted before the story was told.");
            return Ok(Exit::Failed);
        }
    };
    told?;
    let exit = story.end();
    if !args.exit {
        narrator.invite(stage, story.best_branch());
        tokio::select! {
            () = interrupted.cancelled() => {}
            () = stage.ended() => return Err(anyhow::anyhow!("the service ended by itself").into()),
        }
    }
    Ok(exit)
}

/// The story is the output: of the log, only what went wrong is shown, unless `RUST_LOG` asks for more.
fn log_errors() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    let ansi = console::colors_enabled_stderr();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr);
    // Only a program that has the demo as a part of it would log already.
    _ = log.try_init();
}

/// Cancelled by Ctrl-C or a closed terminal, from now on: before anything is started that would have to be stopped.
fn interruption() -> anyhow::Result<CancellationToken> {
    let interrupted = CancellationToken::new();
    let token = interrupted.clone();
    let mut hung_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        tokio::select! {
            () = terminated() => {}
            _ = hung_up.recv() => {}
        }
        token.cancel();
    });
    Ok(interrupted)
}
