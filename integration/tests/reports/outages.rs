//! An outage of GitHub delays a report, and neither loses nor doubles one, and no database waits for it.

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::github::{Fault, Matcher};

use crate::shop::{SHOP, column};
use crate::world::World;

const TROUBLE: [&str; 2] = ["the job failed; it is tried again", "retry"];

async fn troubled() -> Result<World> {
    let world =
        World::start_with(|options| options.expected_trouble.extend(TROUBLE.map(str::to_owned))).await?;
    world.open_shop()?;
    Ok(world)
}

fn writes() -> [Matcher; 4] {
    [
        Matcher::new(Method::POST, "/repos/*/*/check-runs"),
        Matcher::new(Method::PATCH, "/repos/*/*/check-runs/*"),
        Matcher::new(Method::POST, "/repos/*/*/issues/*/comments"),
        Matcher::new(Method::PATCH, "/repos/*/*/issues/comments/*"),
    ]
}

/// One pull request while reports meet a fault: its database is ready meanwhile, the report comes afterwards, once.
async fn survives(fault: Fault, times: Option<usize>) -> Result<()> {
    let world = troubled().await?;
    for matcher in writes() {
        world.github.fail(matcher, fault.clone(), times);
    }
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let said = world.github.comments(SHOP, branch.number)?;
    ensure!(said.is_empty(), "{fault:?}: a comment in spite of the outage");
    if times.is_none() {
        world.github.clear_faults();
    }
    world.settle().await.with_context(|| format!("{fault:?}"))?;
    world.the_comment(&branch).with_context(|| format!("{fault:?}"))?;
    let runs = world.github.check_runs(SHOP, sha.parse()?)?;
    ensure!(runs.len() == 1 && runs[0].conclusion.as_deref() == Some("success"), "{fault:?}: {runs:?}");
    world.finish().await
}

#[tokio::test]
async fn an_internal_error_delays_the_report() -> Result<()> {
    survives(Fault::Status(500), None).await
}

#[tokio::test]
async fn a_closed_connection_delays_the_report() -> Result<()> {
    survives(Fault::Close, None).await
}

#[tokio::test]
async fn an_exhausted_rate_limit_delays_the_report() -> Result<()> {
    survives(Fault::PrimaryRateLimit { reset_in: 2 }, Some(1)).await
}

#[tokio::test]
async fn a_request_that_hangs_delays_the_report() -> Result<()> {
    survives(Fault::Hang, Some(1)).await
}

/// The comment and the check run were made, only nobody heard of it.
#[tokio::test]
async fn a_lost_answer_doubles_nothing() -> Result<()> {
    survives_unheard(Matcher::new(Method::POST, "/repos/*/*/issues/*/comments")).await?;
    survives_unheard(Matcher::new(Method::POST, "/repos/*/*/check-runs")).await
}

async fn survives_unheard(matcher: Matcher) -> Result<()> {
    let world = troubled().await?;
    let place = matcher.path.clone();
    world.github.fail(matcher, Fault::LoseAnswer, Some(1));
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await.context(place.clone())?;
    world.the_comment(&branch).context(place.clone())?;
    let runs = world.github.check_runs(SHOP, sha.parse()?)?;
    ensure!(runs.len() == 1, "{place}: {runs:?}");
    ensure!(runs[0].conclusion.as_deref() == Some("success"), "{place}: {runs:?}");
    world.finish().await
}
