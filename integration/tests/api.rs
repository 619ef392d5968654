//! The API and the commands that use it: as a CI job, a reviewer and an operator.

mod commands;
mod events;
mod previews;
mod tokens;

use anyhow::{Context, Result, ensure};
pub use commands::run;
use http::Method;
use integration::git::Change;
use integration::github::NewPullRequest;
use integration::offshoot::{Answer, BranchRef, connect};
use serde_json::json;

use crate::shop::{SHOP, column, migration};
use crate::world::World;

/// An RFC 9457 problem of this status and type.
pub fn ensure_problem(answer: &Answer, status: u16, kind: &str) -> Result<()> {
    ensure!(answer.status == status, "{answer:?} instead of {status}");
    ensure!(answer.headers["content-type"] == "application/problem+json", "{answer:?}");
    ensure!(answer.text("type").ends_with(&format!("/{kind}")), "{} instead of {kind}", answer.text("type"));
    ensure!(answer.body["status"] == status && !answer.text("title").is_empty(), "{answer:?}");
    ensure!(!answer.text("detail").is_empty() && answer.body["database_url"].is_null(), "{answer:?}");
    Ok(())
}

/// Invariant 4: the URL of one commit's database is never the answer for another.
#[tokio::test]
async fn a_url_is_only_handed_out_for_the_commit_asked_for() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, first) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &first).await?;

    // GitHub has a newer head than anybody told the service of.
    world.github.hold_deliveries();
    let second = world.push(&branch, &[column("size")])?;
    let path = format!("{}?sha={second}&wait=1", branch.path());
    let early = world.offshoot.call(Method::GET, &path, None).await?;
    ensure!(early.status == 202 && early.headers.contains_key("retry-after"), "{early:?}");
    ensure!(
        early.body["database_url"].is_null() && early.body["read_only_url"].is_null(),
        "a URL too early: {early:?}"
    );
    world.github.release_deliveries()?;
    let ready = world.offshoot.ready(&branch, &second).await?;
    ensure!(ready.text("head_sha") == second && ready.applied()?.len() == 3, "{}", ready.body);
    let late = world.offshoot.call(Method::GET, &format!("{}?sha={first}", branch.path()), None).await?;
    ensure!(late.status == 202 && late.body["database_url"].is_null(), "an old commit's URL: {late:?}");

    // The other URL reads and does not write.
    let reader = connect(ready.body["read_only_url"].as_str().context("read_only_url")?).await?;
    reader.query("select size from items", &[]).await?;
    ensure!(reader.batch_execute("insert into items (name) values ('x')").await.is_err(), "the reader wrote");
    drop(reader);
    world.finish().await
}

#[tokio::test]
async fn what_is_not_ready_is_a_problem_with_a_stable_type() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let missing = world.offshoot.branch(&BranchRef::new(SHOP, 4711)).await?;
    ensure_problem(&missing, 404, "not-found")?;
    let unknown = world.offshoot.branch(&BranchRef::new("nobody/knows", 1)).await?;
    ensure_problem(&unknown, 404, "not-found")?;
    let malformed =
        world.offshoot.call(Method::GET, &format!("/api/v1/repos/{SHOP}/pulls/one/branch"), None).await?;
    ensure_problem(&malformed, 400, "bad-request")?;

    let bad = "-- a comment\nalter table items add column size int;\ninsert into nowhere values (1);\n";
    let (failing, sha) = world.propose("bad", &[migration("20260201000000_bad", bad)])?;
    let failed = world.offshoot.branch_at(&failing, &sha, &[409]).await?;
    ensure_problem(&failed, 409, "migration-failed")?;
    let told = json!({
        "database": "main", "sha": sha, "migration": "20260201000000_bad",
        "file": "prisma/migrations/20260201000000_bad/migration.sql", "line": 3, "column": 13,
        "statement": "insert into nowhere values (1)", "sqlstate": "42P01",
        "message": "relation \"nowhere\" does not exist",
    });
    for (name, value) in told.as_object().context("an object")? {
        ensure!(failed.body[name] == *value, "{name} is {} instead of {value}", failed.body[name]);
    }

    world.github.fork_repository(SHOP, "visitor")?;
    let sha = world.github.push("visitor/shop", "patch", &[column("color")])?.to_string();
    let new = NewPullRequest::new(SHOP, "main", "patch").from_fork("visitor/shop");
    let blocked = BranchRef::new(SHOP, world.github.open_pull_request(&new)?);
    let answer = world.offshoot.branch_at(&blocked, &sha, &[423]).await?;
    ensure_problem(&answer, 423, "branch-blocked")?;

    world.github.close(SHOP, failing.number)?;
    let gone = world.offshoot.branch_at(&failing, "", &[410, 400]).await?;
    ensure!(gone.status == 400, "an empty commit is malformed: {gone:?}");
    world.settle().await?;
    ensure_problem(&world.offshoot.branch(&failing).await?, 410, "branch-deleted")?;
    world.finish().await
}

