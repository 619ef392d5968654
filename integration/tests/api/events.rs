//! The stream of a page that is open.

use anyhow::{Context, Result, ensure};
use integration::offshoot::API_TOKEN;
use serde_json::Value;

use crate::shop::column;
use crate::world::{LIMIT, World};

/// The documents in what a stream has said so far.
fn documents(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

#[tokio::test]
async fn changes_of_a_branch_are_streamed_without_urls() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let url = format!("{}{}/events", world.offshoot.url(), branch.path());
    let mut stream = reqwest::Client::new().get(url).bearer_auth(API_TOKEN).send().await?;
    ensure!(stream.headers()["content-type"] == "text/event-stream", "{stream:?}");
    let pushed = world.push(&branch, &[column("size")])?;
    let mut text = String::new();
    let arrives = async {
        loop {
            let chunk = stream.chunk().await?.context("the stream ended")?;
            text.push_str(std::str::from_utf8(&chunk)?);
            if documents(&text).iter().any(|one| one["head_sha"] == *pushed && one["state"] == "ready") {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(LIMIT, arrives).await.context("the push was never streamed")??;
    let first = documents(&text).into_iter().next().context("a first document")?;
    ensure!(first["head_sha"] == *sha, "the stream begins with {first}");
    ensure!(!text.contains("postgres://"), "the stream holds a URL");
    drop(stream);
    world.finish().await
}
