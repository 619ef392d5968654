//! Forks: a database of its own for each test run, from the branch's ready state.

mod at_hand;
mod crash;
mod ending;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use http::Method;
use integration::git::Change;
use integration::offshoot::{Answer, BranchRef, connect};
use integration::prisma::{bookkeeping_rows, schema_fingerprint};
use serde_json::{Value, json};

use crate::api::ensure_problem;
use crate::shop::{SHOP, column, migration};
use crate::world::World;

/// A shop whose base has a seed, with a pull request that adds a column and a row.
async fn seeded(world: &World) -> Result<(BranchRef, String)> {
    world.open_shop_with(&[
        Change::write(".offshoot.toml", "[[database]]\nname = \"main\"\nseed = [\"seed/*.sql\"]\n"),
        Change::write("seed/1.sql", "insert into items (name) values ('first');\n"),
    ])?;
    let own = Change::write("seed/2.sql", "insert into items (name, color) values ('second', 'red');\n");
    let (branch, sha) = world.propose("color", &[column("color"), own])?;
    world.offshoot.ready(&branch, &sha).await?;
    Ok((branch, sha))
}

/// Asks for a fork.
pub(crate) async fn fork(world: &World, branch: &BranchRef, query: &str) -> Result<Answer> {
    let path = format!("{}/forks{query}", branch.path());
    world.offshoot.call(Method::POST, &path, Some(&json!({}))).await
}

async fn forked(world: &World, branch: &BranchRef) -> Result<Answer> {
    let fork = fork(world, branch, "").await?;
    ensure!(fork.status == 201, "{fork:?}");
    Ok(fork)
}

/// Ends a fork before its time.
async fn delete(world: &World, fork: &Answer) -> Result<Answer> {
    world.offshoot.call(Method::DELETE, &format!("/api/v1/forks/{}", fork.text("id")), None).await
}

/// A branch's forks as the API lists them.
async fn list(world: &World, branch: &BranchRef) -> Result<Vec<Value>> {
    let list = world.offshoot.call(Method::GET, &format!("{}/forks", branch.path()), None).await?;
    Ok(list.body["forks"].as_array().cloned().unwrap_or_default())
}

/// The name that a URL ends with.
fn database_of(fork: &Answer) -> Result<&str> {
    fork.database_url()?.rsplit('/').next().context("a URL has a path")
}

/// What `items` holds, in order.
async fn items(client: &tokio_postgres::Client) -> Result<Vec<String>> {
    let rows = client.query("select name from items order by name", &[]).await?;
    rows.iter().map(|row| Ok(row.try_get("name")?)).collect()
}

/// What a database says of itself.
async fn identity(client: &tokio_postgres::Client) -> Result<Value> {
    let sql = "select shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()";
    let comment: String = client.query_one(sql, &[]).await?.try_get("comment")?;
    Ok(serde_json::from_str(&comment)?)
}

#[tokio::test]
async fn sixty_four_at_once_are_all_different_and_all_the_branch() -> Result<()> {
    let world = World::start().await?;
    // The server's last checkpoint would wait for the files of all 64, which nobody will miss.
    let administrator = world.offshoot.administrator().await?;
    administrator.batch_execute("alter system set fsync = off").await?;
    administrator.batch_execute("select pg_reload_conf()").await?;
    drop(administrator);
    let (branch, sha) = seeded(&world).await?;
    let own = connect(world.offshoot.ready(&branch, &sha).await?.database_url()?).await?;
    let (schema, rows) = (schema_fingerprint(&own).await?, bookkeeping_rows(&own).await?);
    own.batch_execute("insert into items (name) values ('by hand')").await?;
    drop(own);

    let forks = try_join_all((0..64).map(|_| forked(&world, &branch))).await?;
    let distinct: BTreeSet<&str> = forks.iter().map(database_of).collect::<Result<_>>()?;
    ensure!(distinct.len() == 64, "{} of 64 are distinct", distinct.len());
    for fork in &forks {
        let client = connect(fork.database_url()?).await?;
        ensure!(items(&client).await? == ["first", "second"], "{:?}", items(&client).await?);
        ensure!(bookkeeping_rows(&client).await? == rows, "another history than the branch's");
        ensure!(schema_fingerprint(&client).await? == schema, "another schema than the branch's");
        let identity = identity(&client).await?;
        let told = json!({ "offshoot": 1, "repository": SHOP, "pull_request": branch.number, "database": "main",
                           "generation": 1, "sha": sha, "fork": fork.text("id") });
        ensure!(identity == told, "{identity}");
    }
    world.offshoot.idle(crate::world::LIMIT).await?;
    // A warm one, to the last: what was made for one caller is nobody else's.
    let more = forked(&world, &branch).await?;
    ensure!(!distinct.contains(database_of(&more)?), "handed out twice: {}", more.text("id"));
    world.finish().await
}

