//! A cache must not hide a broken chain.

use anyhow::{Result, ensure};
use integration::git::Change;

use super::seeded;
use crate::shop::{INIT, migration};
use crate::world::World;

const OURS: &str = "a layer is not what a replay from empty makes";

async fn world() -> Result<World> {
    World::start_with(|options| options.expected_trouble.push(OURS.to_owned())).await
}

#[tokio::test]
async fn a_layer_that_was_continued_is_checked_at_once() -> Result<()> {
    let world = World::start().await?;
    world.open_used_shop(&seeded()).await?;
    world.advance(&[migration("20260102000000_color", "alter table items add column color text;\n")]).await?;
    ensure!(world.layers().await? == [1, 2], "{:?}", world.layers().await?);
    ensure!(world.checks().await?.0 == ["same"], "{:?}", world.checks().await?);
    let page = world.page("/layers").await?;
    ensure!(page.contains("└ ") && page.contains("state same"), "{page}");
    world.finish().await
}

/// The seed names a column that a later migration renames. On the layer before, the seed had run already; from empty it fails.
#[tokio::test]
async fn a_chain_that_only_works_from_the_cache_is_found_out() -> Result<()> {
    let world = world().await?;
    world.open_used_shop(&seeded()).await?;
    world.advance(&[migration("20260102000000_title", "alter table items rename name to title;\n")]).await?;
    let (outcomes, findings) = world.checks().await?;
    ensure!(outcomes == ["broken"] && findings.contains("seed/1.sql, line 1"), "{outcomes:?} {findings}");
    ensure!(world.layers().await? == [1], "the layer is gone: {:?}", world.layers().await?);
    ensure!(world.page("/layers").await?.contains("seed/1.sql, line 1"));

    // It is not continued again: the next pull request meets the failure.
    let (branch, sha) = world.propose("color", &[crate::shop::column("color")])?;
    let answer = world.offshoot.branch_at(&branch, &sha, &[409]).await?;
    ensure!(answer.body["file"] == "seed/1.sql", "{}", answer.body);
    world.settle().await?;
    ensure!(world.layers().await? == [1] && world.checks().await?.0.len() == 1);

    // Mended, it is built and proven.
    world.advance(&[Change::write("seed/1.sql", "insert into items (title) values ('first');\n")]).await?;
    ensure!(world.layers().await? == [1, 2], "{:?}", world.layers().await?);
    world.finish().await
}

/// Whatever made a layer other than it should be: it is replaced by a replay, and nobody gets a clone of it again.
#[tokio::test]
async fn a_layer_that_is_something_else_is_replaced() -> Result<()> {
    let world = world().await?;
    world.open_used_shop(&[]).await?;
    let client = world.offshoot.administrator().await?;
    let row = client.query_one("select database_name from layers where complete", &[]).await?;
    let layer: String = row.try_get("database_name")?;
    client.batch_execute(&format!("alter database {layer} allow_connections true")).await?;
    let mut url: url::Url = world.offshoot.administrator_url()?.parse()?;
    url.set_path(&layer);
    let inside = integration::offshoot::connect(url.as_str()).await?;
    inside.batch_execute("create table tampered (id int)").await?;
    drop(inside);
    client.batch_execute(&format!("alter database {layer} allow_connections false")).await?;

    world.run("check_layer").await?;
    let (outcomes, findings) = world.checks().await?;
    ensure!(
        outcomes == ["differs"] && findings.contains("only in the layer: relation public.tampered"),
        "{outcomes:?} {findings}"
    );
    ensure!(world.layers().await? == [1]);
    let (branch, sha) = world.propose("color", &[crate::shop::column("color")])?;
    let answer = world.offshoot.ready(&branch, &sha).await?;
    let branch_client = integration::offshoot::connect(answer.database_url()?).await?;
    let gone = branch_client.query_one("select to_regclass('tampered') is null as gone", &[]).await?;
    ensure!(gone.try_get::<_, bool>("gone")?, "the branch was cloned from what was found wrong");
    let applied: Vec<String> = answer.applied()?.into_iter().map(|one| one.name).collect();
    ensure!(applied[0] == INIT, "{applied:?}");

    client.execute("update layer_checks set checked_at = now() - interval '2 days'", &[]).await?;
    world.run("check_layer").await?;
    ensure!(world.checks().await?.0 == ["differs", "same"]);
    world.finish().await
}

/// A table named after the clock: no two replays agree, and the layer is left alone.
#[tokio::test]
async fn a_chain_that_never_comes_out_the_same_condemns_no_layer() -> Result<()> {
    let expected = "do not agree among themselves";
    let world = World::start_with(|options| options.expected_trouble.push(expected.to_owned())).await?;
    let clock = "do $$ begin execute format('create table %I (id int)', 't' || extract(epoch from clock_timestamp())); end $$;\n";
    world.open_used_shop(&[migration("20260101000001_clock", clock)]).await?;
    world.run("check_layer").await?;
    ensure!(world.checks().await?.0 == ["unstable"], "{:?}", world.checks().await?);
    ensure!(world.layers().await? == [2]);
    world.finish().await
}
