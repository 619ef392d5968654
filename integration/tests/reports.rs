//! What GitHub is told, whatever GitHub does meanwhile, and what is asked of it.

mod budgets;
mod outages;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::git::Change;
use integration::github::{Fault, Matcher, NewPullRequest};
use integration::offshoot::{BranchRef, Credentials};

use crate::shop::{SHOP, column, migration};
use crate::world::World;

const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

/// A service with a token in place of an App.
async fn start_with_a_token() -> Result<World> {
    World::start_with(|options| options.credentials = Credentials::Token(TOKEN.to_owned())).await
}

/// The same, and a pull request that it has judged.
async fn with_a_token() -> Result<(World, BranchRef, String)> {
    let world = start_with_a_token().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    Ok((world, branch, sha))
}

/// A token may not write check runs: the verdict is a commit status.
#[tokio::test]
async fn with_a_token_the_verdict_is_a_commit_status() -> Result<()> {
    let (world, branch, sha) = with_a_token().await?;
    let statuses = world.github.statuses(SHOP, sha.parse()?)?;
    let last = statuses.last().context("no status")?;
    ensure!(last.state == "success" && last.context == "offshoot", "{statuses:?}");
    ensure!(world.github.check_runs(SHOP, sha.parse()?)?.is_empty(), "a check run");
    world.the_comment(&branch)?;

    let sha = world.push(&branch, &[migration("20260202000000_bad", "select nothing_here;\n")])?;
    world.offshoot.branch_at(&branch, &sha, &[409]).await?;
    world.settle().await?;
    let statuses = world.github.statuses(SHOP, sha.parse()?)?;
    let last = statuses.last().context("no status")?;
    ensure!(last.state == "failure", "{statuses:?}");
    let comment = world.the_comment(&branch)?;
    ensure!(comment.contains("nothing_here"), "{comment}");
    world.finish().await
}

/// What was told is remembered; where the memory is lost, GitHub is looked at before anything is said twice.
#[tokio::test]
async fn a_lost_memory_says_nothing_twice() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    let runs = world.github.check_runs(SHOP, sha.parse()?)?.len();
    world.offshoot.administrator().await?.batch_execute("truncate comments; truncate checks").await?;
    let deliveries = world.github.deliveries();
    let opened =
        deliveries.iter().find(|one| one.action.as_deref() == Some("opened")).context("the opening")?;
    world.github.redeliver(&opened.guid)?;
    world.github.edit_title(SHOP, branch.number, "Another title")?;
    world.settle().await?;
    ensure!(world.github.check_runs(SHOP, sha.parse()?)?.len() == runs, "another check run");
    world.the_comment(&branch)?;

    // A comment that somebody deletes is said again, once.
    let comments = world.github.comments(SHOP, branch.number)?;
    world.github.delete_comment(SHOP, comments.first().context("a comment")?.id, "acme")?;
    world.settle().await?;
    world.the_comment(&branch)?;
    world.finish().await
}

/// A commit is not judged by the one before, however long it takes to be read.
#[tokio::test]
async fn a_push_that_was_not_looked_at_has_no_verdict() -> Result<()> {
    let (world, branch, _) = with_a_token().await?;
    let reading = Matcher::new(Method::GET, "/repos/**");
    world.github.fail(reading, Fault::Latency(Duration::from_millis(1_500)), None);
    let sha = world.push(&branch, &[migration("20260202000000_bad", "select nothing_here;\n")])?;
    world.offshoot.branch_at(&branch, &sha, &[409]).await?;
    world.github.clear_faults();
    world.settle().await?;
    let statuses = world.github.statuses(SHOP, sha.parse()?)?;
    let told: Vec<_> = statuses.iter().map(|status| status.state.as_str()).collect();
    ensure!(told.len() > 1, "it was told before it was read: {told:?}");
    ensure!(told.last() == Some(&"failure") && !told.contains(&"success"), "{told:?}");
    world.finish().await
}

/// The check of a commit is not what it was once something new is known of it.
#[tokio::test]
async fn a_pull_request_that_is_reopened_is_judged_by_the_configuration_of_then() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    world.github.close(SHOP, branch.number)?;
    world.settle().await?;
    world.github.push(SHOP, "main", &[Change::write(".offshoot.toml", "[[databases]]\n")])?;
    world.settle().await?;
    world.github.reopen(SHOP, branch.number)?;
    world.settle().await?;
    let runs = world.github.check_runs(SHOP, sha.parse()?)?;
    let last = runs.last().context("a check run")?;
    ensure!(last.conclusion.as_deref() == Some("failure"), "{last:?}");
    world.finish().await
}

/// A database that failed and was removed is asked for again: until it is there, the other one's verdict is not the commit's.
#[tokio::test]
async fn what_is_asked_for_again_is_waited_for() -> Result<()> {
    let world = start_with_a_token().await?;
    world.open_shop_with(&[
        Change::write(
            ".offshoot.toml",
            "[[database]]\nname = \"main\"\nmigrations = \"prisma/migrations\"\n[[database]]\nname = \"billing\"\nmigrations = \"billing/migrations\"\n",
        ),
        Change::write("billing/migrations/1_init/migration.sql", "create table bills (id int);\n"),
    ])?;
    let bad = Change::write("billing/migrations/2_bad/migration.sql", "select nothing_here;\n");
    let (branch, sha) = world.propose("color", &[column("color"), bad])?;
    world.settle().await?;
    let billing = format!("{}?database=billing", branch.path());
    let was = world.offshoot.call(Method::GET, &billing, None).await?;
    ensure!(was.status == 409, "{was:?}");
    let removed = world.offshoot.call(Method::DELETE, &billing, None).await?;
    ensure!(removed.status == 202, "{removed:?}");
    world.settle().await?;
    ensure!(world.offshoot.call(Method::GET, &billing, None).await?.status == 410, "it is still there");

    let reading = Matcher::new(Method::GET, "/repos/**");
    world.github.fail(reading, Fault::Latency(Duration::from_millis(1_500)), None);
    let asked = world.offshoot.call(Method::POST, &branch.path(), None).await?;
    ensure!(asked.status == 202, "{asked:?}");
    world.settle().await?;
    let statuses = world.github.statuses(SHOP, sha.parse()?)?;
    let told: Vec<_> = statuses.iter().map(|status| status.state.as_str()).collect();
    ensure!(told.last() == Some(&"failure") && !told.contains(&"success"), "{statuses:#?}");
    ensure!(world.offshoot.branch_at(&branch, &sha, &[200]).await?.status == 200, "main");
    world.finish().await
}

/// Two pull requests may have the same head, and a commit has one status.
#[tokio::test]
async fn closing_one_of_two_with_the_same_head_leaves_the_other_s_verdict() -> Result<()> {
    let (world, branch, sha) = with_a_token().await?;
    world.github.push(SHOP, "next", &[])?;
    let other = world.github.open_pull_request(&NewPullRequest::new(SHOP, "next", "color"))?;
    world.settle().await?;
    world.github.close(SHOP, other)?;
    world.settle().await?;
    let statuses = world.github.statuses(SHOP, sha.parse()?)?;
    ensure!(statuses.last().is_some_and(|last| last.state == "success"), "{statuses:?}");
    world.github.close(SHOP, branch.number)?;
    world.finish().await
}