#[tokio::test]
async fn a_fork_is_its_caller_s_alone() -> Result<()> {
    let world = World::start().await?;
    let (branch, sha) = seeded(&world).await?;
    let (one, other) = (forked(&world, &branch).await?, forked(&world, &branch).await?);
    let (mine, theirs) = (connect(one.database_url()?).await?, connect(other.database_url()?).await?);
    mine.batch_execute("drop table items; create table items (name text, extra int)").await?;
    ensure!(items(&theirs).await? == ["first", "second"], "one fork changed another");
    let ready = world.offshoot.ready(&branch, &sha).await?;
    ensure!(items(&connect(ready.database_url()?).await?).await?.len() == 2, "a fork changed its branch");
    for elsewhere in [database_of(&other)?, database_of(&ready)?, "postgres"] {
        let url = one.database_url()?.replace(&format!("/{}", database_of(&one)?), &format!("/{elsewhere}"));
        ensure!(connect(&url).await.is_err(), "a fork's role got into {elsewhere}");
    }
    // What a test run does with a database of its own: migrate on.
    theirs
        .batch_execute("alter table items add column size int; create schema extra; create extension citext")
        .await?;
    world.finish().await
}

#[tokio::test]
async fn what_cannot_be_forked_says_why() -> Result<()> {
    let world = World::start().await?;
    let (branch, sha) = seeded(&world).await?;
    let missing = fork(&world, &BranchRef::new(SHOP, 4711), "").await?;
    ensure_problem(&missing, 404, "not-found")?;
    ensure_problem(&fork(&world, &branch, "?database=other").await?, 404, "not-found")?;
    let other = fork(&world, &branch, &format!("?sha={}", "0".repeat(40))).await?;
    ensure_problem(&other, 409, "branch-unready")?;
    ensure!(other.headers.contains_key("retry-after"), "{other:?}");
    for (body, why) in [
        (json!({ "ttl": "soon" }), "no duration"),
        (json!({ "ttl": "25h" }), "at most 1day"),
        (json!({ "ttl": "0s" }), "at least a second"),
    ] {
        let path = format!("{}/forks", branch.path());
        let answer = world.offshoot.call(Method::POST, &path, Some(&body)).await?;
        ensure_problem(&answer, 400, "bad-request")?;
        ensure!(answer.text("detail").contains(why), "{body}: {answer:?}");
    }
    let unknown = json!({ "TTL": "1h" });
    let answer =
        world.offshoot.call(Method::POST, &format!("{}/forks", branch.path()), Some(&unknown)).await?;
    ensure_problem(&answer, 422, "unprocessable")?;
    let bad = world.push(&branch, &[migration("20260202000000_bad", "select nothing_here;\n")])?;
    world.offshoot.branch_at(&branch, &bad, &[409]).await?;
    ensure_problem(&fork(&world, &branch, "").await?, 409, "migration-failed")?;
    ensure_problem(&fork(&world, &branch, &format!("?sha={sha}")).await?, 409, "branch-unready")?;
    world.github.close(SHOP, branch.number)?;
    world.settle().await?;
    ensure_problem(&fork(&world, &branch, "").await?, 410, "branch-deleted")?;
    world.finish().await
}

