//! Nonsense at every route: it is refused in the reader's own form, and nothing breaks.

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::offshoot::API_TOKEN;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::browser;
use crate::shop::column;
use crate::world::World;

const REQUESTS: usize = 600;

/// What stands for a part of a path, a query's value, a text in a body; percent-encoded where a URL needs it.
const ODD: [&str; 24] = [
    "",
    "acme",
    "shop",
    "1",
    "0",
    "-1",
    "2147483648",
    "99999999999999999999",
    "1e3",
    "%00",
    "a%00b",
    "%FF%FE",
    "%0d%0a",
    "%2e%2e%2f",
    "%27%3B%20drop%20table%20branches",
    "%3Cscript%3E",
    "%F0%9F%90%98",
    "%E2%80%AE",
    "main",
    "ready",
    "null",
    "true",
    "3d",
    "%7B%7D",
];

const PAGES: [&str; 8] = [
    "/",
    "/login",
    "/logout",
    "/repos/{owner}/{name}",
    "/repos/{owner}/{name}/pulls/{number}",
    "/repos/{owner}/{name}/pulls/{number}/reset",
    "/nowhere/{owner}",
    "/api/v1/nowhere/{owner}",
];

#[derive(Debug, Clone)]
struct Nonsense {
    method: &'static str,
    path: String,
    query: String,
    content_type: &'static str,
    body: Vec<u8>,
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(&ODD[..]).prop_map(str::to_owned),
        1 => "[a-z0-9._-]{1,300}",
        1 => proptest::collection::vec(any::<u8>(), 1..20)
            .prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>()),
    ]
}

fn path(templates: Vec<String>) -> impl Strategy<Value = String> {
    let odd = proptest::collection::vec(part(), 4);
    // Half of the paths name what is there, so that what follows is looked at as well.
    (proptest::sample::select(templates), odd, any::<bool>()).prop_map(|(template, odd, is_real)| {
        let real = ["acme", "shop", "1", "4711"].map(str::to_owned);
        let parts = if is_real { real.as_slice() } else { &odd };
        let mut path = template;
        for (name, value) in ["{owner}", "{name}", "{number}", "{id}"].iter().zip(parts) {
            path = path.replace(name, value);
        }
        path
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let text =
        prop_oneof![Just("a\0b".to_owned()), Just("\u{7f}\n".to_owned()), ".{0,30}", Just("x".repeat(300))];
    let json = text.prop_flat_map(|text| {
        let value = serde_json::json!(text);
        proptest::sample::select(vec![
            serde_json::json!({ "name": value, "read_only": true }),
            serde_json::json!({ "name": "ci", "repository": value }),
            serde_json::json!({ "extend": value }),
            serde_json::json!({ "protected": value }),
            serde_json::json!([value]),
            serde_json::json!({ "database": value, "token": value, "next": value }),
        ])
    });
    prop_oneof![
        4 => json.prop_map(|json| json.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => Just(b"database=%00&token=%00&next=%00".to_vec()),
        1 => Just("[".repeat(60_000).into_bytes()),
        1 => Just(vec![b' '; 70_000]),
    ]
}

fn nonsense(templates: Vec<String>) -> impl Strategy<Value = Nonsense> {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];
    let content_types = [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/json; charset=\"",
        "",
    ];
    let names = ["database", "sha", "wait", "any_state", "repository", "state", "page", "next", "%00"];
    let query = (proptest::sample::select(names.to_vec()), part()).prop_map(|(name, value)| {
        // Nobody waits here.
        if name == "wait" && value.parse::<u64>().is_ok() {
            "wait=0".to_owned()
        } else {
            format!("{name}={value}")
        }
    });
    let query = proptest::collection::vec(query, 0..3).prop_map(|pairs| pairs.join("&"));
    let method = proptest::sample::select(methods.to_vec());
    let content_type = proptest::sample::select(content_types.to_vec());
    (method, path(templates), query, content_type, body()).prop_map(
        |(method, path, query, content_type, body)| Nonsense { method, path, query, content_type, body },
    )
}

async fn ensure_borne(world: &World, http: &reqwest::Client, sent: &Nonsense) -> Result<()> {
    let url = format!("{}{}?{}", world.offshoot.url(), sent.path, sent.query);
    let method: Method = sent.method.parse()?;
    let request =
        http.request(method.clone(), url).bearer_auth(API_TOKEN).header("origin", world.offshoot.url());
    let answer = request.header("content-type", sent.content_type).body(sent.body.clone()).send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    ensure!(!status.is_server_error(), "it was answered {status}");
    let id = headers.get("x-request-id").context("no request's id")?.to_str()?.to_owned();
    ensure!(headers.contains_key("content-security-policy"), "no policy");
    if !status.is_client_error() || method == Method::HEAD {
        return Ok(());
    }
    let content_type = headers["content-type"].to_str()?.to_owned();
    let text = answer.text().await?;
    if sent.path.starts_with("/api/") {
        let problem: Value = serde_json::from_str(&text).with_context(|| format!("no problem: {text}"))?;
        ensure!(content_type == "application/problem+json" && problem["status"] == status.as_u16(), "{text}");
        ensure!(problem["request_id"] == id && problem["type"].as_str().is_some(), "{text}");
    } else {
        ensure!(content_type.starts_with("text/html") && text.contains("<!doctype html>"), "no page: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn nonsense_is_refused_and_breaks_nothing() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let description = world.offshoot.call_as(None, Method::GET, "/api/openapi.json", None).await?;
    let described = description.body["paths"].as_object().context("paths")?.keys().cloned();
    let templates: Vec<String> = described.chain(PAGES.iter().map(|page| (*page).to_owned())).collect();
    let strategy = nonsense(templates);
    let mut runner = TestRunner::deterministic();
    let http = browser()?;
    for _ in 0..REQUESTS {
        let sent = strategy.new_tree(&mut runner).map_err(anyhow::Error::msg)?.current();
        ensure_borne(&world, &http, &sent).await.with_context(|| format!("{sent:?}"))?;
    }
    world.finish().await
}
