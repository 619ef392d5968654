//! Every call of the API's description with every kind of token. A new call fails here until somebody says who may make it.

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use integration::offshoot::{API_TOKEN, BranchRef};
use serde_json::{Value, json};

use super::{browser, log_in};
use crate::shop::{SHOP, column};
use crate::world::World;

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Access {
    /// Any token: what it opens is shown.
    Any,
    /// A token that reads the repository.
    Read,
    /// A token that writes to the repository.
    Write,
    /// A token that writes to all.
    Administer,
}

/// Who may make a call. Those under a repository follow from the method; all others are listed.
fn access(method: &str, path: &str) -> Option<Access> {
    let of_repository = path.starts_with("/api/v1/repos/{owner}/{name}/");
    match (method, path) {
        ("get", _) if of_repository => Some(Access::Read),
        // A fork opens nothing that the branch's own URL does not.
        ("post", path) if of_repository && path.ends_with("/branch/forks") => Some(Access::Read),
        // Of a fork that is not there nobody learns more.
        ("delete", "/api/v1/forks/{id}") => Some(Access::Any),
        (_, _) if of_repository => Some(Access::Write),
        ("get", "/api/v1/branches") => Some(Access::Any),
        (_, "/api/v1/audit" | "/api/v1/tokens" | "/api/v1/tokens/{id}") => Some(Access::Administer),
        _ => None,
    }
}

/// What somebody calls with.
#[derive(Debug, Clone)]
enum With {
    Nothing,
    Token(String),
    Session(String),
}

/// How far a token reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reach {
    Nowhere,
    Elsewhere,
    ReadsShop,
    ReadsAll,
    WritesShop,
    All,
}

/// The status that refuses a caller; none where it is let in.
fn refusal(access: Access, reach: Reach, is_session: bool, method: &str) -> Option<u16> {
    // A page's session does not write through the API: its requests are not checked for where they come from.
    if reach == Reach::Nowhere || is_session && method != "get" {
        return Some(401);
    }
    match (access, reach) {
        (Access::Any, _) | (_, Reach::All) => None,
        (Access::Administer, _) => Some(403),
        (_, Reach::Elsewhere) => Some(404),
        (Access::Write, Reach::ReadsShop | Reach::ReadsAll) => Some(403),
        _ => None,
    }
}

async fn callers(world: &World) -> Result<Vec<(&'static str, Reach, With)>> {
    let make = async |new: Value| -> Result<(String, Value)> {
        let made = world.offshoot.call(Method::POST, "/api/v1/tokens", Some(&new)).await?;
        ensure!(made.status == 201, "{made:?}");
        world.offshoot.secrets().add(made.text("token"));
        Ok((made.text("token").to_owned(), made.body["id"].clone()))
    };
    let (revoked, id) = make(json!({ "name": "revoked" })).await?;
    let revoked_s_session = log_in(&world.offshoot, &revoked).await?;
    world.offshoot.call(Method::DELETE, &format!("/api/v1/tokens/{id}"), None).await?;
    let (elsewhere, _) = make(json!({ "name": "elsewhere", "repository": "acme/other" })).await?;
    let (reads, _) = make(json!({ "name": "reads", "repository": SHOP, "read_only": true })).await?;
    let (reads_all, _) = make(json!({ "name": "reads all", "read_only": true })).await?;
    let (writes, _) = make(json!({ "name": "writes", "repository": SHOP })).await?;
    let mut callers = vec![
        ("nobody", Reach::Nowhere, With::Nothing),
        ("an empty token", Reach::Nowhere, With::Token(String::new())),
        ("a token that was made up", Reach::Nowhere, With::Token("offs_made-up".to_owned())),
        ("a token that is no plain text", Reach::Nowhere, With::Token("offs_\u{e9}".to_owned())),
        ("a revoked token", Reach::Nowhere, With::Token(revoked)),
        ("a revoked token's session", Reach::Nowhere, With::Session(revoked_s_session)),
        ("a made-up session", Reach::Nowhere, With::Session("offshoot_session=00ff".to_owned())),
    ];
    for (name, reach, token) in [
        ("another repository's", Reach::Elsewhere, elsewhere),
        ("the shop's reader", Reach::ReadsShop, reads),
        ("everybody's reader", Reach::ReadsAll, reads_all),
        ("the shop's writer", Reach::WritesShop, writes),
        ("the administrator", Reach::All, API_TOKEN.to_owned()),
    ] {
        callers.push((name, reach, With::Session(log_in(&world.offshoot, &token).await?)));
        callers.push((name, reach, With::Token(token)));
    }
    Ok(callers)
}

/// A path with a name for each of its parts.
fn filled(path: &str, branch: &BranchRef) -> Result<String> {
    let (owner, name) = branch.repository.split_once('/').context("OWNER/NAME")?;
    let path = path.replace("{owner}", owner).replace("{name}", name);
    let path = path.replace("{number}", &branch.number.to_string()).replace("{id}", "4711");
    ensure!(!path.contains('{'), "{path}: say here what stands for its parts");
    Ok(path)
}

#[tokio::test]
async fn every_call_is_for_those_who_may_make_it() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let description = world.offshoot.call_as(None, Method::GET, "/api/openapi.json", None).await?;
    let paths = description.body["paths"].as_object().context("paths")?.clone();
    let callers = callers(&world).await?;
    let http = browser()?;
    let mut calls = 0;
    for (path, operations) in &paths {
        for method in operations.as_object().context("operations")?.keys() {
            let Some(access) = access(method, path) else {
                bail!("{method} {path} is new: say in `access` who may make this call")
            };
            let url = format!("{}{}", world.offshoot.url(), filled(path, &branch)?);
            for (who, reach, with) in &callers {
                let mut request = http.request(method.to_uppercase().parse()?, &url).json(&json!({}));
                request = match with {
                    With::Nothing => request,
                    With::Token(token) => request.bearer_auth(token),
                    With::Session(cookie) => request.header("cookie", cookie),
                };
                let response = request.send().await?;
                let status = response.status().as_u16();
                let is_session = matches!(with, With::Session(_));
                let case = format!("{method} {path} by {who}, session: {is_session}");
                match refusal(access, *reach, is_session, method) {
                    // Beyond 30 wrong tokens in a row nobody is told any more.
                    Some(401) => ensure!(matches!(status, 401 | 429), "{case}: {status}"),
                    Some(expected) => {
                        let problem: Value = response.json().await?;
                        ensure!(status == expected && problem["status"] == status, "{case}: {problem}");
                    }
                    None => ensure!(!matches!(status, 401 | 403 | 429 | 500..), "{case}: {status}"),
                }
                calls += 1;
            }
        }
    }
    ensure!(calls >= 10 * callers.len(), "only {calls} calls are described");
    world.finish().await
}
