//! `offshoot secret`: the key to what is kept at rest, replaced while the service runs.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::json;

use super::print::table;
use super::{Exit, Stop};
use crate::config::DatabaseArgs;
use crate::domain::audit::{Action, Actor, Entry};
use crate::store::sealed::{self, Progress};
use crate::store::{Store, audit};
use crate::telemetry;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Encrypt anew, under OFFSHOOT_SECRET_KEY, what is kept under OFFSHOOT_SECRET_KEY_PREVIOUS. Can be cut off and repeated
    Rotate(Rotate),
    /// Count what is kept under OFFSHOOT_SECRET_KEY and what is not yet
    Status(Status),
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    databases: DatabaseArgs,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    databases: DatabaseArgs,
}

pub(super) async fn run(command: Command) -> Result<Exit, Stop> {
    telemetry::log(true);
    match command {
        Command::Rotate(args) => rotate(&args.databases).await,
        Command::Status(args) => status(&args).await,
    }
}

async fn rotate(databases: &DatabaseArgs) -> Result<Exit, Stop> {
    let store = store(databases)?;
    let mut client = store.client().await?;
    sealed::check_key(&client, store.vault()).await?;
    let replaced = sealed::rotate(&client, store.vault()).await?;
    let tx = Store::begin(&mut client).await?;
    let entry = Entry::new(Actor::Operator, Action::KeyRotated, store.vault().key_id().to_string())
        .with(json!({ "replaced": replaced }));
    audit::record(&tx, &entry).await?;
    Store::commit(tx).await?;
    println!("{replaced} credentials are now under key {}", store.vault().key_id());
    Ok(Exit::Done)
}

/// Fails while something is left, so that a script may ask before it drops the earlier key.
async fn status(args: &Status) -> Result<Exit, Stop> {
    let store = store(&args.databases)?;
    let client = store.client().await?;
    let columns = sealed::progress(&client, store.vault()).await?;
    if args.json {
        let column = |found: &Progress| json!({ "column": found.column, "current": found.current, "total": found.total });
        let columns: Vec<_> = columns.iter().map(column).collect();
        let document = json!({ "key": store.vault().key_id().to_string(), "columns": columns });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        let row =
            |found: &Progress| [found.column.to_owned(), found.current.to_string(), found.total.to_string()];
        println!("key {}", store.vault().key_id());
        println!("{}", table(["COLUMN", "UNDER IT", "ALL"], &columns.iter().map(row).collect::<Vec<_>>()));
    }
    let is_complete = columns.iter().all(|found| found.current == found.total);
    Ok(if is_complete { Exit::Done } else { Exit::Failed })
}

fn store(databases: &DatabaseArgs) -> Result<Store, Stop> {
    databases.check().map_err(Stop::usage)?;
    let Some(url) = &databases.database_url else {
        return Err(Stop::usage(anyhow!(
            "OFFSHOOT_DATABASE_URL is not set; where PostgreSQL is the embedded one, the service itself encrypts anew \
             when it starts with OFFSHOOT_SECRET_KEY_PREVIOUS"
        )));
    };
    let vault = databases.vault().map_err(Stop::usage)?;
    Ok(Store::connect(url, vault)?)
}
