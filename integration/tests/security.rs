//! Who gets in, and what the doors bear.

mod endurance;
mod nonsense;
mod pages;
mod settings;
mod tls;
mod tokens;

use anyhow::{Context, Result, ensure};
use integration::offshoot::Offshoot;
use reqwest::{Response, redirect};

/// A browser: it follows nothing by itself and says where its forms come from.
fn browser() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().redirect(redirect::Policy::none()).build()?)
}

/// Posts a form from the service's own page.
async fn submit(
    offshoot: &Offshoot,
    path: &str,
    cookie: Option<&str>,
    form: &[(&str, &str)],
) -> Result<Response> {
    let mut request = browser()?.post(format!("{}{path}", offshoot.url())).form(form);
    request = request.header("origin", offshoot.url());
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    Ok(request.send().await?)
}

/// Logs in with a token; the session's cookie, as a browser sends it back.
async fn log_in(offshoot: &Offshoot, token: &str) -> Result<String> {
    let answer = submit(offshoot, "/login", None, &[("token", token), ("next", "/")]).await?;
    ensure!(answer.status() == 303, "the login was answered {}", answer.status());
    let cookie = answer.headers().get("set-cookie").context("a cookie")?.to_str()?;
    let pair = cookie.split(';').next().unwrap_or_default();
    offshoot.secrets().add(pair.split_once('=').context("a value")?.1);
    Ok(pair.to_owned())
}
