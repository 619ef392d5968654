//! The App: itself, its installations, their tokens, and who a token belongs to.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use chrono::TimeDelta;
use http::StatusCode;
use rand::distr::{Alphanumeric, SampleString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, Paging, Target, read_body};
use super::model::{Installation, InstallationToken, Level, Permissions};
use super::shapes::{Detail, stamp};
use super::state::{State, now};

/// `GET /app`
pub(crate) async fn show(Shared(hub): Shared<Arc<Hub>>, Extension(caller): Extension<Caller>) -> Answer {
    caller.require_app()?;
    Ok(Json(hub.state().app_json()))
}

/// `GET /app/installations`
pub(crate) async fn installations(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    caller.require_app()?;
    let state = hub.state();
    let all: Vec<Value> = state.installations.values().map(|one| state.installation_json(one)).collect();
    Ok(paging.answer(&all, &target))
}

/// `GET /app/installations/{id}`
pub(crate) async fn installation_by_id(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
) -> Answer {
    caller.require_app()?;
    let state = hub.state();
    let installation = state.installations.get(&id).ok_or_else(ApiError::not_found)?;
    Ok(Json(state.installation_json(installation)))
}

/// `GET /repos/{owner}/{repo}/installation`
pub(crate) async fn installation(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    caller.require_app()?;
    let state = hub.state();
    let id = state.find_id(&owner, &name).ok_or_else(ApiError::not_found)?;
    let installation = state.installation_of(id).ok_or_else(ApiError::not_found)?;
    Ok(Json(state.installation_json(installation)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenRequest {
    permissions: Option<std::collections::BTreeMap<String, String>>,
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<u64>>,
}

/// `POST /app/installations/{id}/access_tokens`
pub(crate) async fn create_token(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
    body: Bytes,
) -> Answer<(StatusCode, Json<Value>)> {
    caller.require_app()?;
    let asked: TokenRequest = if body.is_empty() { TokenRequest::default() } else { read_body(&body)? };
    let mut state = hub.state();
    let installation = state.installations.get(&id).cloned().ok_or_else(ApiError::not_found)?;
    let permissions = narrow(&installation.permissions, asked.permissions.as_ref())?;
    let repositories = state.chosen(&installation, &asked)?;
    let token = format!("ghs_{}", Alphanumeric.sample_string(&mut rand::rng(), 36));
    let expires_at = now() + TimeDelta::hours(1);
    let shown = json!({
        "token": token,
        "expires_at": stamp(expires_at),
        "permissions": super::shapes::permissions(&permissions),
        "repository_selection": if repositories.is_some() { "selected" } else { "all" },
    });
    state.tokens.insert(token, InstallationToken { installation: id, expires_at, permissions, repositories });
    Ok((StatusCode::CREATED, Json(shown)))
}

fn narrow(
    granted: &Permissions,
    asked: Option<&std::collections::BTreeMap<String, String>>,
) -> Result<Permissions, ApiError> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let mut narrowed = Permissions::new();
    for (name, level) in asked {
        let level = if level == "write" { Level::Write } else { Level::Read };
        if granted.get(name).is_none_or(|granted| *granted < level) {
            let message = "The permissions requested are not granted to this installation.";
            return Err(ApiError::unprocessable(message));
        }
        narrowed.insert(name.clone(), level);
    }
    Ok(narrowed)
}

impl State {
    fn chosen(
        &self,
        installation: &Installation,
        asked: &TokenRequest,
    ) -> Result<Option<BTreeSet<u64>>, ApiError> {
        if asked.repositories.is_none() && asked.repository_ids.is_none() {
            return Ok(installation.selected.clone());
        }
        let names = asked.repositories.iter().flatten().map(|name| self.find_id(&installation.account, name));
        let ids = asked.repository_ids.iter().flatten().map(|id| Some(*id));
        names.chain(ids).map(|id| id.filter(|id| self.is_covered(installation, *id))).collect::<Option<_>>().map(Some).ok_or_else(
            || ApiError::unprocessable("There is at least one repository that does not exist or is not accessible to the parent installation."),
        )
    }

    fn is_covered(&self, installation: &Installation, repository: u64) -> bool {
        self.repositories.contains_key(&repository)
            && self.installation_of(repository).is_some_and(|found| found.id == installation.id)
    }
}

/// `GET /installation/repositories`
pub(crate) async fn repositories(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Extension(Target(target)): Extension<Target>,
    Query(paging): Query<Paging>,
) -> Answer<Response> {
    let Caller::Installation { id, repositories, .. } = caller else {
        return Err(ApiError::not_accessible());
    };
    let state = hub.state();
    let installation = state.installations.get(&id).ok_or_else(ApiError::not_found)?;
    let covered = state.repositories.keys().filter(|repository| {
        state.is_covered(installation, **repository)
            && repositories.as_ref().is_none_or(|chosen| chosen.contains(repository))
    });
    let all: Vec<Value> = covered.map(|id| state.repository_json(*id, Detail::Short)).collect();
    let total = all.len();
    Ok(paging.answer_as(
        &all,
        &target,
        |page| json!({ "total_count": total, "repository_selection": "all", "repositories": page }),
    ))
}

/// `GET /user`
pub(crate) async fn user(Shared(hub): Shared<Arc<Hub>>, Extension(caller): Extension<Caller>) -> Answer {
    match caller {
        Caller::Person(login) => Ok(Json(hub.state().public_user(&login))),
        Caller::Anonymous => Err(ApiError::new(StatusCode::UNAUTHORIZED, "Requires authentication")),
        Caller::App | Caller::Installation { .. } => Err(ApiError::not_accessible()),
    }
}
