//! From outside the pull request's files: sessions of those who were given a branch's URL.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::offshoot::{Answer, BranchRef, connect};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Stage;
use crate::shop::column;

/// What a session does that keeps the next push from being replayed, unless the service makes its way.
const OBSTACLES: [(&str, &str); 5] = [
    ("Prisma's lock", "select pg_advisory_lock(72707369)"),
    ("its own role's entry", "begin; alter role current_user password 'another'"),
    ("another password", "alter role current_user password 'another'"),
    (
        "a library that is not there",
        "alter role current_user set local_preload_libraries = 'evil'; \
         do $$ begin execute format('alter role current_user in database %I set local_preload_libraries = ''evil''', current_database()); end $$",
    ),
    (
        "settings that fail every write",
        "alter role current_user set default_transaction_read_only = on; alter role current_user set search_path = nowhere; \
         alter role current_user set statement_timeout = 1; alter role current_user set role = none",
    ),
];

/// More than the longest limit of the suite, the guard's grace and its round.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

pub async fn attack(stage: &Stage) -> Result<()> {
    for (at, (what, sql)) in OBSTACLES.into_iter().enumerate() {
        obstructs(stage, at, sql).await.context(what)?;
    }
    takes_all_connections(stage).await.context("all connections")?;
    does_not_stop(stage).await.context("a session that goes on and on")?;
    holds_on_to_a_neighbour(stage).await.context("a neighbour's role")?;
    reads_with_the_reader(stage).await.context("the reader")
}

async fn ready(stage: &Stage, name: &str) -> Result<(BranchRef, Answer)> {
    let (branch, sha) = stage.world.propose(name, &[column("color")])?;
    let answer = stage.verdict(&branch, &sha).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    Ok((branch, answer))
}

/// The next push is replayed in place, and the URL works as before.
async fn is_taken_on(stage: &Stage, branch: &BranchRef, url: &str) -> Result<()> {
    let sha = stage.world.push(branch, &[column("size")])?;
    let answer = stage.verdict(branch, &sha).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    let client = connect(url).await?;
    client.batch_execute("insert into items (name, size) values ('x', 'y')").await?;
    stage.close(branch)
}

async fn obstructs(stage: &Stage, at: usize, sql: &str) -> Result<()> {
    let (branch, answer) = ready(stage, &format!("holder-{at}")).await?;
    let url = answer.database_url()?;
    let holder = connect(url).await?;
    holder.batch_execute(sql).await?;
    is_taken_on(stage, &branch, url).await
}

async fn takes_all_connections(stage: &Stage) -> Result<()> {
    let (branch, answer) = ready(stage, "holder-connections").await?;
    let url = answer.database_url()?;
    let mut held: Vec<Client> = Vec::new();
    let refused = loop {
        ensure!(held.len() < 50, "there is no limit");
        match connect(url).await {
            Ok(client) => held.push(client),
            Err(refused) => break refused,
        }
    };
    let cause = refused.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    ensure!(
        held.len() == 6 && cause == Some(&SqlState::TOO_MANY_CONNECTIONS),
        "{} connections, then {refused:?}",
        held.len()
    );
    is_taken_on(stage, &branch, url).await
}

/// Neither code that catches timeouts nor settings of the session's own keep it from being ended.
async fn does_not_stop(stage: &Stage) -> Result<()> {
    let (branch, answer) = ready(stage, "holder-loops").await?;
    let url = answer.database_url()?;
    let (looping, growing, idle) = (connect(url).await?, connect(url).await?, connect(url).await?);
    let off = "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;";
    for client in [&looping, &growing, &idle] {
        client.batch_execute(off).await?;
    }
    idle.batch_execute("begin; select 1").await?;
    let catches = "do $$ begin loop begin perform pg_sleep(600); exception when query_canceled then null; end; end loop; end $$";
    growing.batch_execute("create table big (x text)").await?;
    let grows = "do $$ begin loop insert into big select repeat(md5(i::text), 30) from generate_series(1, 5000) i; commit; end loop; end $$";
    let begun = tokio::time::Instant::now();
    let (looped, grown) = tokio::join!(looping.batch_execute(catches), growing.batch_execute(grows));
    // Asking it would be a sign of life.
    while !idle.is_closed() && begun.elapsed() < ENDED_WITHIN {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for ended in [looped, grown, idle.batch_execute("select 1").await] {
        let error = ended.err().context("it was not ended")?;
        ensure!(error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01"), "{error:?}");
    }
    println!("  sessions without end were ended after {:.1} s", begun.elapsed().as_secs_f64());
    stage.close(&branch)
}

/// A GRANT in a transaction that is never ended holds the other's role.
async fn holds_on_to_a_neighbour(stage: &Stage) -> Result<()> {
    let (victim, _) = ready(stage, "holder-victim").await?;
    let (hostile, answer) = ready(stage, "holder-grants").await?;
    let holder = connect(answer.database_url()?).await?;
    let role = format!("acme_shop_pr_{}", victim.number);
    holder.batch_execute(&format!("begin; set local idle_in_transaction_session_timeout = 0; grant select on items to {role}, {role}_ro")).await?;
    stage.close(&victim)?;
    stage.world.until(&format!("select not exists (select from pg_roles where rolname = '{role}')")).await?;
    stage.close(&hostile)
}

/// Who may read everything of a branch reads nothing of the server's.
async fn reads_with_the_reader(stage: &Stage) -> Result<()> {
    let (branch, answer) = ready(stage, "holder-reads").await?;
    let owner = connect(answer.database_url()?).await?;
    owner
        .batch_execute("create schema app; create table app.t (x int); create view app.v as select 1 as one")
        .await?;
    let reader = connect(answer.body["read_only_url"].as_str().context("a URL to read")?).await?;
    for allowed in [
        "select * from items",
        "select * from app.t",
        "select * from app.v",
        "select last_value from items_id_seq",
        "select * from _prisma_migrations",
    ] {
        reader.batch_execute(allowed).await.context(allowed)?;
    }
    // A setting of the reader's own, which it may lift: that it cannot write must not hang on it.
    reader.batch_execute("set default_transaction_read_only = off").await?;
    for denied in [
        "select rolpassword from pg_authid",
        "select passwd from pg_shadow",
        "select * from pg_user_mapping",
        "insert into items (name) values ('x')",
        "create table evil (x int)",
        "create temp table evil (x int)",
        "select pg_read_file('/etc/passwd')",
        &format!("set role acme_shop_pr_{}", branch.number),
    ] {
        let error =
            reader.batch_execute(denied).await.err().with_context(|| format!("{denied} went through"))?;
        ensure!(error.code().is_some_and(|code| code.code() == "42501"), "{denied}: {error:?}");
    }
    stage.close(&branch)
}
