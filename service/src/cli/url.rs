//! `offshoot url`: what a CI job calls for its `DATABASE_URL`.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{BranchArgs, Client, ServiceArgs};
use super::{Exit, Stop};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    branch: BranchArgs,

    /// The commit that the branch must be ready for; in GitHub Actions `github.event.pull_request.head.sha`
    #[arg(long, value_name = "COMMIT")]
    sha: Option<String>,

    /// How long to wait for it
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration, value_name = "DURATION")]
    wait: Duration,

    /// The URL of a role that can only read
    #[arg(long)]
    read_only: bool,

    /// Take the database that stands, whatever it holds: for a look at a branch that failed
    #[arg(long, conflicts_with = "sha")]
    any_state: bool,

    /// Print the whole branch document
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    service: ServiceArgs,
}

/// One long poll; shorter than what load balancers allow.
const POLL: Duration = Duration::from_secs(50);
/// Between two tries while the service is being restarted.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(args: Args) -> Result<Exit, Stop> {
    let client = Client::new(&args.service)?;
    let deadline = Instant::now() + args.wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut query =
            vec![("database", args.branch.database.clone()), ("wait", left.min(POLL).as_secs().to_string())];
        query.extend(args.sha.clone().map(|sha| ("sha", sha)));
        query.extend(args.any_state.then(|| ("any_state", "true".to_owned())));
        let answered = client.get(&args.branch.path(), &query).await;
        let over = Instant::now() >= deadline;
        match answered {
            Ok(answer) => match answer.status {
                StatusCode::OK => return print(&args, &answer.body),
                // Not yet there, not yet ready, or the service is starting.
                status if is_worth_waiting(status) && !over => {}
                StatusCode::ACCEPTED => return Err(too_late(&args, &answer.body)),
                // Nothing is known of its migrations, so they did not fail; and the command was not wrong.
                status if is_worth_waiting(status) => return Err(never_came(&args, &answer.problem())),
                StatusCode::CONFLICT => return Err(failed(&answer.body, answer.problem())),
                _ => return answer.ok().map(|_| Exit::Done),
            },
            Err(error) if over => return Err(error.into()),
            Err(_) => {}
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
    }
}

pub(super) fn is_worth_waiting(status: StatusCode) -> bool {
    let passing =
        [StatusCode::ACCEPTED, StatusCode::NOT_FOUND, StatusCode::LOCKED, StatusCode::TOO_MANY_REQUESTS];
    passing.contains(&status) || status.is_server_error()
}

fn print(args: &Args, document: &Value) -> Result<Exit, Stop> {
    let name = if args.read_only { "read_only_url" } else { "database_url" };
    if args.json {
        println!("{}", serde_json::to_string_pretty(document)?);
    } else {
        let url = document.get(name).and_then(Value::as_str);
        println!(
            "{}",
            url.ok_or_else(|| anyhow!("the service answered without a `{name}`; is it an older version?"))?
        );
    }
    Ok(Exit::Done)
}

fn too_late(args: &Args, document: &Value) -> Stop {
    let state = document.get("state").and_then(Value::as_str).unwrap_or("unknown");
    let head = document.get("head_sha").and_then(Value::as_str).unwrap_or("an unknown commit");
    let wanted = args.sha.as_deref().map(|sha| format!(" for {sha}")).unwrap_or_default();
    let waited = humantime::format_duration(args.wait);
    let error = anyhow!(
        "the branch is not ready{wanted} after {waited}: it is {state} at {head}. Look at its check, or wait longer with --wait."
    );
    Stop { exit: Exit::Service, error }
}

fn never_came(args: &Args, problem: &str) -> Stop {
    let waited = humantime::format_duration(args.wait);
    Stop { exit: Exit::Service, error: anyhow!("there is no branch after {waited}: {problem}") }
}

/// The failing migration with its place and statement, as the pull request shows it.
pub(super) fn failed(problem: &Value, text: String) -> Stop {
    let part = |name: &str| problem.get(name).and_then(Value::as_str);
    let mut text = text;
    for (label, part) in [("statement", part("statement")), ("hint", part("hint"))] {
        if let Some(part) = part {
            text.push_str(&format!("\n  {label}: {}", part.replace('\n', "\n    ")));
        }
    }
    Stop { exit: Exit::Failed, error: anyhow!(text) }
}
