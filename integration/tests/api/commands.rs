//! The command line against a running service: what it prints, and the exit codes that scripts rely on.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::shop::{SHOP, column, migration};
use crate::world::World;

pub async fn run(world: &World, arguments: &[&str]) -> Result<(i32, String, String)> {
    let output: Output = world.offshoot.command(arguments).output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().context("it was ended by a signal")?;
    Ok((code, text(&output.stdout), text(&output.stderr)))
}

#[tokio::test]
async fn the_url_command_tells_ready_failed_misused_and_unavailable_apart() -> Result<()> {
    let mut world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let number = branch.number.to_string();
    let url = ["url", "--repo", SHOP, "--pr", &number, "--sha", &sha, "--wait", "30s"];
    let (code, stdout, stderr) = run(&world, &url).await?;
    let answer = world.offshoot.ready(&branch, &sha).await?;
    ensure!(code == 0 && stdout == format!("{}\n", answer.database_url()?), "{code}: {stdout}{stderr}");
    let (code, stdout, _) = run(&world, &[&url[..], &["--json"]].concat()).await?;
    let document: Value = serde_json::from_str(&stdout)?;
    ensure!(code == 0 && document["database_url"] == answer.body["database_url"], "{stdout}");

    let bad = migration("20260202000000_bad", "select\n  nothing_here;\n");
    let failing = world.push(&branch, &[bad])?;
    let (code, stdout, stderr) =
        run(&world, &["url", "--repo", SHOP, "--pr", &number, "--sha", &failing]).await?;
    ensure!(code == 1 && stdout.is_empty(), "{code}: {stdout}{stderr}");
    ensure!(stderr.contains("20260202000000_bad") && stderr.contains("line 2"), "{stderr}");

    let (code, _, stderr) = run(&world, &["url", "--repo", "no-slash", "--pr", "1"]).await?;
    ensure!(code == 2, "{code}: {stderr}");
    let never = ["url", "--repo", SHOP, "--pr", &number, "--sha", &"0".repeat(40), "--wait", "1s"];
    let (code, stdout, _) = run(&world, &never).await?;
    ensure!(code == 3 && stdout.is_empty(), "{code}: {stdout}");
    world.settle().await?;
    world.offshoot.terminate().await?;
    let (code, _, stderr) = run(&world, &["url", "--repo", SHOP, "--pr", &number, "--wait", "1s"]).await?;
    ensure!(code == 3 && stderr.contains("does not answer"), "{code}: {stderr}");
    world.offshoot.restart().await?;
    world.finish().await
}

#[tokio::test]
async fn branches_and_tokens_are_managed_from_a_shell() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let number = branch.number.to_string();
    let one = ["--repo", SHOP, "--pr", number.as_str()];
    let with = |words: &[&'static str]| -> Vec<&str> { [words, &one[..]].concat() };

    let (code, list, _) = run(&world, &["branch", "list"]).await?;
    ensure!(code == 0 && list.contains("acme_shop_pr_1") && list.contains("ready"), "{list}");
    let (code, shown, _) = run(&world, &with(&["branch", "show"])).await?;
    ensure!(code == 0 && shown.contains(&sha) && !shown.contains("postgres://"), "{shown}");
    let (code, kept, _) = run(&world, &with(&["branch", "protect", "--json"])).await?;
    ensure!(code == 0 && serde_json::from_str::<Value>(&kept)?["protected"] == true, "{kept}");
    ensure!(run(&world, &with(&["branch", "extend", "--by", "3d"])).await?.0 == 0, "extend");
    ensure!(run(&world, &with(&["branch", "reset"])).await?.0 == 0, "reset");
    world.settle().await?;
    ensure!(run(&world, &with(&["branch", "delete"])).await?.0 == 0, "delete");
    world.settle().await?;
    let (code, list, _) = run(&world, &["branch", "list", "--json"]).await?;
    ensure!(code == 0 && serde_json::from_str::<Value>(&list)?["total"] == 0, "{list}");

    let (code, token, _) = run(&world, &["token", "create", "ci", "--repo", SHOP, "--read-only"]).await?;
    ensure!(code == 0 && token.trim().len() >= 16, "a token: {code}");
    world.offshoot.secrets().add(token.trim());
    let (_, tokens, _) = run(&world, &["token", "list", "--json"]).await?;
    let tokens: Value = serde_json::from_str(&tokens)?;
    ensure!(tokens[0]["name"] == "ci" && tokens[0]["read_only"] == true, "{tokens}");
    ensure!(run(&world, &["token", "revoke", &tokens[0]["id"].to_string()]).await?.0 == 0, "revoke");
    ensure!(run(&world, &["token", "revoke", "4711"]).await?.0 == 2, "revoke what is not there");
    world.finish().await
}

#[tokio::test]
async fn the_doctor_looks_at_everything() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (code, found, stderr) = run(&world, &["doctor"]).await?;
    ensure!(code == 0 && !found.contains("not ok"), "{code}: {found}{stderr}");
    for looked_at in ["webhook secret", "secret key", "API token", "public URL", "databases", "GitHub"] {
        ensure!(found.contains(&format!("ok {looked_at}: ")), "nothing of {looked_at}: {found}");
    }
    world.offshoot.secrets().ensure_absent("the doctor's findings", &found)?;

    world.github.set_permission("acme", "checks", None)?;
    let (code, found, _) = run(&world, &["doctor"]).await?;
    ensure!(code == 1 && found.contains("not ok GitHub") && found.contains("checks"), "{code}: {found}");
    let mut wrong = world.offshoot.command(&["serve"]);
    let output = wrong.env_remove("OFFSHOOT_GITHUB_WEBHOOK_SECRET").output().await?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2) && stderr.contains("OFFSHOOT_GITHUB_WEBHOOK_SECRET"), "{stderr}");
    world.finish().await
}
