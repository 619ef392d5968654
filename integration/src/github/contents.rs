//! Files and directories by their path.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError};
use super::git_data::{encode_path, in_lines};
use super::model::Level;
use crate::git::{EntryKind, GitRepository, Sha, TreeEntry};

/// Above this the content of a file is left out.
const INLINE_LIMIT: usize = 1024 * 1024;

/// The addresses that a file's own are made from.
struct Place {
    url: String,
    page: String,
    git_ref: String,
}

/// `GET /repos/{owner}/{repo}/contents/{path}`
pub(crate) async fn show(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, path)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Answer<Response> {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "contents", Level::Read)?;
    let git_ref = query.get("ref").cloned().unwrap_or_else(|| state.repository(id).default_branch.clone());
    let git = state.repository(id).git.clone();
    let place = Place { url: state.repository_url(id), page: state.page(id), git_ref };
    drop(state);
    let commit = git.resolve(&place.git_ref)?.ok_or_else(ApiError::not_found)?;
    let path = path.trim_end_matches('/');
    let entry = git.entry(commit.tree, path)?.ok_or_else(ApiError::not_found)?;
    if entry.kind == EntryKind::Tree {
        let children = git.tree(entry.sha, false)?;
        let children = children.iter().map(|child| place.listed(&format!("{path}/"), child));
        return Ok(Json(Value::Array(children.collect())).into_response());
    }
    let raw = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("raw"));
    if raw && entry.kind != EntryKind::Submodule {
        let bytes = git.blob(entry.sha)?.ok_or_else(ApiError::not_found)?;
        return Ok(([(CONTENT_TYPE, "application/vnd.github.raw; charset=utf-8")], bytes).into_response());
    }
    if entry.kind == EntryKind::Submodule {
        let mut shown = place.listed("", &entry);
        shown["submodule_git_url"] = json!(submodule_url(&git, commit.tree, path)?);
        return Ok(Json(shown).into_response());
    }
    Ok(Json(place.alone(&git, &entry)?).into_response())
}

/// The address that `.gitmodules` names for the submodule at this path; none if it names none.
fn submodule_url(git: &GitRepository, tree: Sha, path: &str) -> Result<Option<String>, ApiError> {
    let Some(file) = git.entry(tree, ".gitmodules")? else { return Ok(None) };
    let text = git.blob(file.sha)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let value = |section: &str, key: &str| {
        let mut pairs = section.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(found, _)| found.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    let mut sections = text.split("[submodule ");
    Ok(sections
        .find(|section| value(section, "path").as_deref() == Some(path))
        .and_then(|section| value(section, "url")))
}

impl Place {
    fn listed(&self, prefix: &str, entry: &TreeEntry) -> Value {
        let path = format!("{prefix}{}", String::from_utf8_lossy(&entry.path));
        let name = path.rsplit('/').next().unwrap_or(&path);
        let (kind, objects) = match entry.kind {
            EntryKind::Tree => ("dir", "trees"),
            EntryKind::File | EntryKind::Executable => ("file", "blobs"),
            EntryKind::Symlink => ("symlink", "blobs"),
            EntryKind::Submodule => ("submodule", "trees"),
        };
        let escaped = encode_path(&path);
        let own = format!("{}/contents/{escaped}?ref={}", self.url, self.git_ref);
        let git = format!("{}/git/{objects}/{}", self.url, entry.sha);
        let html = format!("{}/blob/{}/{escaped}", self.page, self.git_ref);
        let download = (objects == "blobs").then(|| format!("{}/raw/{}/{escaped}", self.page, self.git_ref));
        json!({
            "type": kind,
            "name": name,
            "path": path,
            "sha": entry.sha,
            "size": entry.size.unwrap_or(0),
            "url": own,
            "git_url": git,
            "html_url": html,
            "download_url": download,
            "_links": { "self": own, "git": git, "html": html },
        })
    }

    fn alone(&self, git: &GitRepository, entry: &TreeEntry) -> Result<Value, ApiError> {
        let mut shown = self.listed("", entry);
        let bytes = git.blob(entry.sha)?.ok_or_else(ApiError::not_found)?;
        match entry.kind {
            EntryKind::Symlink => shown["target"] = json!(String::from_utf8_lossy(&bytes)),
            _ if bytes.len() > INLINE_LIMIT => {
                shown["encoding"] = json!("none");
                shown["content"] = json!("");
            }
            _ => {
                shown["encoding"] = json!("base64");
                shown["content"] = json!(in_lines(&bytes));
            }
        }
        Ok(shown)
    }
}
