//! What is kept is what is used.

use anyhow::{Result, ensure};
use integration::git::Change;

use crate::shop::{SHOP, column, migration};
use crate::world::World;

/// As if nobody had asked for any layer for that long.
pub(super) async fn forget_uses(world: &World, interval: &str) -> Result<()> {
    let sql = format!(
        "update layers set created_at = created_at - interval '{interval}';
         update layer_uses set last_used_at = last_used_at - interval '{interval}'"
    );
    Ok(world.offshoot.administrator().await?.batch_execute(&sql).await?)
}

/// Takes the base back to where [`three_tips`] began.
pub(super) async fn back_to_the_first_tip(world: &World) -> Result<()> {
    let later = ["20260103000000_three", "20260102000000_two"];
    world.advance(&later.map(|name| Change::remove(format!("prisma/migrations/{name}")))).await
}

/// Three tips one after the other, with a pull request that stays behind at the second.
pub(super) async fn three_tips(world: &World) -> Result<integration::offshoot::BranchRef> {
    world.open_used_shop(&[]).await?;
    world.advance(&[migration("20260102000000_two", "create table two (id int);\n")]).await?;
    let (branch, sha) = world.propose("behind", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.advance(&[migration("20260103000000_three", "create table three (id int);\n")]).await?;
    ensure!(world.layers().await? == [1, 2, 3], "{:?}", world.layers().await?);
    Ok(branch)
}

#[tokio::test]
async fn what_nobody_needs_goes_when_there_is_no_room() -> Result<()> {
    let world = World::start_with(|options| {
        options.environment.push(("OFFSHOOT_LAYER_BUDGET".to_owned(), "1K".to_owned()));
    })
    .await?;
    let branch = three_tips(&world).await?;
    world.run("trim_layers").await?;
    ensure!(world.layers().await? == [1, 2, 3], "they were used a moment ago");
    forget_uses(&world, "1 hour").await?;
    world.run("trim_layers").await?;
    ensure!(
        world.layers().await? == [2, 3],
        "the merge base and the tip are needed: {:?}",
        world.layers().await?
    );
    world.offshoot.standing().await?.ensure_no_leftovers()?;

    // What is kept for it is used: a rebuild of the pull request comes from its merge base's layer.
    let sha = world
        .push(&branch, &[migration("20260201000000_color", "alter table items add column colour text;\n")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.github.close(SHOP, branch.number)?;
    world.settle().await?;
    forget_uses(&world, "1 hour").await?;
    world.run("trim_layers").await?;
    ensure!(world.layers().await? == [3], "{:?}", world.layers().await?);
    // And what was dropped is built again when somebody asks for it.
    back_to_the_first_tip(&world).await?;
    ensure!(world.layers().await?.last() == Some(&1), "{:?}", world.layers().await?);
    world.finish().await
}

#[tokio::test]
async fn what_is_idle_for_long_goes_although_there_is_room() -> Result<()> {
    let world = World::start().await?;
    three_tips(&world).await?;
    forget_uses(&world, "13 days").await?;
    world.run("trim_layers").await?;
    ensure!(world.layers().await? == [1, 2, 3]);
    forget_uses(&world, "2 days").await?;
    world.run("trim_layers").await?;
    ensure!(world.layers().await? == [2, 3], "{:?}", world.layers().await?);
    world.finish().await
}