#[tokio::test]
async fn a_branch_is_reset_kept_and_removed_on_request() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let before = world.offshoot.ready(&branch, &sha).await?;
    let client = connect(before.database_url()?).await?;
    client.batch_execute("insert into items (name) values ('by hand')").await?;

    let reset = world.offshoot.call(Method::POST, &format!("{}/reset", branch.path()), None).await?;
    ensure!(reset.status == 202, "{reset:?}");
    world.settle().await?;
    let after = world.offshoot.ready(&branch, &sha).await?;
    ensure!(after.database_url()? == before.database_url()?, "a reset changed the URL");
    ensure!(after.body["generation"].as_i64() > before.body["generation"].as_i64(), "{}", after.body);
    let client = connect(after.database_url()?).await?;
    let row = client.query_one("select count(*) as rows from items", &[]).await?;
    ensure!(row.try_get::<_, i64>("rows")? == 0, "data outlived the reset");
    drop(client);

    let wish = json!({ "protected": true, "extend": "30d" });
    let kept = world.offshoot.call(Method::PATCH, &branch.path(), Some(&wish)).await?;
    ensure!(kept.status == 202 && kept.body["protected"] == true, "{kept:?}");
    ensure!(kept.text("expires_at") > after.text("expires_at"), "{} is no later", kept.text("expires_at"));
    let odd = world.offshoot.call(Method::PATCH, &branch.path(), Some(&json!({ "extend": "soon" }))).await?;
    ensure_problem(&odd, 400, "bad-request")?;

    let removed = world.offshoot.call(Method::DELETE, &branch.path(), None).await?;
    ensure!(removed.status == 202, "{removed:?}");
    world.settle().await?;
    ensure_problem(&world.offshoot.branch(&branch).await?, 410, "branch-deleted")?;
    let sha = world.push(&branch, &[Change::write("README.md", "again\n")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.finish().await
}

/// A pull request whose webhook never came.
#[tokio::test]
async fn a_branch_is_made_without_a_webhook() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    world.github.set_webhook_url(None);
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let asked = world.offshoot.call(Method::POST, &branch.path(), None).await?;
    ensure!(asked.status == 202, "{asked:?}");
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    world.the_comment(&branch)?;
    world.finish().await
}

#[tokio::test]
async fn the_description_lists_every_route() -> Result<()> {
    let world = World::start().await?;
    let description = world.offshoot.call_as(None, Method::GET, "/api/openapi.json", None).await?;
    let branch = "/api/v1/repos/{owner}/{name}/pulls/{number}/branch";
    let routes = [
        (branch.to_owned(), vec!["get", "post", "patch", "delete"]),
        (format!("{branch}/reset"), vec!["post"]),
        (format!("{branch}/events"), vec!["get"]),
        (format!("{branch}/forks"), vec!["get", "post"]),
        ("/api/v1/forks/{id}".to_owned(), vec!["delete"]),
        ("/api/v1/branches".to_owned(), vec!["get"]),
        ("/api/v1/tokens".to_owned(), vec!["get", "post"]),
        ("/api/v1/tokens/{id}".to_owned(), vec!["delete"]),
    ];
    for (path, methods) in routes {
        for method in methods {
            let operation = &description.body["paths"][&path][method];
            ensure!(operation["responses"].is_object(), "{method} {path} is not described: {operation}");
        }
    }
    world.finish().await
}
