//! `kill -9` at any moment, then a restart, ends in the same final state.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::git::Change;
use integration::github::{Fault, Matcher};
use integration::local_server::{Ending, LocalServer};
use integration::offshoot::{BranchRef, Server};

use crate::shop::{INIT, SHOP, column, migration};
use crate::world::World;

/// A moment of the work on a pull request.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The delivery was answered; nothing more is known.
    Answered,
    /// A new generation is on its way.
    Cloning,
    /// The pull request's own migration runs.
    Replaying,
    /// The pull request's own seed runs.
    Seeding,
    /// The new generation has its place.
    Published,
    /// GitHub is being told.
    Reporting,
    TearingDown,
    /// The layer of a base replays a migration of the base's.
    BuildingLayer,
    /// So many layers are frozen; the last of them need not be recorded as complete.
    Frozen(usize),
    /// A spare is on its way.
    Refilling,
    /// The generation before has lost its place.
    Swapped,
}

impl Moment {
    async fn reached(self, world: &World, branch: &BranchRef) -> Result<()> {
        let runs = |text: &str| {
            format!(
                "select exists (select from pg_stat_activity where query like '%{text}%' and state = 'active' \
                 and pid <> pg_backend_pid() and usename <> current_user)"
            )
        };
        let of_pull = format!("from branches where pull_request = {} and state", branch.number);
        let sql = match self {
            Self::Answered => return world.github.wait_for_deliveries(crate::world::LIMIT).await,
            Self::Cloning => "select exists (select from instances where state = 'preparing')".to_owned(),
            Self::Replaying => runs("pg_sleep(0.41)"),
            Self::Seeding => runs("pg_sleep(0.42)"),
            Self::Published => format!("select exists (select {of_pull} = 'ready')"),
            Self::TearingDown => format!("select exists (select {of_pull} in ('deleting', 'deleted'))"),
            Self::Reporting => return self.told(world).await,
            Self::BuildingLayer => runs("pg_sleep(0.43)"),
            Self::Frozen(layers) => {
                format!(
                    "select count(*) >= {layers} from pg_database where datistemplate and datname like 'offshoot%'"
                )
            }
            Self::Refilling => "select exists (select from instances where state = 'filling')".to_owned(),
            Self::Swapped => {
                "select exists (select from pg_database where datname like 'offshoot\\_trash\\_%')".to_owned()
            }
        };
        world.until(&sql).await
    }

