//! `offshoot token`: who may use the API.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::client::{Client, ServiceArgs};
use super::print::table;
use super::{Exit, Stop};
use crate::domain::ids::RepositoryName;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, once
    Create(Create),
    /// List the tokens
    List(List),
    /// Revoke a token at once
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// What it is for
    name: String,
    /// Only for this repository
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<RepositoryName>,
    /// Only for reading
    #[arg(long)]
    read_only: bool,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Its number in the list
    id: i64,
    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) async fn run(command: Command) -> Result<Exit, Stop> {
    match command {
        Command::Create(args) => {
            let new = json!({ "name": args.name, "repository": args.repo, "read_only": args.read_only });
            let client = Client::new(&args.service)?;
            let token = client.send(Method::POST, "/api/v1/tokens", &[], Some(new)).await?.ok()?;
            if args.json {
                println!("{}", serde_json::to_string_pretty(&token)?);
            } else {
                println!("{}", token["token"].as_str().unwrap_or_default());
                eprintln!("This is shown once. Give it to CI as OFFSHOOT_API_TOKEN.");
            }
        }
        Command::List(args) => list(args).await?,
        Command::Revoke(args) => {
            let client = Client::new(&args.service)?;
            client.send(Method::DELETE, &format!("/api/v1/tokens/{}", args.id), &[], None).await?.ok()?;
            println!("revoked");
        }
    }
    Ok(Exit::Done)
}

async fn list(args: List) -> Result<(), Stop> {
    let tokens = Client::new(&args.service)?.get("/api/v1/tokens", &[]).await?.ok()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&tokens)?);
        return Ok(());
    }
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let row = |token: &serde_json::Value| {
        let repository = token["repository"].as_str().unwrap_or("all").to_owned();
        let may = if token["read_only"] == true { "read" } else { "write" };
        let state = if token["revoked_at"].is_null() { "valid" } else { "revoked" };
        [
            token["id"].to_string(),
            text(&token["name"]),
            repository,
            may.to_owned(),
            state.to_owned(),
            text(&token["last_used_at"]),
        ]
    };
    let rows: Vec<_> = tokens.as_array().into_iter().flatten().map(row).collect();
    println!("{}", table(["ID", "NAME", "REPOSITORY", "MAY", "STATE", "LAST USED"], &rows));
    Ok(())
}
