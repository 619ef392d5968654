//! Old deliveries that are sent once more, by GitHub's button or by whoever kept one: harmless.

use anyhow::{Context, Result, ensure};
use integration::github::{Delivery, signature};
use integration::offshoot::BranchRef;

use crate::shop::{SHOP, column};
use crate::world::World;

const SECRET: &str = "it is a secret to everybody";

/// The delivery of what happened to the pull request, the first of its kind.
fn told(world: &World, action: &str) -> Result<Delivery> {
    let mut deliveries = world.github.deliveries().into_iter();
    let told = deliveries.find(|one| one.event == "pull_request" && one.action.as_deref() == Some(action));
    told.with_context(|| format!("a delivery of {action}"))
}

/// Sends a delivery's body again as if it were new: rightly signed, under another number.
async fn replay(world: &World, delivery: &Delivery, number: &str) -> Result<()> {
    let request = reqwest::Client::new()
        .post(world.offshoot.webhook_url())
        .header("content-type", "application/json")
        .header("x-github-delivery", number)
        .header("x-github-event", &delivery.event)
        .header("x-hub-signature-256", signature(SECRET, &delivery.body))
        .body(delivery.body.clone());
    let status = request.send().await?.status();
    ensure!(status == 202, "a replay was answered {status}");
    Ok(())
}

async fn ensure_unharmed(world: &World, branch: &BranchRef, sha: &str, url: &str) -> Result<()> {
    world.settle().await?;
    let answer = world.offshoot.branch(branch).await?;
    ensure!(answer.status == 200 && answer.text("head_sha") == sha, "{answer:?}");
    ensure!(answer.database_url()? == url, "it is another database now");
    Ok(())
}

#[tokio::test]
async fn an_old_delivery_takes_nothing_away_and_brings_nothing_back() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, first) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &first).await?;
    let second = world.push(&branch, &[column("size")])?;
    world.offshoot.ready(&branch, &second).await?;
    world.github.close(SHOP, branch.number)?;
    world.offshoot.branch_at(&branch, &second, &[410]).await?;
    world.github.reopen(SHOP, branch.number)?;
    world.offshoot.ready(&branch, &second).await?;
    let third = world.push(&branch, &[column("weight")])?;
    let ready = world.offshoot.ready(&branch, &third).await?;
    let url = ready.database_url()?.to_owned();
    world.settle().await?;

    for (at, action) in ["opened", "synchronize", "closed", "reopened"].into_iter().enumerate() {
        let delivery = told(&world, action)?;
        world.github.redeliver(&delivery.guid)?;
        replay(&world, &delivery, &format!("replayed-{at}")).await?;
        ensure_unharmed(&world, &branch, &third, &url).await.with_context(|| format!("an old {action}"))?;
    }
    world.github.close(SHOP, branch.number)?;
    world.offshoot.branch_at(&branch, &third, &[410]).await?;
    replay(&world, &told(&world, "reopened")?, "replayed-after-the-end").await?;
    world.settle().await?;
    ensure!(world.offshoot.branch(&branch).await?.status == 410, "an old reopening brought it back");
    world.finish().await
}
