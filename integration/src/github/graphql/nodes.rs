//! The objects of GitHub's graph that can be asked for, and their plain fields.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::git::Sha;
use crate::github::Hub;
use crate::github::shapes::{node_id, stamp};

/// `text` is cut after so many bytes.
const TEXT_LIMIT: usize = 512_000;

pub(super) enum Node {
    Query,
    Repository(u64),
    RateLimit,
    Blob {
        sha: Sha,
        bytes: Vec<u8>,
    },
    /// A commit or a tree, of which only the name can be asked.
    Other {
        sha: Sha,
        kind: &'static str,
    },
}

/// The object that `object(oid:)` or `object(expression:)` means; none if there is none.
pub(super) fn object(
    hub: &Hub,
    repository: u64,
    (oid, expression): (Option<String>, Option<String>),
) -> Result<Option<Node>> {
    let git = hub.state().repository(repository).git.clone();
    let sha = match (oid, expression) {
        (Some(oid), None) => oid.parse().context("`oid` is no GitObjectID")?,
        (None, Some(expression)) => {
            let (commit, path) = expression.split_once(':').unwrap_or((&expression, ""));
            let Some(commit) = git.resolve(commit)? else { return Ok(None) };
            if path.is_empty() {
                commit.sha
            } else {
                let Some(entry) = git.entry(commit.tree, path)? else { return Ok(None) };
                entry.sha
            }
        }
        _ => anyhow::bail!("`object` takes either `oid` or `expression`"),
    };
    if let Some(bytes) = git.blob(sha)? {
        return Ok(Some(Node::Blob { sha, bytes }));
    }
    if git.commit_info(sha)?.is_some() {
        return Ok(Some(Node::Other { sha, kind: "Commit" }));
    }
    Ok(git.tree_of(sha)?.map(|sha| Node::Other { sha, kind: "Tree" }))
}

impl Node {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Repository(_) => "Repository",
            Self::RateLimit => "RateLimit",
            Self::Blob { .. } => "Blob",
            Self::Other { kind, .. } => kind,
        }
    }

    /// Whether a fragment on this type speaks to the node.
    pub(super) fn is(&self, type_name: &str) -> bool {
        let object = matches!(self, Self::Blob { .. } | Self::Other { .. });
        type_name == self.type_name() || (object && ["GitObject", "Node"].contains(&type_name))
    }

    /// A field without fields of its own; none if there is no such field.
    pub(super) fn scalar(&self, hub: &Hub, field: &str) -> Option<Value> {
        if field == "__typename" {
            return Some(json!(self.type_name()));
        }
        match self {
            Self::Query => None,
            Self::Repository(id) => repository_field(hub, *id, field),
            Self::RateLimit => rate_limit_field(hub, field),
            Self::Blob { sha, bytes } => {
                blob_field(bytes, field).or_else(|| object_field(*sha, "Blob", field))
            }
            Self::Other { sha, kind } => object_field(*sha, kind, field),
        }
    }
}

fn repository_field(hub: &Hub, id: u64, field: &str) -> Option<Value> {
    let state = hub.state();
    let repository = state.repository(id);
    Some(match field {
        "id" => json!(node_id("Repository", id)),
        "databaseId" => json!(id),
        "name" => json!(repository.name),
        "nameWithOwner" => json!(repository.full_name()),
        "isPrivate" => json!(repository.private),
        _ => return None,
    })
}

/// However much a query reads, it costs a point as long as it asks for no long lists.
fn rate_limit_field(hub: &Hub, field: &str) -> Option<Value> {
    let state = hub.state();
    let limit = &state.rate_limit;
    Some(match field {
        "cost" => json!(1),
        "limit" => json!(limit.limit),
        "used" => json!(limit.used),
        "remaining" => json!(limit.limit - limit.used),
        "nodeCount" => json!(0),
        "resetAt" => json!(stamp(limit.reset)),
        _ => return None,
    })
}

fn object_field(sha: Sha, kind: &str, field: &str) -> Option<Value> {
    Some(match field {
        "id" => json!(node_id(kind, sha)),
        "oid" => json!(sha),
        "abbreviatedOid" => json!(sha.to_string()[..7]),
        _ => return None,
    })
}

fn blob_field(bytes: &[u8], field: &str) -> Option<Value> {
    let binary = bytes.contains(&0);
    Some(match field {
        "byteSize" => json!(bytes.len()),
        "isBinary" => json!(binary),
        "isTruncated" => json!(!binary && bytes.len() > TEXT_LIMIT),
        "text" if binary => Value::Null,
        // What is not UTF-8 is shown as if it were: the text is then not the blob's bytes.
        "text" => json!(String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_LIMIT)])),
        _ => return None,
    })
}
