//! Git's own objects: refs, trees, blobs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, read_sha};
use super::model::Level;
use super::shapes::node_id;
use crate::git::{EntryKind, Sha, TreeEntry};

/// The REST API refuses blobs above 100 MB.
const BLOB_LIMIT: usize = 100 * 1024 * 1024;

/// `GET /repos/{owner}/{repo}/git/ref/{ref}`
pub(crate) async fn reference(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
) -> Answer {
    let state = hub.state();
    let id = state.enter(&caller, (&owner, &name), "contents", Level::Read)?;
    let full = format!("refs/{git_ref}");
    let tip = state.repository(id).git.tip(&full).ok().flatten().ok_or_else(ApiError::not_found)?;
    let url = state.repository_url(id);
    Ok(Json(json!({
        "ref": full,
        "node_id": node_id("Ref", format!("{id}:{full}")),
        "url": format!("{url}/git/{}", encode_path(&full)),
        "object": { "type": "commit", "sha": tip, "url": format!("{url}/git/commits/{tip}") },
    })))
}

/// `GET /repos/{owner}/{repo}/git/trees/{sha}`
pub(crate) async fn tree(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, sha)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Response> {
    let (git, url, limit) = {
        let state = hub.state();
        let id = state.enter(&caller, (&owner, &name), "contents", Level::Read)?;
        (state.repository(id).git.clone(), state.repository_url(id), state.repository(id).tree_limit)
    };
    let start = match sha.parse() {
        Ok(sha) => sha,
        Err(_) => git.resolve(&sha)?.ok_or_else(ApiError::not_found)?.sha,
    };
    let tree = git.tree_of(start)?.ok_or_else(ApiError::not_found)?;
    // GitHub looks only whether the parameter is there: `recursive=0` is recursive too.
    let entries = git.tree(tree, query.contains_key("recursive"))?;
    let listing = Listing {
        sha: tree,
        url: format!("{url}/git/trees/{tree}"),
        tree: entries.iter().take(limit).map(|entry| ListedEntry::new(&url, entry)).collect(),
        truncated: entries.len() > limit,
    };
    Ok(Json(listing).into_response())
}

/// Written without a value in between: of large trees there are thousands of entries.
#[derive(Serialize)]
struct Listing<'a> {
    sha: Sha,
    url: String,
    tree: Vec<ListedEntry<'a>>,
    truncated: bool,
}

#[derive(Serialize)]
struct ListedEntry<'a> {
    /// One that is not UTF-8 is shown with replacement characters, as JSON leaves no other way.
    path: Cow<'a, str>,
    mode: &'static str,
    #[serde(rename = "type")]
    object_type: &'static str,
    sha: Sha,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl<'a> ListedEntry<'a> {
    fn new(url: &str, entry: &'a TreeEntry) -> Self {
        let place = match entry.kind {
            EntryKind::Tree => Some("trees"),
            EntryKind::Submodule => None,
            EntryKind::File | EntryKind::Executable | EntryKind::Symlink => Some("blobs"),
        };
        Self {
            path: String::from_utf8_lossy(&entry.path),
            mode: entry.kind.mode(),
            object_type: entry.kind.object_type(),
            sha: entry.sha,
            size: entry.size,
            url: place.map(|place| format!("{url}/git/{place}/{}", entry.sha)),
        }
    }
}

/// `GET /repos/{owner}/{repo}/git/blobs/{sha}`
pub(crate) async fn blob(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Answer {
    let (git, url) = {
        let state = hub.state();
        let id = state.enter(&caller, (&owner, &name), "contents", Level::Read)?;
        (state.repository(id).git.clone(), state.repository_url(id))
    };
    let sha = read_sha(&sha)?;
    let bytes = git.blob(sha)?.ok_or_else(ApiError::not_found)?;
    if bytes.len() > BLOB_LIMIT {
        let message = "This API returns blobs up to 100 MB in size. The requested blob is too large to fetch via the API.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    Ok(Json(json!({
        "sha": sha,
        "node_id": node_id("Blob", sha),
        "size": bytes.len(),
        "url": format!("{url}/git/blobs/{sha}"),
        "content": in_lines(&bytes),
        "encoding": "base64",
    })))
}

/// Base64 in lines of 60 columns, each ended, as GitHub sends it.
pub(crate) fn in_lines(bytes: &[u8]) -> String {
    let mut lines = String::new();
    // 45 bytes make 60 columns.
    for line in bytes.chunks(45) {
        STANDARD.encode_string(line, &mut lines);
        lines.push('\n');
    }
    lines
}

/// A path as it stands in an address: everything but letters, digits and `/-._~` escaped.
pub(crate) fn encode_path(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
