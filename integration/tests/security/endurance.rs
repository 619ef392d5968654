//! What the sockets bear: slow senders, those who ask too often, and the end of the service.

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::offshoot::{API_TOKEN, BranchRef};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{browser, submit};
use crate::shop::{SHOP, column};
use crate::world::{LIMIT, World};

/// Sends the beginning of a request and no more; all that comes back until the service hangs up.
async fn stall(world: &World, beginning: &str) -> Result<String> {
    let url = world.offshoot.url();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").context("an http URL")?).await?;
    stream.write_all(beginning.as_bytes()).await?;
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    ended.context("the service waits on")?.context("read the answer")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn those_who_send_slowly_are_not_waited_for() -> Result<()> {
    let adjust = |options: &mut integration::offshoot::Options| {
        options.expected_trouble.push("refused a delivery".to_owned());
    };
    let world = World::start_with(adjust).await?;
    let api = format!(
        "POST /api/v1/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {API_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"name\""
    );
    let hook = "POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-github-event: ping\r\n\
                x-github-delivery: slow\r\nx-hub-signature-256: sha256=00\r\ncontent-length: 100\r\n\r\n{";
    let (silence, headers, api, hook) = tokio::try_join!(
        stall(&world, ""),
        stall(&world, "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: "),
        stall(&world, &api),
        stall(&world, hook),
    )?;
    ensure!(silence.is_empty() && headers.is_empty(), "{silence}{headers}");
    for (answer, kind) in [(api, "/problems/request-timeout"), (hook, "/problems/request-timeout")] {
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        ensure!(head.starts_with("HTTP/1.1 408 ") && body.contains(kind), "{answer}");
    }
    world.finish().await
}

#[tokio::test]
async fn what_waits_and_what_streams_ends_with_the_service() -> Result<()> {
    let mut world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    let ask = |query: &str| {
        browser().map(|http| {
            http.get(format!("{}{}{query}", world.offshoot.url(), branch.path())).bearer_auth(API_TOKEN)
        })
    };
    let mut stream = ask("/events")?.send().await?;
    ensure!(stream.chunk().await?.is_some(), "a stream begins with the branch as it is");
    let poll = tokio::spawn(ask(&format!("?wait=300&sha={}", "0".repeat(40)))?.send());
    world.until("select exists (select from pg_stat_activity where application_name = 'offshoot')").await?;
    world.offshoot.terminate().await?;
    let answer = poll.await?.context("the long poll was cut")?;
    ensure!(answer.status() == 202 && answer.headers().contains_key("retry-after"), "{answer:?}");
    while stream.chunk().await.context("the stream was cut")?.is_some() {}
    world.offshoot.restart().await?;
    world.finish().await
}

#[tokio::test]
async fn those_who_ask_too_often_are_told_when_to_ask_again() -> Result<()> {
    let world = World::start().await?;
    let mut refused = None;
    for _ in 0..60 {
        let answer =
            world.offshoot.call_as(Some("offs_guess"), Method::GET, "/api/v1/branches", None).await?;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        ensure!(answer.status == 401, "{answer:?}");
    }
    let refused = refused.context("wrong tokens are counted")?;
    super::super::api::ensure_problem(&refused, 429, "too-many-requests")?;
    ensure!(refused.headers.contains_key("retry-after"), "{refused:?}");
    let right = world.offshoot.branch(&BranchRef::new(SHOP, 1)).await?;
    ensure!(right.status == 404, "who has a token is let in all the same: {right:?}");

    let mut statuses = Vec::new();
    for _ in 0..12 {
        let answer =
            submit(&world.offshoot, "/login", None, &[("token", "offs_guess"), ("next", "/")]).await?;
        statuses.push(answer.status().as_u16());
    }
    ensure!(statuses[0] == 401 && statuses[11] == 429, "{statuses:?}");
    world.finish().await
}

/// One address alone cannot take every connection.
#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() -> Result<()> {
    let world = World::start().await?;
    let url = world.offshoot.url();
    let address = url.strip_prefix("http://").context("an http URL")?;
    let mut open = Vec::new();
    let refused = async {
        // They are answered, or hung up on, in the order in which they came.
        while open.len() < 1_000 {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
            let mut first = [0; 1];
            // A connection that is closed before it was read from is reset.
            match stream.read(&mut first).await {
                Ok(1) => open.push(stream),
                _ => return anyhow::Ok(()),
            }
        }
        anyhow::bail!("there is no end of connections")
    };
    tokio::time::timeout(LIMIT, refused).await.context("nobody is refused")??;
    ensure!(open.len() >= 350, "only {} connections", open.len());
    drop(open);
    world.settle().await?;
    world.finish().await
}

/// A proxy that is trusted names the request and says for whom it asks; nobody else does.
#[tokio::test]
async fn only_a_trusted_proxy_names_a_request() -> Result<()> {
    const NAME: &str = "01JD-the-proxy-s-own";
    for (proxies, is_believed) in [("10.0.0.0/8", false), ("10.0.0.0/8,127.0.0.1", true)] {
        let adjust = |options: &mut integration::offshoot::Options| {
            options.environment.push(("OFFSHOOT_TRUSTED_PROXIES".to_owned(), proxies.to_owned()));
        };
        let world = World::start_with(adjust).await?;
        let request = browser()?.get(format!("{}/api/v1/branches", world.offshoot.url()));
        let answer =
            request.header("x-request-id", NAME).header("x-forwarded-for", "203.0.113.7").send().await?;
        let id = answer.headers()["x-request-id"].to_str()?.to_owned();
        let problem: Value = answer.json().await?;
        ensure!((id == NAME) == is_believed && problem["request_id"] == id, "{proxies}: {id} {problem}");
        world.finish().await?;
    }
    Ok(())
}
