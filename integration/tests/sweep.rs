//! What the sweep finds and mends: branches whose time is over or that nobody uses, databases that vanished, work that nobody does.

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::offshoot::{BranchRef, connect};
use serde_json::json;

use crate::shop::{SHOP, column};
use crate::world::World;

const WILL_GO: &str = "it will be removed on";

impl World {
    async fn execute(&self, sql: &str) -> Result<()> {
        Ok(self.offshoot.administrator().await?.batch_execute(sql).await?)
    }

    async fn change(&self, branch: &BranchRef, wish: serde_json::Value) -> Result<()> {
        let answer = self.offshoot.call(Method::PATCH, &branch.path(), Some(&wish)).await?;
        ensure!(answer.status == 202, "{answer:?}");
        self.settle().await
    }

    /// How often the report was written to GitHub.
    fn comments_written(&self) -> usize {
        let requests = self.github.requests();
        requests
            .iter()
            .filter(|request| request.method == "PATCH" && request.path.contains("/comments/"))
            .count()
    }
}

#[tokio::test]
async fn a_pull_request_is_told_once_before_its_branch_expires() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.run("sweep").await?;
    ensure!(!world.the_comment(&branch)?.contains(WILL_GO), "a week is far away");
    let near = "update branches set expires_at = now() + interval '3 hours', expiry_told_from = now() - interval '1 hour'";
    world.execute(near).await?;
    let before = world.comments_written();
    world.run("sweep").await?;
    let told = world.the_comment(&branch)?;
    ensure!(
        told.contains(WILL_GO) && told.contains("Nobody has pushed") && told.contains("✅ Database ready"),
        "{told}"
    );
    ensure!(told.contains(&format!("offshoot branch extend --repo {SHOP} --pr {}", branch.number)), "{told}");
    ensure!(
        world.page(&format!("/repos/{SHOP}/pulls/{}", branch.number)).await?.contains("it will be removed")
    );
    for _ in 0..2 {
        world.run("sweep").await?;
    }
    ensure!(
        world.comments_written() == before + 1,
        "it was told {} times",
        world.comments_written() - before
    );

    world.change(&branch, json!({ "extend": "3d" })).await?;
    ensure!(!world.the_comment(&branch)?.contains(WILL_GO), "it was extended");
    world.execute(near).await?;
    world.run("sweep").await?;
    ensure!(world.the_comment(&branch)?.contains(WILL_GO));
    world.change(&branch, json!({ "protected": true })).await?;
    ensure!(!world.the_comment(&branch)?.contains(WILL_GO), "it is protected");
    world.execute("update branches set expires_at = now() - interval '1 hour'").await?;
    world.run("sweep").await?;
    world.offshoot.ready(&branch, &sha).await?;

    world.change(&branch, json!({ "protected": false })).await?;
    world.run("sweep").await?;
    let gone = world.offshoot.branch(&branch).await?;
    ensure!(gone.status == 410 && gone.text("detail").contains("expired without a push"), "{gone:?}");
    ensure!(world.offshoot.figure("offshoot_mended_total{what=\"expired\"}").await? >= 1.0);
    let pushed = world.push(&branch, &[column("size")])?;
    world.offshoot.ready(&branch, &pushed).await?;
    world.finish().await
}

#[tokio::test]
async fn a_branch_that_nobody_uses_goes_and_one_that_somebody_uses_stays() -> Result<()> {
    let world = World::start_with(|options| {
        options.environment.push(("OFFSHOOT_IDLE_TTL".to_owned(), "3d".to_owned()));
    })
    .await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let url = world.offshoot.ready(&branch, &sha).await?.database_url()?.to_owned();
    // What the service had open there itself is counted once it is closed.
    world.until("select count(*) = 0 from pg_stat_activity where datname = 'acme_shop_pr_1' and backend_type = 'client backend'").await?;
    world.run("sweep").await?;
    let unused = async |interval: &str| {
        world.execute(&format!("update branches set active_at = now() - interval '{interval}'")).await?;
        world.run("sweep").await
    };
    unused("2 days 12 hours").await?;
    let told = world.the_comment(&branch)?;
    ensure!(told.contains(WILL_GO) && told.contains("Nobody has used"), "{told}");

    let client = connect(&url).await?;
    unused("4 days").await?;
    ensure!(!world.the_comment(&branch)?.contains(WILL_GO), "somebody is there");
    world.offshoot.ready(&branch, &sha).await?;
    drop(client);

    // Somebody came and went between two looks.
    world.run("sweep").await?;
    drop(connect(&url).await?);
    world
        .until("select s.sessions > b.sessions_seen from pg_stat_database s join branches b on b.database_name = s.datname")
        .await?;
    unused("4 days").await?;
    world.offshoot.ready(&branch, &sha).await?;

    world.change(&branch, json!({ "extend": "1d" })).await?;
    world.run("sweep").await?;
    ensure!(!world.the_comment(&branch)?.contains(WILL_GO), "it was extended");
    unused("4 days").await?;
    let gone = world.offshoot.branch(&branch).await?;
    ensure!(gone.status == 410 && gone.text("detail").contains("Nobody used it"), "{gone:?}");
    world.offshoot.standing().await?.ensure_no_leftovers()?;
    world.finish().await
}

