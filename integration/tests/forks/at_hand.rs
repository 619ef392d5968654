//! The fork that is held ready for the next caller: right, nobody else's, and not left behind.

use anyhow::{Context, Result, ensure};
use integration::offshoot::{Answer, BranchRef, connect};

use super::{database_of, delete, fork, forked, identity, items, list, seeded};
use crate::shop::{SHOP, column};
use crate::world::World;

const HELD: &str = "select exists (select from forks where state = 'live' and handed_out_at is null)";
const NONE_HELD: &str =
    "select not exists (select from forks where state = 'live' and handed_out_at is null)";
const RECORDED: &str = "select count(*) from forks where id::text = $1 and state = 'live' and handed_out_at is not null \
                        and expires_at between now() + interval '50 minutes' and now() + interval '1 hour'";

/// A branch with a fork held ready, and the name of its database.
async fn held(world: &World, branch: &BranchRef) -> Result<String> {
    forked(world, branch).await?;
    world.settle().await?;
    forked(world, branch).await?;
    // Whoever has which is recorded when they are listed.
    list(world, branch).await?;
    world.until(HELD).await?;
    let client = world.offshoot.administrator().await?;
    let row = client
        .query_one("select database_name from forks where state = 'live' and handed_out_at is null", &[])
        .await?;
    Ok(row.try_get(0)?)
}

async fn is_recorded(world: &World, fork: &Answer) -> Result<bool> {
    let client = world.offshoot.administrator().await?;
    let id = uuid::Uuid::parse_str(fork.text("id"))?.to_string();
    Ok(client.query_one(RECORDED, &[&id]).await?.try_get::<_, i64>(0)? == 1)
}

#[tokio::test]
async fn what_is_held_ready_is_handed_out_once_and_listed_at_once() -> Result<()> {
    let world = World::start().await?;
    let (branch, _) = seeded(&world).await?;
    let name = held(&world, &branch).await?;
    ensure!(list(&world, &branch).await?.len() == 2, "one that nobody has is listed");
    let fork = forked(&world, &branch).await?;
    ensure!(database_of(&fork)? == name, "another one was handed out");
    let listed = list(&world, &branch).await?;
    let own = listed.iter().find(|listed| listed["id"] == fork.text("id")).context("it is not listed")?;
    ensure!(own["expires_at"] == fork.text("expires_at"), "{own} is not {fork:?}");
    ensure!(is_recorded(&world, &fork).await?, "it is not recorded who has it");
    ensure!(
        items(&connect(fork.database_url()?).await?).await? == ["first", "second"],
        "it is not the branch's"
    );
    for _ in 0..6 {
        ensure!(database_of(&forked(&world, &branch).await?)? != name, "handed out twice");
    }
    // Ended before it is recorded who had it.
    world.settle().await?;
    forked(&world, &branch).await?;
    list(&world, &branch).await?;
    world.until(HELD).await?;
    let brief = forked(&world, &branch).await?;
    ensure!(delete(&world, &brief).await?.status == 204, "deleted");
    world.settle().await?;
    ensure!(connect(brief.database_url()?).await.is_err(), "it is still there");
    world.finish().await
}

#[tokio::test]
async fn what_is_held_ready_is_of_the_branch_as_it_is() -> Result<()> {
    let world = World::start().await?;
    let (branch, first) = seeded(&world).await?;
    held(&world, &branch).await?;
    let second = world.push(&branch, &[column("size")])?;
    world.offshoot.ready(&branch, &second).await?;
    let made = forked(&world, &branch).await?;
    let told = identity(&connect(made.database_url()?).await?).await?;
    ensure!(told["sha"] == *second, "{told}");
    world.settle().await?;
    world
        .until(&format!("select not exists (select from forks where state = 'spare' and sha = '{first}')"))
        .await?;

    let name = held(&world, &branch).await?;
    world.github.rename_repository(SHOP, "store")?;
    world.settle().await?;
    let former = fork(&world, &branch, "").await?;
    ensure!(former.status == 404, "the former name leads to {name}: {former:?}");
    world.until(NONE_HELD).await?;
    let branch = BranchRef::new("acme/store", branch.number);
    let third = world.push(&branch, &[column("weight")])?;
    world.offshoot.ready(&branch, &third).await?;
    world.settle().await?;
    world.finish().await
}

#[tokio::test]
async fn a_stop_puts_back_what_is_held_ready_and_a_kill_loses_nothing() -> Result<()> {
    let mut world = World::start_with(|options| {
        options.expected_trouble.push("took jobs back from a worker".to_owned());
        options.expected_trouble.push("is tried again".to_owned());
    })
    .await?;
    let (branch, _) = seeded(&world).await?;
    held(&world, &branch).await?;
    world.settle().await?;
    world.offshoot.terminate().await?;
    world.offshoot.restart().await?;
    world.until(NONE_HELD).await?;

    let name = held(&world, &branch).await?;
    world.settle().await?;
    world.offshoot.kill9()?;
    world.offshoot.restart().await?;
    for _ in 0..4 {
        let fork = forked(&world, &branch).await?;
        ensure!(database_of(&fork)? != name, "somebody may have had it");
    }
    world.settle().await?;
    world.github.close(SHOP, branch.number)?;
    world.settle().await?;
    world.offshoot.standing().await?.ensure_no_leftovers()?;
    world.finish().await
}
