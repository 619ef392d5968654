//! Who looks at the dashboard: a token of the API, kept encrypted in a cookie that no script and no other site can use.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::secret::Secret;
use crate::web::App;
use crate::web::auth::scope_of;
use crate::web::problem::Problem;

const COOKIE_NAME: &str = "offshoot_session";
/// A working day.
const LIFETIME_SECONDS: u32 = 12 * 60 * 60;

/// The token that a request's cookie holds.
pub(in crate::web) fn token_of(app: &App, headers: &HeaderMap) -> Option<Secret> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let value =
        cookies.filter_map(|cookie| cookie.trim().split_once('=')).find(|(name, _)| *name == COOKIE_NAME)?.1;
    app.store.vault().decrypt(&hex::decode(value).ok()?).ok()
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    next: &'a str,
    refused: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

pub(super) async fn form(Query(next): Query<Next>) -> Result<Html<String>, Problem> {
    page(&next.next, false)
}

#[derive(Debug, Deserialize)]
pub(super) struct Login {
    token: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn log_in(State(app): State<App>, Form(login): Form<Login>) -> Result<Response, Problem> {
    let token = Secret::new(login.token.trim());
    if scope_of(&app, &token).await?.is_none() {
        return Ok((StatusCode::UNAUTHORIZED, page(&login.next, true)?).into_response());
    }
    let value = hex::encode(app.store.vault().encrypt(&token));
    let cookie = cookie(&app, &value, LIFETIME_SECONDS);
    Ok(([(SET_COOKIE, cookie)], Redirect::to(local(&login.next))).into_response())
}

pub(super) async fn log_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    must_come_from_here(&headers)?;
    Ok(([(SET_COOKIE, cookie(&app, "", 0))], Redirect::to("/login")).into_response())
}

/// Refuses what another site's page made the browser send. The cookie is not sent there either; this is the second lock.
pub(super) fn must_come_from_here(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else { return Ok(()) };
    if origin.split_once("://").is_some_and(|(_, site)| site == host) {
        return Ok(());
    }
    Err(Problem::forbidden("The request came from another site's page."))
}

fn cookie(app: &App, value: &str, seconds: u32) -> String {
    let secure = if app.public_url.starts_with("https://") { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// A path of this site; anything else leads to its start.
fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if is_path { next } else { "/" }
}

fn page(next: &str, refused: bool) -> Result<Html<String>, Problem> {
    super::pages::html(&LoginPage { next: local(next), refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        assert_eq!(local("/repos/acme/shop"), "/repos/acme/shop");
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", ""] {
            assert_eq!(local(elsewhere), "/");
        }
    }

    #[test]
    fn another_site_s_form_is_refused() {
        let headers = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "offshoot.acme.dev".parse().unwrap());
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            headers
        };
        assert!(must_come_from_here(&headers("https://offshoot.acme.dev")).is_ok());
        assert!(must_come_from_here(&headers("https://evil.example")).is_err());
        assert!(must_come_from_here(&headers("null")).is_err());
    }
}
