//! `kill -9` while forks are being made: nothing half-made is ever handed out, and nothing is left.

use anyhow::{Context, Result, ensure};
use integration::git::Change;
use integration::offshoot::connect;

use super::{delete, fork, forked, items};
use crate::shop::{SHOP, migration};
use crate::world::{LIMIT, World};

/// What is seen on the server when the moment has come.
const FREEZING: &str = "select exists (select from pg_stat_activity where query like '%pg_sleep(0.43)%' \
    and state = 'active' and pid <> pg_backend_pid() and usename <> current_user)";
const FILLING: &str = "select exists (select from forks where state = 'filling')";
const MAKING: &str =
    "select exists (select from pg_stat_activity where query like 'CREATE DATABASE \"offshoot_fork%')";
const DROPPING: &str = "select exists (select from forks where state = 'trash')";

#[tokio::test]
async fn killed_while_forks_are_made() -> Result<()> {
    let expected =
        ["took jobs back from a worker", "is tried again", "dropped a database that nothing stands for"];
    let mut world =
        World::start_with(|options| options.expected_trouble.extend(expected.map(str::to_owned))).await?;
    world.open_shop_with(&[
        Change::write(".offshoot.toml", "[[database]]\nname = \"main\"\nseed = [\"seed/*.sql\"]\n"),
        Change::write("seed/1.sql", "insert into items (name) values ('first');\n"),
    ])?;
    let slow =
        migration("20260301000000_slow", "alter table items add column c text;\nselect pg_sleep(0.43);\n");
    for moment in [FREEZING, FILLING, MAKING, DROPPING] {
        let head = format!("head-{}", moment.len());
        let (branch, sha) = world.propose(&head, std::slice::from_ref(&slow))?;
        world.offshoot.ready(&branch, &sha).await?;
        world.settle().await?;
        if moment == DROPPING {
            forked(&world, &branch).await?;
            world.settle().await?;
            world.github.close(SHOP, branch.number)?;
            world.until(moment).await?;
        } else {
            let asked = async {
                let asks = (0..12).map(|_| fork(&world, &branch, ""));
                // Cut off by the kill.
                drop(futures_util::future::join_all(asks).await);
                std::future::pending::<Result<()>>().await
            };
            tokio::select! {
                reached = world.until(moment) => reached?,
                never = asked => never?,
            }
        }
        world.offshoot.kill9()?;
        world.offshoot.restart().await?;
        world.settle().await.with_context(|| moment)?;
        world.offshoot.standing().await?.ensure_no_leftovers().with_context(|| moment)?;
        if moment == DROPPING {
            continue;
        }
        let spares: i64 = {
            let client = world.offshoot.administrator().await?;
            client.query_one("select count(*) from forks where state = 'spare'", &[]).await?.try_get(0)?
        };
        for at in 0..spares + 4 {
            let made = forked(&world, &branch).await.with_context(|| moment)?;
            let client = connect(made.database_url()?).await?;
            ensure!(
                items(&client).await? == ["first"],
                "{moment}: fork {at} of {spares} spares is half-made"
            );
            client.batch_execute("select c from items").await?;
            ensure!(delete(&world, &made).await?.status == 204, "deleted");
        }
        world.github.close(SHOP, branch.number)?;
        world.settle().await?;
        world.offshoot.standing().await?.ensure_no_leftovers().with_context(|| moment)?;
    }
    world.until("select not exists (select from pg_database where datname like 'offshoot_fork%')").await?;
    world.offshoot.idle(LIMIT).await?;
    world.finish().await
}
