//! `offshoot audit`: who did what.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, ServiceArgs};
use super::print::table;
use super::{Exit, Stop};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List who did what, the last first
    List(List),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this action, as `branch.reset`
    #[arg(long)]
    action: Option<String>,
    /// Only what begins with this: `acme/shop`, `acme/shop#42`
    #[arg(long)]
    subject: Option<String>,
    /// Only this actor, as the list shows it
    #[arg(long)]
    actor: Option<String>,
    /// Which page, of 50 entries each
    #[arg(long, default_value_t = 1)]
    page: u32,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) async fn run(command: Command) -> Result<Exit, Stop> {
    let Command::List(args) = command;
    let mut query = vec![("page", args.page.to_string())];
    for (name, value) in [("action", &args.action), ("subject", &args.subject), ("actor", &args.actor)] {
        query.extend(value.clone().map(|value| (name, value)));
    }
    let list = Client::new(&args.service)?.get("/api/v1/audit", &query).await?.ok()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = list["entries"].as_array().into_iter().flatten().map(row).collect();
    println!("{}", table(["AT", "ACTOR", "VIA", "ACTION", "SUBJECT", "DETAILS"], &rows));
    if list["pages"].as_u64() > Some(u64::from(args.page)) {
        eprintln!("There are {} entries; --page {} shows earlier ones.", list["total"], args.page + 1);
    }
    Ok(Exit::Done)
}

fn row(entry: &Value) -> [String; 6] {
    // Names and logins were chosen by others: nothing of theirs may steer a terminal.
    let text = |name: &str| {
        let text = entry[name].as_str().unwrap_or("-");
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    };
    let details = match entry["details"].as_object() {
        Some(details) if !details.is_empty() => entry["details"].to_string(),
        _ => String::new(),
    };
    [text("at"), text("actor"), text("via"), text("action"), text("subject"), details]
}
