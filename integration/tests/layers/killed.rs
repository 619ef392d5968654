//! `kill -9` while a layer is dropped or checked leaves nothing, and nothing half-made is handed out.

use anyhow::{Result, ensure};

use super::trimmed::{back_to_the_first_tip, forget_uses, three_tips};
use crate::shop::migration;
use crate::world::World;

const TROUBLE: [&str; 4] = [
    "took jobs back from a worker",
    "is tried again",
    "dropped a database that nothing stands for",
    "dropped a role that nothing stands for",
];

async fn world(environment: &[(&str, &str)]) -> Result<World> {
    World::start_with(|options| {
        options.expected_trouble.extend(TROUBLE.map(str::to_owned));
        options
            .environment
            .extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    })
    .await
}

/// The row is gone, the database is about to be: a lock on the catalog holds it there.
#[tokio::test]
async fn killed_between_forgetting_a_layer_and_dropping_it() -> Result<()> {
    let mut world = world(&[("OFFSHOOT_LAYER_BUDGET", "1K")]).await?;
    three_tips(&world).await?;
    forget_uses(&world, "1 hour").await?;
    let mut holder = world.offshoot.administrator().await?;
    let held = holder.transaction().await?;
    held.batch_execute("lock table pg_database in share mode").await?;
    world.ask_for("trim_layers").await?;
    world
        .until(
            "select (select count(*) from layers) = 2 and exists (select from pg_stat_activity \
             where wait_event_type = 'Lock' and query like '%IS_TEMPLATE false%')",
        )
        .await?;
    world.offshoot.kill9()?;
    held.rollback().await?;
    world.offshoot.restart().await?;
    world.settle().await?;
    ensure!(world.layers().await? == [2, 3], "{:?}", world.layers().await?);
    world.offshoot.standing().await?.ensure_no_leftovers()?;
    // The same layer again, whatever was left of it.
    back_to_the_first_tip(&world).await?;
    // The tip that was, which nobody needs now, may be dropped already.
    let layers = world.layers().await?;
    ensure!(layers.first() == Some(&2) && layers.last() == Some(&1), "{layers:?}");
    world.finish().await
}

#[tokio::test]
async fn killed_while_a_layer_is_checked() -> Result<()> {
    let mut world = world(&[]).await?;
    world.open_used_shop(&[migration("20260101000001_slow", "select pg_sleep(0.43);\n")]).await?;
    world.ask_for("check_layer").await?;
    world
        .until(
            "select exists (select from pg_stat_activity where query like '%pg_sleep(0.43)%' and state = 'active' \
             and pid <> pg_backend_pid() and usename <> current_user)",
        )
        .await?;
    world.offshoot.kill9()?;
    world.offshoot.restart().await?;
    world.settle().await?;
    world.run("sweep").await?;
    ensure!(world.checks().await?.0 == ["same"], "{:?}", world.checks().await?);
    ensure!(world.layers().await? == [2]);
    world.offshoot.standing().await?.ensure_no_leftovers()?;
    world.finish().await
}
