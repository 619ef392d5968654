//! `offshoot fork`: a database of its own for each test run.

use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Answer, BranchArgs, Client, ServiceArgs};
use super::print::table;
use super::{Exit, Stop, url};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a fork of a branch once it is ready, and print its URL
    Create(Create),
    /// List the forks of a branch
    List(List),
    /// End a fork before its time
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    branch: BranchArgs,
    /// The commit that the branch must be ready for; in GitHub Actions `github.event.pull_request.head.sha`
    #[arg(long, value_name = "COMMIT")]
    sha: Option<String>,
    /// For how long it is needed [default: an hour]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// How long to wait for the branch
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration, value_name = "DURATION")]
    wait: Duration,
    /// Print the fork with its id and its end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    branch: BranchArgs,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// As `offshoot fork create --json` and `list` say it
    id: String,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Between two tries while the branch is not ready, or the service is being restarted.
const PAUSE: Duration = Duration::from_secs(1);
/// The type of the problem that only waiting helps with.
const UNREADY: &str = "/problems/branch-unready";

pub(super) async fn run(command: Command) -> Result<Exit, Stop> {
    match command {
        Command::Create(args) => create(args).await,
        Command::List(args) => list(args).await,
        Command::Delete(args) => {
            let client = Client::new(&args.service)?;
            client.send(Method::DELETE, &format!("/api/v1/forks/{}", args.id), &[], None).await?.ok()?;
            println!("deleted");
            Ok(Exit::Done)
        }
    }
}

async fn create(args: Create) -> Result<Exit, Stop> {
    let client = Client::new(&args.service)?;
    let path = format!("{}/forks", args.branch.path());
    let mut query = vec![("database", args.branch.database.clone())];
    query.extend(args.sha.clone().map(|sha| ("sha", sha)));
    let new = args.ttl.as_ref().map_or_else(|| json!({}), |ttl| json!({ "ttl": ttl }));
    let deadline = Instant::now() + args.wait;
    loop {
        let answered = client.send(Method::POST, &path, &query, Some(new.clone())).await;
        let over = Instant::now() >= deadline;
        match answered {
            Ok(answer) if answer.status == StatusCode::CREATED => return print(&args, &answer.body),
            Ok(answer) if is_worth_waiting(&answer) && !over => {}
            Ok(answer) if is_worth_waiting(&answer) => {
                return Err(Stop { exit: Exit::Service, error: anyhow!(answer.problem()) });
            }
            Ok(answer) if answer.status == StatusCode::CONFLICT => {
                return Err(url::failed(&answer.body, answer.problem()));
            }
            Ok(answer) => return answer.ok().map(|_| Exit::Done),
            Err(error) if over => return Err(error.into()),
            Err(_) => {}
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
    }
}

fn is_worth_waiting(answer: &Answer) -> bool {
    url::is_worth_waiting(answer.status) || answer.body["type"] == UNREADY
}

fn print(args: &Create, fork: &Value) -> Result<Exit, Stop> {
    let text = |name: &str| fork[name].as_str().unwrap_or_default();
    if args.json {
        println!("{}", serde_json::to_string_pretty(fork)?);
    } else {
        println!("{}", text("database_url"));
        eprintln!("fork {} until {}", text("id"), text("expires_at"));
    }
    Ok(Exit::Done)
}

async fn list(args: List) -> Result<Exit, Stop> {
    let client = Client::new(&args.service)?;
    let query = [("database", args.branch.database.clone())];
    let list = client.get(&format!("{}/forks", args.branch.path()), &query).await?.ok()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(Exit::Done);
    }
    let row = |fork: &Value| {
        let text = |name: &str| fork[name].as_str().unwrap_or("-").to_owned();
        let sha: String = text("sha").chars().take(7).collect();
        [text("id"), sha, text("handed_out_at"), text("expires_at")]
    };
    let rows: Vec<_> = list["forks"].as_array().into_iter().flatten().map(row).collect();
    println!("{}", table(["ID", "COMMIT", "SINCE", "UNTIL"], &rows));
    Ok(Exit::Done)
}
