//! Settings that would leave a door open, or say nothing of what is wrong with them.

use anyhow::{Context, Result, ensure};

use crate::shop::SHOP;
use crate::world::World;

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_its_name_and_an_example() -> Result<()> {
    let world = World::start().await?;
    for (name, value, example) in [
        ("OFFSHOOT_API_TOKEN", "", "openssl rand -hex 32"),
        ("OFFSHOOT_API_TOKEN", "letmein", "openssl rand -hex 32"),
        ("OFFSHOOT_GITHUB_WEBHOOK_SECRET", "hush", "openssl rand -hex 32"),
        ("OFFSHOOT_PUBLIC_URL", "https://ann:hunter2@offshoot.acme.dev", "https://offshoot.acme.dev"),
        ("OFFSHOOT_PUBLIC_URL", "https://offshoot.acme.dev/?a=hunter2", "https://offshoot.acme.dev"),
        ("OFFSHOOT_BRANCH_ADDRESS", "db.acme.dev", "db.acme.dev:5432"),
        ("OFFSHOOT_ALLOWED_EXTENSIONS", "pgcrypto,\"; drop", "pgcrypto,citext"),
        ("OFFSHOOT_LISTEN", "8080", "localhost:8080"),
        ("OFFSHOOT_TRUSTED_PROXIES", "everybody", "10.0.0.0/8"),
        ("OFFSHOOT_DISK_FLOOR", "plenty", "20G"),
        ("OFFSHOOT_IDLE_TTL", "5m", "`3d`"),
        ("RUST_LOG", "offshoot=loudly", "warn,offshoot=debug"),
    ] {
        let output = world.offshoot.command(&["serve"]).env(name, value).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(2), "{name}={value}: {}: {said}", output.status);
        let flag = name.trim_start_matches("OFFSHOOT_").to_lowercase().replace('_', "-");
        ensure!(said.contains(name) || said.contains(&format!("--{flag}")), "{name}={value}: {said}");
        ensure!(said.contains(example) && !said.contains("hunter2"), "{name}={value}: {said}");
    }
    world.finish().await
}

/// Unknown for as long as anybody waits is no mistake of the command's user.
#[tokio::test]
async fn a_branch_that_never_comes_is_not_called_a_mistake() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let url = ["url", "--repo", SHOP, "--pr", "4711", "--wait", "1s"];
    let output = world.offshoot.command(&url).output().await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(3) && output.stdout.is_empty(), "{}: {said}", output.status);
    ensure!(said.contains("4711") && said.contains("1s"), "{said}");
    world.finish().await
}

#[tokio::test]
async fn a_name_does_for_the_address_to_listen_on() -> Result<()> {
    let mut world = World::start().await?;
    let address = world.offshoot.url().strip_prefix("http://").context("an http URL")?.to_owned();
    world.offshoot.terminate().await?;
    let named = address.replace("127.0.0.1", "localhost");
    world.offshoot.set("OFFSHOOT_LISTEN", Some(&named));
    world.offshoot.restart().await?;
    let health = world.offshoot.command(&["health"]).output().await?;
    ensure!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));
    world.finish().await
}
