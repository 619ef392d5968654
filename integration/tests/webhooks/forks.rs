//! Forks of the repository: whose word counts, and for which commit.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use integration::github::{NewPullRequest, Role};
use integration::offshoot::BranchRef;

use crate::shop::{SHOP, column};
use crate::world::World;

const COMMAND: &str = "/offshoot approve";

/// A shop, its maintainer grace, and the pull request of somebody who may not write to it.
async fn visited(world: &World) -> Result<(BranchRef, String)> {
    world.open_shop()?;
    world.github.set_role(SHOP, "grace", Some(Role::Write))?;
    world.github.fork_repository(SHOP, "mallory")?;
    let sha = world.github.push("mallory/shop", "color", &[column("color")])?.to_string();
    let pull = NewPullRequest::new(SHOP, "main", "color").from_fork("mallory/shop").by("mallory");
    let branch = BranchRef::new(SHOP, world.github.open_pull_request(&pull)?);
    let answer = world.offshoot.branch_at(&branch, &sha, &[423]).await?;
    ensure!(answer.text("detail").contains(COMMAND), "{answer:?}");
    Ok((branch, sha))
}

/// Waits until GitHub's clock, which counts seconds, is past the last change of a pull request.
async fn a_second_later(world: &World, branch: &BranchRef) -> Result<()> {
    let pull = world.github.pull_request(SHOP, branch.number)?;
    let changed: DateTime<Utc> = pull["updated_at"].as_str().context("updated_at")?.parse()?;
    while Utc::now().timestamp() <= changed.timestamp() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn ensure_blocked(world: &World, branch: &BranchRef, sha: &str, why: &str) -> Result<()> {
    world.settle().await?;
    let answer = world.offshoot.branch_at(branch, sha, &[423]).await.with_context(|| why.to_owned())?;
    ensure!(answer.text("sha") == sha, "{why}: {answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_maintainer_s_comment_lets_the_commit_run_that_they_saw() -> Result<()> {
    let world = World::start().await?;
    let (branch, first) = visited(&world).await?;
    world.github.set_role(SHOP, "trudy", Some(Role::Triage))?;
    a_second_later(&world, &branch).await?;
    let comment = |author: &str, text: &str| world.github.comment(SHOP, branch.number, author, text);
    comment("mallory", COMMAND)?;
    ensure_blocked(&world, &branch, &first, "its author's own word").await?;
    comment("trudy", COMMAND)?;
    ensure_blocked(&world, &branch, &first, "the word of someone who may only triage").await?;
    let edited = comment("grace", "Somebody should say `/offshoot approve` here.")?;
    world.github.edit_comment(SHOP, edited, "grace", COMMAND)?;
    ensure_blocked(&world, &branch, &first, "an edited comment").await?;

    comment("grace", &format!("{COMMAND}\nThe migration is harmless."))?;
    world.offshoot.ready(&branch, &first).await?;
    world.settle().await?;
    let report = world.the_comment(&branch)?;
    ensure!(report.contains("`grace` let"), "nothing of who approved: {report}");

    let second = world.push(&branch, &[column("size")])?;
    ensure_blocked(&world, &branch, &second, "a push after the approval").await?;
    world.finish().await
}

/// A word that was given before a push and is heard of after it is not about what was pushed.
#[tokio::test]
async fn a_push_that_overtakes_a_comment_is_not_approved_by_it() -> Result<()> {
    let world = World::start().await?;
    let (branch, _) = visited(&world).await?;
    a_second_later(&world, &branch).await?;
    world.github.hold_deliveries();
    world.github.comment(SHOP, branch.number, "grace", COMMAND)?;
    let pushed = world.push(&branch, &[column("size")])?;
    world.github.release_arranged(|mut guids| {
        guids.reverse();
        guids
    })?;
    ensure_blocked(&world, &branch, &pushed, "a push heard of before the comment").await?;

    // A comment that names the whole commit is about no other, whenever it comes.
    world.github.comment(SHOP, branch.number, "grace", &format!("{COMMAND} {}", &pushed[..12]))?;
    ensure_blocked(&world, &branch, &pushed, "the commit's first digits").await?;
    world.github.comment(SHOP, branch.number, "grace", &format!("{COMMAND} {pushed}"))?;
    world.offshoot.ready(&branch, &pushed).await?;
    world.finish().await
}
