//! A repository, its branches, and who may do what in it.

use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Path, State as Shared};
use axum::{Extension, Json};
use serde_json::json;

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError};
use super::model::{Level, Role};
use super::shapes::{Detail, with};
use super::state::State;

/// `GET /repos/{owner}/{repo}`
pub(crate) async fn show(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "metadata", Level::Read)?;
    Ok(Json(state.repository_json(id, Detail::Full)))
}

/// `GET /repos/{owner}/{repo}/collaborators/{login}/permission`
pub(crate) async fn permission(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> Answer {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "metadata", Level::Read)?;
    let account = state.find_account(&login).ok_or_else(ApiError::not_found)?;
    let role = state.role(id, &account.login);
    let permissions = json!({
        "pull": role.is_some(),
        "triage": role >= Some(Role::Triage),
        "push": role >= Some(Role::Write),
        "maintain": role >= Some(Role::Maintain),
        "admin": role >= Some(Role::Admin),
    });
    let role_name = role.map_or("none", Role::name);
    Ok(Json(json!({
        "permission": role.map_or("none", Role::legacy_name),
        "role_name": role_name,
        "user": with(state.user(&login), json!({ "permissions": permissions, "role_name": role_name })),
    })))
}

/// `GET /repos/{owner}/{repo}/branches/{branch}`
pub(crate) async fn branch(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Answer {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "contents", Level::Read)?;
    let git = &state.repository(id).git;
    let missing = || ApiError::new(http::StatusCode::NOT_FOUND, "Branch not found");
    let tip = git.tip(&format!("refs/heads/{branch}")).map_err(|_| missing())?.ok_or_else(missing)?;
    let commit = git.commit_info(tip)?.context("a branch's tip exists")?;
    let own = format!("{}/branches/{branch}", state.repository_url(id));
    Ok(Json(json!({
        "name": branch,
        "commit": state.commit_json(id, &commit),
        "_links": { "self": own, "html": format!("{}/tree/{branch}", state.page(id)) },
        "protected": false,
        "protection": { "enabled": false, "required_status_checks": { "enforcement_level": "off", "contexts": [], "checks": [] } },
        "protection_url": format!("{own}/protection"),
    })))
}

impl State {
    /// What this person may do: what they were given, everything in what they own, reading in what is public.
    pub(crate) fn role(&self, repository: u64, login: &str) -> Option<Role> {
        let repository = self.repository(repository);
        if repository.owner.eq_ignore_ascii_case(login) {
            return Some(Role::Admin);
        }
        repository.collaborators.get(login).copied().or((!repository.private).then_some(Role::Read))
    }

    /// Where a path led before its repository was renamed or moved: the address to ask instead.
    pub(crate) fn moved_to(&self, path: &str) -> Option<String> {
        let mut parts = path.strip_prefix("/repos/")?.splitn(3, '/');
        let (owner, name, rest) = (parts.next()?, parts.next()?, parts.next());
        if self.find_id(owner, name).is_some() {
            return None;
        }
        let id = self.former_names.get(&format!("{owner}/{name}").to_lowercase())?;
        let rest = rest.map(|rest| format!("/{rest}")).unwrap_or_default();
        self.repositories.contains_key(id).then(|| format!("{}/repositories/{id}{rest}", self.url))
    }

    /// A path that names a repository by its id, as one that names it by its name.
    pub(crate) fn by_name(&self, path: &str) -> String {
        let by_id =
            path.strip_prefix("/repositories/").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        let found = by_id.and_then(|(id, rest)| Some((self.repositories.get(&id.parse().ok()?)?, rest)));
        match found {
            Some((repository, "")) => format!("/repos/{}", repository.full_name()),
            Some((repository, rest)) => format!("/repos/{}/{rest}", repository.full_name()),
            None => path.to_owned(),
        }
    }
}
