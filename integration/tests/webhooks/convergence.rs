//! Whatever order, number and moment deliveries come in, the end is the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::git::Change;
use integration::github::{Fault, Matcher, NewPullRequest, Role};
use integration::offshoot::{BranchRef, connect};

use crate::shop::{SHOP, column, migration};
use crate::world::{LIMIT, World};

/// Longer than any of these tests may take.
const SLOW: &str = "select pg_sleep(30);\n";
/// Well below the slow migration's time.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn deliveries_reversed_and_doubled_converge_to_the_last_push() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    world.github.hold_deliveries();
    let (branch, _) = world.propose("color", &[column("color")])?;
    world.push(&branch, &[column("size")])?;
    let last = world.push(&branch, &[column("weight")])?;
    world.github.release_arranged(|guids| guids.iter().rev().chain(&guids).cloned().collect())?;
    let answer = world.offshoot.ready(&branch, &last).await?;
    world.settle().await?;
    ensure!(answer.applied()?.len() == 4, "{}", answer.body);
    world.the_comment(&branch)?;

    // The close arrives before the push that came before it.
    world.github.hold_deliveries();
    world.push(&branch, &[column("late")])?;
    world.github.close(SHOP, branch.number)?;
    world.github.release_arranged(|guids| guids.into_iter().rev().collect())?;
    world.settle().await?;
    let answer = world.offshoot.branch(&branch).await?;
    ensure!(answer.status == 410, "{answer:?}");
    world.finish().await
}

/// A pull request whose only migration sleeps; returns when it does.
async fn asleep(world: &World) -> Result<(BranchRef, String)> {
    world.open_shop()?;
    let (branch, sha) = world.propose("slow", &[migration("20260201000000_slow", SLOW)])?;
    world.until("select exists (select from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid())").await?;
    Ok((branch, sha))
}

#[tokio::test]
async fn a_push_supersedes_a_slow_migration() -> Result<()> {
    let world = World::start().await?;
    let (branch, first) = asleep(&world).await?;
    let pushed = Instant::now();
    let sha = world.push(&branch, &[migration("20260201000000_slow", "select 1;\n")])?;
    world.offshoot.ready(&branch, &sha).await?;
    ensure!(pushed.elapsed() < SOON, "it took {:?}", pushed.elapsed());
    world.settle().await?;
    world.ensure_checks_ended(SHOP, &[first.parse()?, sha.parse()?])?;
    world.the_comment(&branch)?;
    world.finish().await
}

#[tokio::test]
async fn a_close_ends_a_slow_migration_within_seconds() -> Result<()> {
    let world = World::start().await?;
    let (branch, sha) = asleep(&world).await?;
    let closed = Instant::now();
    world.github.close(SHOP, branch.number)?;
    world.settle().await?;
    ensure!(closed.elapsed() < SOON, "it took {:?}", closed.elapsed());
    let answer = world.offshoot.branch(&branch).await?;
    ensure!(answer.status == 410, "{answer:?}");
    world.until("select not exists (select from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid())").await?;
    world.ensure_checks_ended(SHOP, &[sha.parse()?])?;
    world.finish().await
}

#[tokio::test]
async fn a_reopened_pull_request_gets_a_fresh_database() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let first = world.offshoot.ready(&branch, &sha).await?;
    let client = connect(first.database_url()?).await?;
    client.batch_execute("insert into items (name) values ('written by a test')").await?;
    world.github.close(SHOP, branch.number)?;
    world.offshoot.branch_at(&branch, &sha, &[410]).await?;
    world.github.reopen(SHOP, branch.number)?;
    let fresh = world.offshoot.ready(&branch, &sha).await?;
    ensure!(fresh.database_url()? != first.database_url()?, "the old credentials are valid again");
    let client = connect(fresh.database_url()?).await?;
    let row = client.query_one("select count(*) as rows from items", &[]).await?;
    ensure!(row.try_get::<_, i64>("rows")? == 0, "the old data is there");
    ensure!(connect(first.database_url()?).await.is_err(), "the old URL still opens a database");
    drop(client);
    world.settle().await?;
    world.the_comment(&branch)?;
    world.finish().await
}

