//! Who did what is written down, and only administrators read it.

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::github::{NewPullRequest, Role};
use integration::offshoot::BranchRef;
use serde_json::{Value, json};

use crate::shop::{SHOP, column};
use crate::world::World;

#[tokio::test]
async fn who_did_what_is_written_down() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let new = json!({ "name": "ci", "repository": SHOP });
    let made = world.offshoot.call(Method::POST, "/api/v1/tokens", Some(&new)).await?;
    let (token, id) = (made.text("token").to_owned(), made.body["id"].as_i64().context("id")?);
    world.offshoot.secrets().add(&token);
    let as_ci = async |method: Method, path: &str, body: Option<Value>, status: u16| -> Result<()> {
        let answer = world.offshoot.call_as(Some(&token), method, path, body.as_ref()).await?;
        ensure!(answer.status == status, "{path}: {answer:?}");
        Ok(())
    };
    as_ci(Method::POST, &format!("{}/reset", branch.path()), None, 202).await?;
    as_ci(Method::PATCH, &branch.path(), Some(json!({ "protected": true, "extend": "3d" })), 202).await?;
    // What was refused was not done.
    as_ci(Method::PATCH, &branch.path(), Some(json!({ "protected": false, "extend": "soon" })), 400).await?;
    as_ci(Method::GET, "/api/v1/audit", None, 403).await?;
    world.settle().await?;
    as_ci(Method::DELETE, &branch.path(), None, 202).await?;
    world.offshoot.call(Method::DELETE, &format!("/api/v1/tokens/{id}"), None).await?;
    approve_a_fork(&world).await?;
    world.settle().await?;

    let listed = listed(&world, &[]).await?;
    let said: Vec<[&str; 4]> = listed
        .iter()
        .map(|entry| {
            ["actor", "via", "action", "subject"].map(|name| entry[name].as_str().unwrap_or_default())
        })
        .collect();
    let (ci, token_subject) = (format!("token {id} (ci)"), format!("token {id}"));
    let subject = format!("{SHOP}#{}/main", branch.number);
    let fork = format!("{SHOP}#{}", branch.number + 1);
    let expected = [
        ["github:mallory", "github", "fork.approve", &fork],
        ["administrator", "api", "token.revoke", &token_subject],
        [&ci, "api", "branch.remove", &subject],
        [&ci, "api", "branch.protect", &subject],
        [&ci, "api", "branch.extend", &subject],
        [&ci, "api", "branch.reset", &subject],
        ["administrator", "api", "token.create", &token_subject],
    ];
    ensure!(said == expected, "{said:#?}");
    ensure!(
        listed.iter().all(|entry| entry["request_id"].is_string() || entry["via"] == "github"),
        "{listed:?}"
    );
    ensure!(listed[3]["details"] == json!({ "protected": true }), "{}", listed[3]);
    ensure!(
        self::listed(&world, &["--action", "branch.reset", "--subject", SHOP]).await?.len() == 1,
        "filters"
    );
    world.offshoot.secrets().ensure_absent("the audit log", &serde_json::to_string(&listed)?)?;
    ensure!(world.offshoot.log()?.contains("branch.reset"), "the log does not tell of it");
    world.finish().await
}

async fn approve_a_fork(world: &World) -> Result<()> {
    world.github.fork_repository(SHOP, "mallory")?;
    world.github.push("mallory/shop", "size", &[column("size")])?;
    let pull = NewPullRequest::new(SHOP, "main", "size").from_fork("mallory/shop").by("mallory");
    let branch = BranchRef::new(SHOP, world.github.open_pull_request(&pull)?);
    let sha = world.github.head_sha(SHOP, branch.number)?.to_string();
    world.github.set_role(SHOP, "mallory", Some(Role::Write))?;
    world.github.label(SHOP, branch.number, "offshoot:approve")?;
    world.offshoot.ready(&branch, &sha).await?;
    Ok(())
}

/// The log as the command prints it.
async fn listed(world: &World, filter: &[&str]) -> Result<Vec<Value>> {
    let arguments = [&["audit", "list", "--json"], filter].concat();
    let output = world.offshoot.command(&arguments).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout)?;
    list["entries"].as_array().cloned().context("entries")
}
