//! What the webhook's door answers.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use integration::github::{Signing, signature};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use crate::shop::column;
use crate::world::{LIMIT, World};

const SECRET: &str = "it is a secret to everybody";

/// Posts a body with these headers; the answer's status.
async fn post(world: &World, headers: &[(&str, &str)], body: Vec<u8>) -> Result<u16> {
    let mut request = reqwest::Client::new().post(world.offshoot.webhook_url()).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?.status().as_u16())
}

/// Posts a delivery as GitHub does, signed rightly.
async fn deliver(world: &World, guid: &str, event: &str, body: &[u8]) -> Result<u16> {
    let signed = signature(SECRET, body);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-delivery", guid),
        ("x-github-event", event),
        ("x-hub-signature-256", signed.as_str()),
    ];
    post(world, &headers, body.to_vec()).await
}

/// Announces a body of this length and sends none of it; the first line of the answer.
async fn announce(world: &World, length: usize) -> Result<String> {
    let url = world.offshoot.url();
    let address = url.strip_prefix("http://").context("an http URL")?;
    let mut stream = BufStream::new(TcpStream::connect(address).await?);
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         x-github-delivery: large\r\nx-github-event: pull_request\r\nx-hub-signature-256: sha256=00\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let mut line = String::new();
    tokio::time::timeout(LIMIT, stream.read_line(&mut line)).await.context("no answer to a large body")??;
    Ok(line)
}

#[tokio::test]
async fn answers_say_what_became_of_a_delivery() -> Result<()> {
    let world =
        World::start_with(|options| options.expected_trouble.push("refused a delivery".to_owned())).await?;
    let ping = world.github.ping();
    world.open_shop()?;
    world.propose("color", &[column("color")])?;
    world.settle().await?;
    let opened =
        world.github.deliveries().into_iter().find(|delivery| delivery.action.as_deref() == Some("opened"));
    let opened = opened.context("a delivery of the opening")?;
    ensure!(opened.status() == Some(202), "the opening: {:?}", opened.attempts);

    let status = |guid: &str| {
        world.github.deliveries().into_iter().find(|one| one.guid == guid).and_then(|one| one.status())
    };
    ensure!(status(&ping) == Some(200), "a ping");
    for (signing, expected) in [(Signing::Right, 200), (Signing::Wrong, 401), (Signing::Missing, 401)] {
        match signing {
            Signing::Right => world.github.redeliver(&opened.guid)?,
            wrong => world.github.forge(&opened.guid, wrong)?,
        }
        world.github.wait_for_deliveries(LIMIT).await?;
        ensure!(
            status(&opened.guid) == Some(expected),
            "{signing:?}: {:?} instead of {expected}",
            status(&opened.guid)
        );
    }
    ensure!(deliver(&world, "not-json", "pull_request", b"{").await? == 400, "half a JSON");
    ensure!(deliver(&world, "no delivery id!", "ping", b"{}").await? == 400, "a malformed delivery id");
    ensure!(deliver(&world, "nothing-to-do", "star", b"{}").await? == 200, "an event that needs nothing");
    ensure!(announce(&world, 25 * 1024 * 1024 + 1).await?.starts_with("HTTP/1.1 413 "), "a body over 25 MiB");
    world.finish().await
}

/// GitHub's other content type, and what nobody should send.
#[tokio::test]
async fn odd_bodies_are_understood_or_refused() -> Result<()> {
    let adjust = |options: &mut integration::offshoot::Options| {
        let secrets = format!("the one that is coming, {SECRET}");
        options.environment.push(("OFFSHOOT_GITHUB_WEBHOOK_SECRET".to_owned(), secrets));
        options.expected_trouble.push("refused a delivery".to_owned());
    };
    let world = World::start_with(adjust).await?;
    let send = async |content_type: &str, secret: &str, event: &str, body: &[u8]| -> Result<u16> {
        let (signed, guid) = (signature(secret, body), format!("odd-{}", body.len()));
        let headers = [
            ("content-type", content_type),
            ("x-github-delivery", guid.as_str()),
            ("x-github-event", event),
            ("x-hub-signature-256", signed.as_str()),
        ];
        post(&world, &headers, body.to_vec()).await
    };
    let json = "application/json";
    for secret in [SECRET, "the one that is coming"] {
        ensure!(send(json, secret, "ping", b"{}").await? == 200, "signed with {secret}");
    }
    ensure!(send(json, "the one that was", "ping", b"{}").await? == 401, "a secret that is gone");

    let form = "application/x-www-form-urlencoded";
    ensure!(send(form, SECRET, "ping", b"payload=%7B%22zen%22%3A%22x%22%7D").await? == 200, "a form");
    ensure!(send(form, SECRET, "ping", b"zen=x").await? == 400, "a form without a payload");
    ensure!(send("text/plain", SECRET, "ping", b"{}").await? == 400, "plain text");
    for deep in ["[".repeat(5_000_000), "{\"a\":".repeat(1_000_000), format!("{{\"a\":{}", "[".repeat(200))] {
        ensure!(send(json, SECRET, "pull_request", deep.as_bytes()).await? == 400, "a deep body");
    }
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(20 * 1024 * 1024));
    ensure!(send(json, SECRET, "star", long.as_bytes()).await? == 200, "a long body");
    world.finish().await
}

/// What GitHub's own examples tell of does not exist here, and is taken all the same.
#[tokio::test]
async fn no_example_of_github_s_breaks_the_door() -> Result<()> {
    let mut world = World::start().await?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../integration/node/node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read(&path)
        .with_context(|| format!("read {} (npm ci in integration/node)", path.display()))?;
    let events: Vec<Value> = serde_json::from_slice(&text)?;
    let mut answers = std::collections::BTreeMap::<u16, usize>::new();
    for event in &events {
        let name = event["name"].as_str().context("an event's name")?;
        for (index, example) in event["examples"].as_array().context("examples")?.iter().enumerate() {
            let guid = format!("{}-{index}", name.replace('_', "-"));
            let status = deliver(&world, &guid, name, example.to_string().as_bytes()).await?;
            ensure!((200..500).contains(&status), "{name} example {index}: {status}");
            *answers.entry(status).or_default() += 1;
        }
    }
    let count: usize = answers.values().sum();
    ensure!(count > 100, "only {count} examples were found");
    ensure!(answers.keys().all(|status| *status < 300), "refused examples: {answers:?}");
    world.offshoot.terminate().await
}