#[tokio::test]
async fn odd_pull_requests_are_dealt_with() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    // Its fork is deleted while it waits for approval: from then on its head's repository is null.
    world.github.fork_repository(SHOP, "visitor")?;
    let sha = world.github.push("visitor/shop", "patch", &[column("color")])?;
    let new = NewPullRequest::new(SHOP, "main", "patch").from_fork("visitor/shop");
    let branch = BranchRef::new(SHOP, world.github.open_pull_request(&new)?);
    world.offshoot.branch_at(&branch, &sha.to_string(), &[423]).await?;
    world.github.delete_repository("visitor/shop")?;
    world.github.edit_title(SHOP, branch.number, "Whose is this?")?;
    world.settle().await?;
    ensure!(world.offshoot.branch(&branch).await?.status == 423, "it waits no more");
    world.github.close(SHOP, branch.number)?;
    world.offshoot.branch_at(&branch, &sha.to_string(), &[410]).await?;

    // Closed before anybody told of its opening.
    world.github.set_webhook_url(None);
    let (unheard, _) = world.propose("unheard", &[column("size")])?;
    world.github.set_webhook_url(Some(world.offshoot.webhook_url()));
    world.github.close(SHOP, unheard.number)?;
    world.settle().await?;
    let answer = world.offshoot.branch(&unheard).await?;
    ensure!(matches!(answer.status.as_u16(), 404 | 410), "{answer:?}");
    ensure!(world.github.comments(SHOP, unheard.number)?.is_empty(), "a comment on nothing");
    world.finish().await
}

#[tokio::test]
async fn a_renamed_repository_keeps_its_branches() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let before = world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    world.github.rename_repository(SHOP, "store")?;
    world.settle().await?;
    let branch = BranchRef::new("acme/store", branch.number);
    let after = world.offshoot.ready(&branch, &sha).await?;
    ensure!(after.database_url()? == before.database_url()?, "another database");
    let sha = world.push(&branch, &[column("size")])?;
    let pushed = world.offshoot.ready(&branch, &sha).await?;
    ensure!(pushed.text("repository") == "acme/store", "{}", pushed.body);
    world.settle().await?;
    world.the_comment(&branch)?;
    world.finish().await
}

/// What GitHub no longer shows is given up, and nobody else waits for it.
#[tokio::test]
async fn a_repository_that_is_gone_harms_no_other() -> Result<()> {
    let world = World::start_with(|options| options.expected_trouble.push("job".to_owned())).await?;
    world.github.create_repository("gone", "away", "main", &crate::shop::base())?;
    world.open_shop()?;
    world.github.hold_deliveries();
    world.github.push("gone/away", "color", &[column("color")])?;
    let number = world.github.open_pull_request(&NewPullRequest::new("gone/away", "main", "color"))?;
    world.github.delete_repository("gone/away")?;
    world.github.release_deliveries()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let gone = BranchRef::new("gone/away", number);
    let answer = world.offshoot.call(Method::GET, &gone.path(), None).await?;
    ensure!(!answer.status.is_success() || answer.status == 202, "{answer:?}");
    ensure!(answer.body["database_url"].is_null(), "a URL for what is gone");
    world.finish().await
}

/// A repository is out of the App's reach for a while: what was removed with it comes back, and what nobody could be told meanwhile is said.
#[tokio::test]
async fn a_repository_that_is_back_goes_on_where_it_was() -> Result<()> {
    let world = World::start_with(|options| options.expected_trouble.push("job".to_owned())).await?;
    let (slow, stopped) = asleep(&world).await?;
    let (color, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&color, &sha).await?;
    let path = format!("/repos/{SHOP}/check-runs");
    world.asked(&Method::POST, &path).await?;
    world.github.fail(Matcher::new(Method::PATCH, &format!("{path}/*")), Fault::Status(500), None);
    world.github.close(SHOP, slow.number)?;
    world.until("select exists (select from branches where state = 'deleted')").await?;

    world.github.select_repositories("acme", Some(&[]))?;
    world.ask_for("sweep").await?;
    world.until("select removed_at is not null from repositories").await?;
    world.settle().await?;
    world.github.clear_faults();
    let removed = world.offshoot.branch(&color).await?;
    ensure!(matches!(removed.status.as_u16(), 404 | 410), "its repository is out of reach: {removed:?}");
    let runs = world.github.check_runs(SHOP, stopped.parse()?)?;
    ensure!(runs.iter().all(|run| run.status == "in_progress"), "nobody could be told of the end: {runs:?}");

    world.github.select_repositories("acme", None)?;
    world.run("sweep").await?;
    world.offshoot.ready(&color, &sha).await?;
    world.ensure_checks_ended(SHOP, &[stopped.parse()?, sha.parse()?])?;

    // By another installation, too.
    world.github.uninstall("acme")?;
    world.settle().await?;
    let removed = world.offshoot.branch(&color).await?;
    ensure!(matches!(removed.status.as_u16(), 404 | 410), "the App is off it: {removed:?}");
    world.github.install("acme");
    world.settle().await?;
    world.offshoot.ready(&color, &sha).await?;
    world.finish().await
}

