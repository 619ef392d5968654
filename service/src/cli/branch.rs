//! `offshoot branch`: what an operator or a reviewer does from a shell.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{BranchArgs, Client, ServiceArgs};
use super::print::table;
use super::{Exit, Stop};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the branches
    List(List),
    /// Show one branch
    Show(One),
    /// Rebuild it from its layer; the URL stays, data written to it is gone
    Reset(One),
    /// Remove it although its pull request is open
    Delete(One),
    /// Keep it from its expiry
    Protect(Protect),
    /// Move its expiry
    Extend(Extend),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this repository's
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<String>,
    /// Only those in this state
    #[arg(long)]
    state: Option<String>,
    /// Which page, of 50 branches
    #[arg(long, default_value_t = 1)]
    page: u32,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    branch: BranchArgs,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct Protect {
    #[command(flatten)]
    one: One,
    /// End the protection
    #[arg(long)]
    off: bool,
}

#[derive(Debug, Args)]
pub(super) struct Extend {
    #[command(flatten)]
    one: One,
    /// To so long from now, as `3d`
    #[arg(long, value_name = "DURATION")]
    by: String,
}

pub(super) async fn run(command: Command) -> Result<Exit, Stop> {
    match command {
        Command::List(args) => list(args).await,
        Command::Show(args) => change(&args, Method::GET, "", None).await,
        Command::Reset(args) => change(&args, Method::POST, "/reset", None).await,
        Command::Delete(args) => change(&args, Method::DELETE, "", None).await,
        Command::Protect(args) => {
            let wish = json!({ "protected": !args.off });
            change(&args.one, Method::PATCH, "", Some(wish)).await
        }
        Command::Extend(args) => {
            change(&args.one, Method::PATCH, "", Some(json!({ "extend": args.by }))).await
        }
    }
}

async fn list(args: List) -> Result<Exit, Stop> {
    let mut query = vec![("page", args.page.to_string())];
    query.extend(args.repo.map(|repo| ("repository", repo)));
    query.extend(args.state.map(|state| ("state", state)));
    let list = Client::new(&args.service)?.get("/api/v1/branches", &query).await?.ok()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(Exit::Done);
    }
    let branches = list["branches"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = branches.iter().map(row).collect();
    println!("{}", table(["REPOSITORY", "PR", "DATABASE", "STATE", "COMMIT", "NAME"], &rows));
    if list["pages"].as_u64() > Some(u64::from(args.page)) {
        println!("page {} of {}; --page {} shows the next", args.page, list["pages"], args.page + 1);
    }
    Ok(Exit::Done)
}

fn row(branch: &Value) -> [String; 6] {
    let text = |name: &str| branch[name].as_str().unwrap_or_default().to_owned();
    let sha: String = text("head_sha").chars().take(7).collect();
    let number = branch["pull_request"].to_string();
    [text("repository"), number, text("database"), text("state"), sha, text("database_name")]
}

async fn change(args: &One, method: Method, suffix: &str, body: Option<Value>) -> Result<Exit, Stop> {
    let client = Client::new(&args.service)?;
    let path = format!("{}{suffix}", args.branch.path());
    let query = [("database", args.branch.database.clone())];
    let document = client.send(method, &path, &query, body).await?.ok()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else if document.is_null() {
        println!("accepted");
    } else {
        show(&document);
    }
    Ok(Exit::Done)
}

fn show(document: &Value) {
    let fields = [
        "repository",
        "pull_request",
        "database",
        "state",
        "reason",
        "queue_place",
        "generation",
        "head_sha",
        "base_ref",
        "database_name",
        "protected",
        "created_at",
        "ready_at",
        "expires_at",
        "active_at",
        "dashboard_url",
    ];
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows: Vec<_> = fields
        .into_iter()
        .filter(|name| !document[*name].is_null())
        .map(|name| [name.to_owned(), shown(&document[name])])
        .collect();
    println!("{}", table(["FIELD", "VALUE"], &rows));
}