#[tokio::test]
async fn a_database_that_vanished_is_built_anew() -> Result<()> {
    let world = World::start_with(|options| {
        options.expected_trouble.push("gone".to_owned());
    })
    .await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let url = world.offshoot.ready(&branch, &sha).await?.database_url()?.to_owned();
    let (other, other_sha) = world.propose("size", &[column("size")])?;
    let other_url = world.offshoot.ready(&other, &other_sha).await?.database_url()?.to_owned();
    world.settle().await?;
    connect(&other_url).await?.batch_execute("insert into items (name) values ('kept')").await?;

    world.execute("drop database acme_shop_pr_1 with (force)").await?;
    let spare = "select database_name from instances where state = 'spare' limit 1";
    let spare: String = world.offshoot.administrator().await?.query_one(spare, &[]).await?.try_get(0)?;
    world.execute(&format!("drop database {spare} with (force)")).await?;
    world.run("sweep").await?;
    let again = world.offshoot.ready(&branch, &sha).await?;
    ensure!(again.database_url()? == url, "its URL changed");
    ensure!(again.findings() == ["rebuilt"], "{again:?}");
    connect(&url).await?.batch_execute("select color from items").await?;
    ensure!(world.the_comment(&branch)?.contains("the database was gone from the server"));
    ensure!(
        world.offshoot.figure("offshoot_mended_total{what=\"vanished\"}").await? >= 2.0,
        "the spare, the branch"
    );

    // A drop that was cut off leaves something that lets nobody in.
    world.execute("update pg_database set datconnlimit = -2 where datname = 'acme_shop_pr_1'").await?;
    world.run("sweep").await?;
    let again = world.offshoot.ready(&branch, &sha).await?;
    ensure!(again.body["generation"] == 3, "{}", again.body);
    connect(&url).await?.batch_execute("select color from items").await?;
    let kept = connect(&other_url).await?.query_one("select count(*) from items", &[]).await?;
    ensure!(kept.try_get::<_, i64>(0)? == 1, "another was touched");
    world.finish().await
}

#[tokio::test]
async fn work_whose_job_was_lost_is_done_and_its_check_ends() -> Result<()> {
    let mut world = World::start_with(|options| {
        options.expected_trouble.push("waited for a job that was not there".to_owned());
        options.expected_trouble.push("left without an end".to_owned());
    })
    .await?;
    world.open_shop()?;
    let (first, first_sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&first, &first_sha).await?;
    world.settle().await?;
    // Somebody clears the queue while nobody works it off: a branch is left on its way, and a check without an end.
    world.offshoot.kill9()?;
    world
        .execute(
            "delete from jobs;
         update branches set state = 'preparing', updated_at = now() - interval '1 hour';
         update checks set ended = false, digest = '', updated_at = now() - interval '1 hour'",
        )
        .await
        .context("clear the queue")?;
    world.offshoot.restart().await?;
    world.offshoot.ready(&first, &first_sha).await?;
    world.settle().await?;
    ensure!(world.offshoot.figure("offshoot_mended_total{what=\"stalled\"}").await? >= 1.0);
    world
        .execute("update checks set ended = false, digest = '', updated_at = now() - interval '1 hour'")
        .await?;
    world.run("sweep").await?;
    ensure!(world.offshoot.figure("offshoot_mended_total{what=\"unended_check\"}").await? >= 1.0);
    world.until("select bool_and(ended) from checks").await?;
    world.ensure_checks_ended(SHOP, &[first_sha.parse()?])?;
    world.finish().await
}