/// What goes to an account with another installation keeps its databases, whoever hears of it first.
#[tokio::test]
async fn a_transferred_repository_keeps_its_branches() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let before = world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    world.github.install("umbrella");
    world.github.hold_deliveries();
    world.github.transfer_repository(SHOP, "umbrella")?;
    // It is not among those of its old installation any more.
    let ask = "insert into jobs (kind, subject, priority) select 'sync_installation', installation_id::text, 20 from repositories";
    world.offshoot.administrator().await?.execute(ask, &[]).await?;
    world.offshoot.idle(LIMIT).await?;
    world.ask_for("sweep").await?;
    world.offshoot.idle(LIMIT).await?;
    world.github.release_deliveries()?;
    world.settle().await?;
    let branch = BranchRef::new("umbrella/shop", branch.number);
    let after = world.offshoot.ready(&branch, &sha).await?;
    ensure!(after.database_url()? == before.database_url()?, "another database");
    ensure!(after.body["generation"] == before.body["generation"], "it was built anew: {}", after.body);
    let sha = world.push(&branch, &[column("size")])?;
    let pushed = world.offshoot.ready(&branch, &sha).await?;
    ensure!(pushed.text("repository") == "umbrella/shop", "{}", pushed.body);
    world.settle().await?;
    world.finish().await
}

/// GitHub is known to say in an outage that nothing is there. It does not even know the App then, and is not believed.
#[tokio::test]
async fn an_outage_that_denies_everything_takes_nothing_away() -> Result<()> {
    let world = World::start_with(|options| options.expected_trouble.push("job".to_owned())).await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let before = world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    world.github.fail(Matcher::all(), Fault::Status(404), None);
    world.ask_for("sweep").await?;
    world.until("select exists (select from jobs where kind = 'sync_repository' and failures > 0)").await?;
    world.github.clear_faults();
    world.settle().await?;
    let after = world.offshoot.ready(&branch, &sha).await?;
    ensure!(after.body["generation"] == before.body["generation"], "it was built anew: {}", after.body);
    world.finish().await
}

/// The configuration is the base's: what a pull request writes into it has no effect on itself.
#[tokio::test]
async fn configuration_is_the_base_s() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let config =
        Change::write(".offshoot.toml", "[[database]]\nname = \"main\"\nmigrations = \"elsewhere\"\n");
    let (branch, sha) = world.propose("config", &[config, column("color")])?;
    let answer = world.offshoot.ready(&branch, &sha).await?;
    let last = answer.applied()?.pop().context("migrations")?;
    ensure!(last.name == "20260201000000_color", "{last:?}");
    world.finish().await
}

#[tokio::test]
async fn a_fork_waits_for_the_label_and_waits_again_after_a_push() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    world.github.fork_repository(SHOP, "mallory")?;
    world.github.push("mallory/shop", "color", &[column("color")])?;
    let pull = NewPullRequest::new(SHOP, "main", "color").from_fork("mallory/shop").by("mallory");
    let branch = BranchRef::new(SHOP, world.github.open_pull_request(&pull)?);
    let first = world.github.head_sha(SHOP, branch.number)?.to_string();
    let answer = world.offshoot.branch_at(&branch, &first, &[423]).await?;
    ensure!(answer.text("detail").contains("offshoot:approve"), "{answer:?}");

    // The author may not write to the repository, so their own label is nothing.
    world.github.label(SHOP, branch.number, "offshoot:approve")?;
    world.settle().await?;
    world.offshoot.branch_at(&branch, &first, &[423]).await?;

    world.github.set_role(SHOP, "mallory", Some(Role::Write))?;
    world.github.unlabel(SHOP, branch.number, "offshoot:approve")?;
    world.github.label(SHOP, branch.number, "offshoot:approve")?;
    world.offshoot.ready(&branch, &first).await?;
    let second = world.push(&branch, &[column("size")])?;
    world.offshoot.branch_at(&branch, &second, &[423]).await?;
    world.settle().await?;
    world.finish().await
}