    /// A comment is on its way to GitHub and has not been answered.
    async fn told(self, world: &World) -> Result<()> {
        let deadline = tokio::time::Instant::now() + crate::world::LIMIT;
        loop {
            let requests = world.github.requests();
            if requests.iter().any(|request| request.path.contains("/comments") && request.status.is_none()) {
                return Ok(());
            }
            ensure!(tokio::time::Instant::now() < deadline, "no comment was on its way");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn crashing() -> Result<World> {
    let expected =
        ["took jobs back from a worker", "is tried again", "dropped a database that nothing stands for"];
    let world =
        World::start_with(|options| options.expected_trouble.extend(expected.map(str::to_owned))).await?;
    world.open_shop_with(&[
        Change::write(".offshoot.toml", "[[database]]\nname = \"main\"\nseed = [\"seed/*.sql\"]\n"),
        Change::write("seed/1.sql", "insert into items (name) values ('first');\n"),
    ])?;
    world.settle().await?;
    for (method, path) in
        [(Method::POST, "/repos/*/*/issues/*/comments"), (Method::PATCH, "/repos/*/*/issues/comments/*")]
    {
        world.github.fail(Matcher::new(method, path), Fault::Latency(Duration::from_millis(200)), None);
    }
    Ok(world)
}

/// A migration and a seed that take long enough to be met at.
fn slow(step: u32) -> [Change; 2] {
    let sql = format!("alter table items add column c{step} text;\nselect pg_sleep(0.41);\n");
    let seed = format!("insert into items (name) values ('{step}');\nselect pg_sleep(0.42);\n");
    [migration(&format!("2026030100000{step}_slow"), &sql), Change::write(format!("seed/2-{step}.sql"), seed)]
}

async fn killed_at(world: &mut World, moment: Moment, branch: &BranchRef) -> Result<()> {
    moment.reached(world, branch).await?;
    world.offshoot.kill9()?;
    world.offshoot.restart().await
}

/// The same end, whatever happened on the way.
async fn ensure_ready(world: &World, branch: &BranchRef, sha: &str, applied: &[String]) -> Result<()> {
    let answer = world.offshoot.ready(branch, sha).await?;
    world.settle().await?;
    let names: Vec<String> = answer.applied()?.into_iter().map(|one| one.name).collect();
    ensure!(names == applied, "{names:?} instead of {applied:?}");
    let client = integration::offshoot::connect(answer.database_url()?).await?;
    let rows = integration::prisma::bookkeeping_rows(&client).await?;
    ensure!(rows.iter().map(|row| &row.migration_name).eq(applied), "the database's table says {rows:?}");
    let row = client.query_one("select count(*) as rows from items where name = 'first'", &[]).await?;
    ensure!(row.try_get::<_, i64>("rows")? == 1, "the base's seed ran more or less than once");
    drop(client);
    world
        .until(&format!(
            "select count(*) = 1 from branches where pull_request = {} and state <> 'deleted'",
            branch.number
        ))
        .await?;
    let runs = world.github.check_runs(SHOP, sha.parse()?)?;
    let verdict = runs.last().context("a check run")?;
    ensure!(verdict.conclusion.as_deref() == Some("success"), "{runs:?}");
    world.ensure_checks_ended(SHOP, &[sha.parse()?])?;
    world.the_comment(branch)?;
    Ok(())
}

#[tokio::test]
async fn killed_while_a_branch_is_made() -> Result<()> {
    let mut world = crashing().await?;
    let moments = [
        Moment::Answered,
        Moment::Cloning,
        Moment::Replaying,
        Moment::Seeding,
        Moment::Published,
        Moment::Reporting,
    ];
    for moment in moments {
        let (branch, sha) = world.propose(&format!("{moment:?}").to_lowercase(), &slow(1))?;
        killed_at(&mut world, moment, &branch).await.with_context(|| format!("{moment:?}"))?;
        let applied = [INIT.to_owned(), "20260301000001_slow".to_owned()];
        ensure_ready(&world, &branch, &sha, &applied).await.with_context(|| format!("{moment:?}"))?;
        world.github.close(SHOP, branch.number)?;
        world.settle().await?;
    }
    world.finish().await
}

/// Each push edits the migration, so that the branch is rebuilt from its layer.
#[tokio::test]
async fn killed_while_a_branch_is_rebuilt() -> Result<()> {
    let mut world = crashing().await?;
    let (branch, sha) = world.propose("rebuilt", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let moments = [Moment::Answered, Moment::Cloning, Moment::Replaying, Moment::Seeding, Moment::Reporting];
    for (moment, step) in moments.into_iter().zip(1..) {
        let [script, seed] = slow(step);
        let Change::Write { bytes, .. } = script else { unreachable!("a migration is a file") };
        let edited = migration("20260201000000_color", std::str::from_utf8(&bytes)?);
        let sha = world.push(&branch, &[edited, seed])?;
        killed_at(&mut world, moment, &branch).await.with_context(|| format!("{moment:?}"))?;
        let applied = [INIT.to_owned(), "20260201000000_color".to_owned()];
        ensure_ready(&world, &branch, &sha, &applied).await.with_context(|| format!("{moment:?}"))?;
    }
    world.finish().await
}

/// Each push to the base asks for a new layer, and the pull request that is opened next starts from it.
#[tokio::test]
async fn killed_while_a_layer_is_built() -> Result<()> {
    let mut world = crashing().await?;
    let mut applied = vec![INIT.to_owned()];
    for (moment, step) in [Moment::BuildingLayer, Moment::Frozen(2), Moment::Cloning].into_iter().zip(1..) {
        let name = format!("2026010200000{step}_base");
        let sql = format!("alter table items add column b{step} text;\nselect pg_sleep(0.43);\n");
        world.github.push(SHOP, "main", &[migration(&name, &sql)])?;
        applied.push(name);
        let (branch, sha) = world.propose(&format!("layer-{step}"), &[column("color")])?;
        killed_at(&mut world, moment, &branch).await.with_context(|| format!("{moment:?}"))?;
        let own = [applied.clone(), vec!["20260201000000_color".to_owned()]].concat();
        ensure_ready(&world, &branch, &sha, &own).await.with_context(|| format!("{moment:?}"))?;
    }
    world.finish().await
}

/// A spare that was on its way at the kill is never handed out: who comes next gets a whole one.
#[tokio::test]
async fn killed_while_the_pool_refills() -> Result<()> {
    let mut world = crashing().await?;
    for step in 1..=3 {
        let (branch, sha) = world.propose(&format!("refill-{step}"), &[column("color")])?;
        killed_at(&mut world, Moment::Refilling, &branch).await.with_context(|| format!("refill {step}"))?;
        let applied = [INIT.to_owned(), "20260201000000_color".to_owned()];
        ensure_ready(&world, &branch, &sha, &applied).await.with_context(|| format!("refill {step}"))?;
    }
    world.finish().await
}

/// The URL leads to the new generation afterwards, whichever half of the swap was recorded.
#[tokio::test]
async fn killed_while_generations_are_swapped() -> Result<()> {
    let mut world = crashing().await?;
    let (branch, sha) = world.propose("swapped", &[column("color")])?;
    let url = world.offshoot.ready(&branch, &sha).await?.database_url()?.to_owned();
    for step in 1..=3 {
        world.settle().await?;
        let sql = format!("alter table items add column color{step} text;\n");
        let sha = world.push(&branch, &[migration("20260201000000_color", &sql)])?;
        killed_at(&mut world, Moment::Swapped, &branch).await.with_context(|| format!("swap {step}"))?;
        let applied = [INIT.to_owned(), "20260201000000_color".to_owned()];
        ensure_ready(&world, &branch, &sha, &applied).await.with_context(|| format!("swap {step}"))?;
        let answer = world.offshoot.ready(&branch, &sha).await?;
        ensure!(answer.database_url()? == url, "the URL changed with the generation");
    }
    world.finish().await
}

#[tokio::test]
async fn killed_while_a_branch_is_removed() -> Result<()> {
    let mut world = crashing().await?;
    for moment in [Moment::Answered, Moment::TearingDown, Moment::Reporting] {
        let (branch, sha) = world.propose(&format!("gone-{moment:?}").to_lowercase(), &[column("color")])?;
        world.offshoot.ready(&branch, &sha).await?;
        world.settle().await?;
        world.github.close(SHOP, branch.number)?;
        killed_at(&mut world, moment, &branch).await.with_context(|| format!("{moment:?}"))?;
        world.offshoot.branch_at(&branch, &sha, &[410]).await?;
        world.settle().await?;
        world.ensure_checks_ended(SHOP, &[sha.parse()?])?;
        let comment = world.the_comment(&branch)?;
        ensure!(comment.contains("🗑️"), "{moment:?}: {comment}");
    }
    world.finish().await
}

/// Whoever ends its own session is told so, and not taken for a victim of a server that was restarted some time ago.
#[tokio::test]
async fn after_a_restart_of_postgresql_the_author_s_fault_is_the_author_s() -> Result<()> {
    let directory = tempfile::Builder::new().prefix("offshoot-restart-").tempdir()?;
    let mut server = LocalServer::create(directory.path()).await?;
    let world = World::start_with(|options| {
        options.server = Server::At(server.url());
        options.expected_trouble.extend(["\"level\":\"WARN\"", "\"level\":\"ERROR\""].map(str::to_owned));
    })
    .await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("before", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    server.end(Ending::Fast)?;
    server.start().await?;
    let suicide = migration("20260201000000_suicide", "select pg_terminate_backend(pg_backend_pid());\n");
    let (branch, sha) = world.propose("after", &[suicide])?;
    let answer = world.offshoot.branch_at(&branch, &sha, &[409]).await?;
    ensure!(answer.text("migration") == "20260201000000_suicide", "{}", answer.body);
    world.finish().await
}

/// A crash of the control database's server takes its last moments back, but no check run that GitHub was asked to begin: nobody would end it.
#[tokio::test]
async fn a_check_is_on_record_before_it_begins_whatever_crashes() -> Result<()> {
    let directory = tempfile::Builder::new().prefix("offshoot-record-").tempdir()?;
    let mut server = LocalServer::create(directory.path()).await?;
    let administrator = integration::offshoot::connect(&server.url()).await?;
    // Then only a commit that waits for the disk is sure to be there.
    administrator.batch_execute("alter system set wal_writer_delay = '10s'").await?;
    administrator.batch_execute("select pg_reload_conf()").await?;
    drop(administrator);
    let mut world = World::start_with(|options| {
        options.server = Server::At(server.url());
        options.expected_trouble.extend(["\"level\":\"WARN\"", "\"level\":\"ERROR\""].map(str::to_owned));
    })
    .await?;
    world.open_shop()?;
    world.settle().await?;
    let slow = migration("20260201000000_slow", "select pg_sleep(2);\n");
    let (branch, sha) = world.propose("slow", &[slow])?;
    world.asked(&Method::POST, "/repos/acme/shop/check-runs").await?;
    server.end(Ending::Immediate)?;
    world.offshoot.kill9()?;
    server.start().await?;
    let recorded = "select count(*) as checks from checks where sha = $1 and not ended";
    let administrator = integration::offshoot::connect(&server.url()).await?;
    let row = administrator.query_one(recorded, &[&sha]).await?;
    ensure!(row.try_get::<_, i64>("checks")? == 1, "the server forgot the check run that was begun at {sha}");
    drop(administrator);
    world.offshoot.restart().await?;
    world.offshoot.ready(&branch, &sha).await?;
    world.finish().await
}
