//! The command line: parse, wire, run, exit code.

mod audit;
mod branch;
mod client;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod fork;
mod preview;
mod print;
mod secret;
mod serve;
mod storage;
mod token;
mod url;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A PostgreSQL database for every pull request.
#[derive(Debug, Parser)]
#[command(name = "offshoot", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: webhooks, API and the workers
    Serve(Box<crate::config::ServeArgs>),
    /// Show the main job with sample repositories and a simulated GitHub
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// Try the pipeline on two git refs of a repository on this machine
    Preview(preview::Args),
    /// Print a branch's URL once it is ready, for CI
    Url(url::Args),
    /// Look at branches and change them
    #[command(subcommand)]
    Branch(branch::Command),
    /// Fork a branch for a test run
    #[command(subcommand)]
    Fork(fork::Command),
    /// Make, list and revoke the API's tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Look at who did what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Replace the key that encrypts credentials at rest
    #[command(subcommand)]
    Secret(secret::Command),
    /// Check settings, servers, privileges and GitHub, and say how to mend what is wrong
    Doctor(Box<crate::config::ServeArgs>),
    /// Give the embedded PostgreSQL a file system on which clones share blocks
    #[command(subcommand)]
    Storage(storage::Command),
    /// Ask a running service whether it lives, for container health checks
    #[command(hide = true)]
    Health(serve::HealthArgs),
}

/// How a command ended. The numbers are promised to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The migrations, or the check, failed.
    Failed,
    /// The command line or a setting is wrong.
    Usage,
    /// The service or one of its servers failed.
    Service,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Service => 3,
        })
    }
}

/// Why a command could not do its work, with the exit code that says whose turn it is.
#[derive(Debug)]
pub struct Stop {
    pub exit: Exit,
    pub error: anyhow::Error,
}

impl Stop {
    /// The command line or a setting is wrong.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into() }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self { exit: Exit::Service, error: error.into() }
    }
}

/// Runs the process's command line.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        Command::Serve(args) => serve::run(*args).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args).await,
        Command::Preview(args) => preview::run(args).await,
        Command::Url(args) => url::run(args).await,
        Command::Branch(command) => branch::run(command).await,
        Command::Fork(command) => fork::run(command).await,
        Command::Token(command) => token::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Secret(command) => secret::run(command).await,
        Command::Doctor(args) => doctor::run(*args).await,
        Command::Storage(command) => storage::run(&command),
        Command::Health(args) => serve::health(args).await,
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(stop) => {
            eprintln!("error: {}", stop.error);
            for cause in stop.error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            stop.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
