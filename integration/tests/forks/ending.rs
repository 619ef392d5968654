//! A fork's end: by a call, by its time, with its branch; and a pool's, when the branch moves on.

use anyhow::{Result, ensure};
use http::Method;
use integration::offshoot::{Answer, BranchRef, connect};
use serde_json::json;

use super::{database_of, delete, fork, forked, items, list, seeded};
use crate::api::ensure_problem;
use crate::shop::{SHOP, column};
use crate::world::World;

async fn listed(world: &World, branch: &BranchRef) -> Result<Vec<String>> {
    let forks = list(world, branch).await?;
    Ok(forks.iter().map(|fork| fork["id"].as_str().unwrap_or_default().to_owned()).collect())
}

async fn ensure_gone(world: &World, fork: &Answer) -> Result<()> {
    let name = database_of(fork)?;
    ensure!(connect(fork.database_url()?).await.is_err(), "{name} still takes sessions");
    world
        .until(&format!(
            "select not exists (select from pg_database where datname = '{name}') \
             and not exists (select from pg_roles where rolname = '{name}')"
        ))
        .await
}

#[tokio::test]
async fn a_fork_ends_by_a_call_or_by_its_time() -> Result<()> {
    let world = World::start().await?;
    let (branch, _) = seeded(&world).await?;
    let path = format!("{}/forks", branch.path());
    let short = world.offshoot.call(Method::POST, &path, Some(&json!({ "ttl": "1s" }))).await?;
    let (called, kept) = (forked(&world, &branch).await?, forked(&world, &branch).await?);
    // A session does not hold it.
    let session = connect(called.database_url()?).await?;
    ensure!(items(&session).await?.len() == 2, "a live fork");
    world.until(&format!("select now() > '{}'", short.text("expires_at"))).await?;
    ensure!(delete(&world, &called).await?.status == 204, "deleted");
    ensure_problem(&delete(&world, &called).await?, 404, "not-found")?;
    world.settle().await?;
    for gone in [&called, &short] {
        ensure_gone(&world, gone).await?;
    }
    ensure!(session.batch_execute("select 1").await.is_err(), "a session in a dropped fork");
    ensure!(listed(&world, &branch).await? == [kept.text("id")], "{:?}", listed(&world, &branch).await?);
    connect(kept.database_url()?).await?;
    world.finish().await
}

#[tokio::test]
async fn a_close_leaves_nothing_of_a_branch_s_forks() -> Result<()> {
    let world = World::start().await?;
    let (branch, _) = seeded(&world).await?;
    let fork = forked(&world, &branch).await?;
    let session = connect(fork.database_url()?).await?;
    session.batch_execute("create table held (id int); begin; insert into held values (1)").await?;
    world.github.close(SHOP, branch.number)?;
    world.settle().await?;
    ensure_gone(&world, &fork).await?;
    let left = "select not exists (select from snapshots) and not exists (select from forks where state <> 'dropped') \
                and not exists (select from pg_database where datname like 'offshoot_fork%') \
                and not exists (select from forks where password is not null)";
    world.until(left).await?;
    ensure_problem(&delete(&world, &fork).await?, 404, "not-found")?;
    world.finish().await
}

#[tokio::test]
async fn after_a_push_forks_are_of_the_new_commit_and_old_ones_stay_until_their_end() -> Result<()> {
    let world = World::start().await?;
    let (branch, first) = seeded(&world).await?;
    let old = forked(&world, &branch).await?;
    world.settle().await?;
    let second = world.push(&branch, &[column("size")])?;
    world.offshoot.ready(&branch, &second).await?;
    let new = fork(&world, &branch, &format!("?sha={second}")).await?;
    ensure!(new.status == 201, "{new:?}");
    ensure_problem(&fork(&world, &branch, &format!("?sha={first}")).await?, 409, "branch-unready")?;
    let has_size = async |fork: &Answer| -> Result<bool> {
        let client = connect(fork.database_url()?).await?;
        Ok(client.batch_execute("select size from items").await.is_ok())
    };
    ensure!(has_size(&new).await? && !has_size(&old).await?, "a fork of another commit");
    world.settle().await?;
    let drained = format!("select not exists (select from forks where state = 'spare' and sha = '{first}')");
    world.until(&drained).await?;
    // What the old forks were made from goes with the last of them.
    world.until("select count(*) = 2 from snapshots").await?;
    ensure!(delete(&world, &old).await?.status == 204, "deleted");
    world.settle().await?;
    world.until("select count(*) = 1 from snapshots").await?;

    // A rebuild of the same files: the same snapshot, other spares.
    let reset = world.offshoot.call(Method::POST, &format!("{}/reset", branch.path()), None).await?;
    ensure!(reset.status == 202, "{reset:?}");
    world.settle().await?;
    let rebuilt = forked(&world, &branch).await?;
    ensure!(has_size(&rebuilt).await? && has_size(&new).await?, "a fork that a reset took along");
    world.until("select count(*) = 1 from snapshots").await?;
    world.finish().await
}