#[tokio::test]
async fn a_token_that_reads_may_fork_and_a_stranger_s_may_not() -> Result<()> {
    let world = World::start().await?;
    let (branch, _) = seeded(&world).await?;
    let make = async |new: Value| -> Result<String> {
        let made = world.offshoot.call(Method::POST, "/api/v1/tokens", Some(&new)).await?;
        world.offshoot.secrets().add(made.text("token"));
        Ok(made.text("token").to_owned())
    };
    let reader = make(json!({ "name": "ci", "repository": SHOP, "read_only": true })).await?;
    let stranger = make(json!({ "name": "stranger", "repository": "acme/other" })).await?;
    let path = format!("{}/forks", branch.path());
    let made = world.offshoot.call_as(Some(&reader), Method::POST, &path, None).await?;
    ensure!(made.status == 201, "{made:?}");
    let one = format!("/api/v1/forks/{}", made.text("id"));
    for (method, path) in [(Method::POST, &path), (Method::GET, &path), (Method::DELETE, &one)] {
        let refused = world.offshoot.call_as(Some(&stranger), method, path, None).await?;
        ensure_problem(&refused, 404, "not-found")?;
    }
    let list = world.offshoot.call_as(Some(&reader), Method::GET, &path, None).await?;
    ensure!(list.body["forks"][0]["id"] == made.body["id"], "{list:?}");
    ensure!(!list.body.to_string().contains("postgres://"), "a list with URLs");
    ensure!(
        world.offshoot.call_as(Some(&reader), Method::DELETE, &one, None).await?.status == 204,
        "deleted"
    );
    world.finish().await
}

#[tokio::test]
async fn forks_are_made_listed_and_deleted_from_a_shell() -> Result<()> {
    let world = World::start().await?;
    let (branch, sha) = seeded(&world).await?;
    let number = branch.number.to_string();
    let one = ["--repo", SHOP, "--pr", &number];
    let run = async |words: &[&str]| crate::api::run(&world, words).await;
    let create = [&["fork", "create"], &one[..], &["--sha", &sha, "--ttl", "5m"]].concat();
    let (code, url, said) = run(&create).await?;
    world.offshoot.secrets().add_password_of(url.trim());
    ensure!(code == 0 && url.starts_with("postgres://") && said.contains("until"), "{code}: {said}");
    connect(url.trim()).await?;
    let (code, json, _) = run(&[&create[..], &["--json"]].concat()).await?;
    let fork: Value = serde_json::from_str(&json)?;
    let text = |name: &str| fork[name].as_str().unwrap_or_default().to_owned();
    world.offshoot.secrets().add_password_of(&text("database_url"));
    ensure!(code == 0 && !text("expires_at").is_empty(), "{code}: {said}");
    let (code, list, _) = run(&[&["fork", "list"], &one[..]].concat()).await?;
    ensure!(code == 0 && list.contains(&text("id")) && !list.contains("postgres://"), "{list}");
    ensure!(run(&["fork", "delete", &text("id")]).await?.0 == 0, "delete");
    ensure!(run(&["fork", "delete", &text("id")]).await?.0 == 2, "delete what is gone");
    let unknown = "0".repeat(40);
    let never = [&["fork", "create"], &one[..], &["--sha", &unknown, "--wait", "1s"]].concat();
    ensure!(run(&never).await?.0 == 3, "a commit that never comes");
    let bad = world.push(&branch, &[migration("20260202000000_bad", "select nothing_here;\n")])?;
    let failing = [&["fork", "create"], &one[..], &["--sha", &bad]].concat();
    let (code, _, said) = run(&failing).await?;
    ensure!(code == 1 && said.contains("20260202000000_bad"), "{code}: {said}");
    world.finish().await
}
