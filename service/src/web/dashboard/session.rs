//! Who looks at the dashboard: a session of a token of the API, known by a cookie that no script and no other site can use.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Query, Request, State};
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::secret::Secret;
use crate::store::sessions;
use crate::web::App;
use crate::web::auth::bearer_of;
use crate::web::identity::Client;
use crate::web::problem::Problem;

/// A working day.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// With this prefix a browser takes the cookie over https only, and from this very host.
fn cookie_name(app: &App) -> &'static str {
    if app.is_https() { "__Host-offshoot_session" } else { "offshoot_session" }
}

/// What a request's cookie holds.
fn session_of(app: &App, headers: &HeaderMap) -> Option<Secret> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='));
    let (_, value) = cookies.into_iter().find(|(name, _)| *name == cookie_name(app))?;
    Some(Secret::new(value))
}

/// The token of a request's session, if it has one that is not over.
pub(in crate::web) async fn token_of(app: &App, headers: &HeaderMap) -> Result<Option<Secret>, Problem> {
    let Some(session) = session_of(app, headers) else { return Ok(None) };
    let client = app.store.client().await?;
    Ok(sessions::find(&client, app.store.vault(), &session).await?)
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    next: &'a str,
    refused: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Destination {
    #[serde(default)]
    next: String,
}

pub(super) async fn form(Query(destination): Query<Destination>) -> Result<Html<String>, Problem> {
    page(&destination.next, false)
}

#[derive(Debug, Deserialize)]
pub(super) struct Login {
    token: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn log_in(
    State(app): State<App>,
    visitor: Client,
    Form(login): Form<Login>,
) -> Result<Response, Problem> {
    app.limits.login(visitor)?;
    let token = Secret::new(login.token.trim());
    if bearer_of(&app, &token).await?.is_none() {
        tracing::info!(address = %visitor.address, "a login was refused");
        return Ok((StatusCode::UNAUTHORIZED, page(&login.next, true)?).into_response());
    }
    let client = app.store.client().await?;
    let session = sessions::begin(&client, app.store.vault(), &token, LIFETIME).await?;
    let cookie = cookie(&app, session.expose(), LIFETIME);
    Ok(([(SET_COOKIE, cookie)], Redirect::to(local(&login.next))).into_response())
}

/// Ends the session here and not only in the browser: a cookie that was copied is worth nothing afterwards.
pub(super) async fn log_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(session) = session_of(&app, &headers) {
        let client = app.store.client().await?;
        sessions::end(&client, &session).await?;
    }
    Ok(([(SET_COOKIE, cookie(&app, "", Duration::ZERO))], Redirect::to("/login")).into_response())
}

/// Refuses what another site's page made the browser send, whichever page it is for. The cookie is not sent there either
/// (`SameSite`); but logging in needs none, and who is logged in as somebody else's user tells them what they do.
pub(super) async fn from_here(State(app): State<App>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD)
        || is_from_here(&app.public_url, request.headers())
    {
        return next.run(request).await;
    }
    Problem::forbidden("The request came from another site's page, or does not say where it came from.")
        .into_response()
}

/// By what only the browser itself can write. Every one of the last years says either of the two.
fn is_from_here(public_url: &str, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some((_, site)) = text(ORIGIN.as_str()).and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    // A proxy may have put its own name for us into `Host`.
    let public = public_url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    text(HOST.as_str()) == Some(site) || public == Some(site)
}

/// `Lax`: a link on the pull request leads to the page and not to the login; a form of another site does not bring the cookie.
fn cookie(app: &App, value: &str, lifetime: Duration) -> String {
    let (name, secure) = (cookie_name(app), if app.is_https() { "; Secure" } else { "" });
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}", lifetime.as_secs())
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
        let is_from_here = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            is_from_here("https://offshoot.acme.dev", &headers.collect())
        };
        let host = ("host", "offshoot.acme.dev");
        for ours in [
            &[host, ("origin", "https://offshoot.acme.dev")][..],
            &[("host", "10.0.0.7:8080"), ("origin", "https://offshoot.acme.dev")],
            &[("host", "localhost:8080"), ("origin", "http://localhost:8080")],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert!(is_from_here(ours), "{ours:?}");
        }
        for another_s in [
            &[host, ("origin", "https://evil.example")][..],
            &[host, ("origin", "null")],
            &[host],
            &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://offshoot.acme.dev")],
            &[host, ("sec-fetch-site", "same-site")],
        ] {
            assert!(!is_from_here(another_s), "{another_s:?}");
        }
    }
}
