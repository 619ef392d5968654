//! The dashboard: who sees what, which forms count, and what a browser is told.

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::offshoot::API_TOKEN;
use serde_json::json;

use super::{browser, log_in, submit};
use crate::shop::{SHOP, column};
use crate::world::World;

#[tokio::test]
async fn a_page_shows_what_its_reader_s_token_opens() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let ready = world.offshoot.ready(&branch, &sha).await?;
    let make = async |new: serde_json::Value| -> Result<String> {
        let made = world.offshoot.call(Method::POST, "/api/v1/tokens", Some(&new)).await?;
        world.offshoot.secrets().add(made.text("token"));
        log_in(&world.offshoot, made.text("token")).await
    };
    let administrator = log_in(&world.offshoot, API_TOKEN).await?;
    let reader = make(json!({ "name": "reader", "repository": SHOP, "read_only": true })).await?;
    let stranger = make(json!({ "name": "stranger", "repository": "acme/other" })).await?;
    let pull = format!("/repos/{SHOP}/pulls/{}", branch.number);
    let http = browser()?;
    for (path, cookie, status, shows) in [
        ("/", None, 303, false),
        (pull.as_str(), None, 303, false),
        ("/", Some(&administrator), 200, true),
        ("/", Some(&reader), 200, true),
        ("/", Some(&stranger), 200, false),
        (&format!("/repos/{SHOP}"), Some(&reader), 200, true),
        (&format!("/repos/{SHOP}"), Some(&stranger), 404, false),
        (&pull, Some(&reader), 200, true),
        (&pull, Some(&stranger), 404, false),
    ] {
        let mut request = http.get(format!("{}{path}", world.offshoot.url()));
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await?;
        let got = answer.status().as_u16();
        let text = answer.text().await?;
        ensure!(got == status && text.contains("acme_shop_pr_1") == shows, "{path}: {got} {text}");
        world.offshoot.secrets().ensure_absent(path, &text)?;
        ensure!(!text.contains(ready.database_url()?), "{path} shows a URL");
    }

    let reset = format!("{pull}/reset");
    for (cookie, status) in
        [(None, 303), (Some(&reader), 403), (Some(&stranger), 404), (Some(&administrator), 303)]
    {
        let answer =
            submit(&world.offshoot, &reset, cookie.map(String::as_str), &[("database", "main")]).await?;
        ensure!(answer.status() == status, "a reset: {} instead of {status}", answer.status());
    }
    world.finish().await
}

#[tokio::test]
async fn a_form_counts_only_from_the_service_s_own_pages() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    let cookie = log_in(&world.offshoot, API_TOKEN).await?;
    let reset = format!("/repos/{SHOP}/pulls/{}/reset", branch.number);
    let own = world.offshoot.url();
    for path in [reset.as_str(), "/login", "/logout"] {
        for headers in [
            vec![],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![("sec-fetch-site", "cross-site"), ("origin", own.as_str())],
            vec![("sec-fetch-site", "same-site"), ("origin", own.as_str())],
        ] {
            let form = [("database", "main"), ("token", API_TOKEN)];
            let mut request = browser()?.post(format!("{own}{path}")).form(&form).header("cookie", &cookie);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await?;
            ensure!(answer.status() == 403, "{path} with {headers:?}: {}", answer.status());
            ensure!(!answer.headers().contains_key("set-cookie"), "{path} with {headers:?} set a cookie");
        }
    }
    let generation = world.offshoot.branch(&branch).await?.body["generation"].clone();
    ensure!(generation == 1, "another site's form rebuilt the database: generation {generation}");
    world.finish().await
}

#[tokio::test]
async fn a_session_is_the_browser_s_alone_and_ends() -> Result<()> {
    let world = World::start().await?;
    let answer =
        submit(&world.offshoot, "/login", None, &[("token", API_TOKEN), ("next", "//evil.example")]).await?;
    let set = answer.headers()["set-cookie"].to_str()?.to_owned();
    ensure!(answer.headers()["location"] == "/", "it leads to {:?}", answer.headers()["location"]);
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        ensure!(set.contains(flag), "no {flag}: {set}");
    }
    let cookie = log_in(&world.offshoot, API_TOKEN).await?;
    let status = async || -> Result<u16> {
        let request = browser()?.get(world.offshoot.url()).header("cookie", &cookie);
        Ok(request.send().await?.status().as_u16())
    };
    ensure!(status().await? == 200, "logged in");
    let out = submit(&world.offshoot, "/logout", Some(&cookie), &[]).await?;
    ensure!(out.headers()["set-cookie"].to_str()?.contains("Max-Age=0"), "{out:?}");
    ensure!(status().await? == 303, "a copied cookie outlives the logout");

    let cookie = log_in(&world.offshoot, API_TOKEN).await?;
    let control = world.offshoot.administrator().await?;
    ensure!(control.execute("update sessions set expires_at = now()", &[]).await? > 0, "sessions are stored");
    let request = browser()?.get(world.offshoot.url()).header("cookie", &cookie);
    ensure!(request.send().await?.status() == 303, "a session that is over");
    drop(control);
    world.finish().await
}

#[tokio::test]
async fn a_browser_is_told_to_keep_others_out() -> Result<()> {
    let adjust = |options: &mut integration::offshoot::Options| {
        let url = ("OFFSHOOT_PUBLIC_URL".to_owned(), "https://offshoot.acme.dev".to_owned());
        options.environment.push(url);
    };
    let world = World::start_with(adjust).await?;
    let http = browser()?;
    for path in
        ["/", "/login", "/nowhere", "/assets/style.css", "/api/v1/branches", "/healthz", "/webhooks/github"]
    {
        let answer = http.get(format!("{}{path}", world.offshoot.url())).send().await?;
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            ensure!(policy.contains(part) && !policy.contains("unsafe"), "{path}: {policy}");
        }
        ensure!(header("x-frame-options") == "DENY" && header("referrer-policy") == "no-referrer", "{path}");
        ensure!(header("x-content-type-options") == "nosniff", "{path}");
        ensure!(header("strict-transport-security").starts_with("max-age="), "{path}");
        let is_asset = path.starts_with("/assets/");
        ensure!(is_asset || header("cache-control") == "no-store", "{path}: {}", header("cache-control"));
        ensure!(!header("x-request-id").is_empty(), "{path}: no request's id");
    }
    let login = http.post(format!("{}/login", world.offshoot.url())).form(&[("token", API_TOKEN)]);
    let answer = login.header("origin", "https://offshoot.acme.dev").send().await?;
    let set = answer.headers().get("set-cookie").context("a cookie")?.to_str()?.to_owned();
    ensure!(set.starts_with("__Host-offshoot_session=") && set.contains("; Secure"), "{set}");
    world.finish().await
}
