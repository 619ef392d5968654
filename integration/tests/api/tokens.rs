//! What a token opens.

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::offshoot::Answer;
use serde_json::json;

use super::ensure_problem;
use crate::shop::column;
use crate::world::World;

#[tokio::test]
async fn a_token_opens_what_it_was_made_for() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let reset = format!("{}/reset", branch.path());
    let make = async |new: serde_json::Value| -> Result<(String, i64)> {
        let made = world.offshoot.call(Method::POST, "/api/v1/tokens", Some(&new)).await?;
        ensure!(made.status == 201, "{made:?}");
        world.offshoot.secrets().add(made.text("token"));
        Ok((made.text("token").to_owned(), made.body["id"].as_i64().context("id")?))
    };
    let ask = async |token: Option<&str>, method: Method, path: &str| -> Result<Answer> {
        world.offshoot.call_as(token, method, path, None).await
    };

    ensure_problem(&ask(None, Method::GET, &branch.path()).await?, 401, "unauthorized")?;
    ensure_problem(&ask(Some("made-up"), Method::GET, &branch.path()).await?, 401, "unauthorized")?;

    let (reader, id) =
        make(json!({ "name": "reader", "repository": "acme/shop", "read_only": true })).await?;
    ensure!(ask(Some(&reader), Method::GET, &branch.path()).await?.status == 200, "a reader reads");
    ensure_problem(&ask(Some(&reader), Method::POST, &reset).await?, 403, "forbidden")?;
    ensure_problem(&ask(Some(&reader), Method::GET, "/api/v1/tokens").await?, 403, "forbidden")?;

    let (stranger, _) = make(json!({ "name": "stranger", "repository": "acme/other" })).await?;
    ensure_problem(&ask(Some(&stranger), Method::GET, &branch.path()).await?, 404, "not-found")?;
    ensure_problem(&ask(Some(&stranger), Method::POST, &reset).await?, 404, "not-found")?;
    let list = ask(Some(&stranger), Method::GET, "/api/v1/branches").await?;
    ensure!(list.body["total"] == 0, "a stranger is shown {}", list.body);

    let (writer, _) = make(json!({ "name": "writer", "repository": "acme/shop" })).await?;
    ensure!(ask(Some(&writer), Method::POST, &reset).await?.status == 202, "a writer resets");

    let listed = world.offshoot.call(Method::GET, "/api/v1/tokens", None).await?;
    ensure!(!listed.body.to_string().contains(&reader), "the list shows a token");
    let revoked =
        ask(Some(integration::offshoot::API_TOKEN), Method::DELETE, &format!("/api/v1/tokens/{id}")).await?;
    ensure!(revoked.status == 204, "{revoked:?}");
    ensure_problem(&ask(Some(&reader), Method::GET, &branch.path()).await?, 401, "unauthorized")?;
    world.finish().await
}
