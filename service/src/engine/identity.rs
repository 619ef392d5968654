//! What Offshoot writes on what it makes: the comment on each of its databases and roles.

use serde::{Deserialize, Serialize};

/// The format of the comment.
const FORMAT: u8 = 1;

/// Names that Offshoot gives begin with one of these, but for a published branch's.
const PREFIXES: [&str; 4] = [INSTANCE_PREFIX, TRASH_PREFIX, FORK_PREFIX, "offshoot_layer_"];
const INSTANCE_PREFIX: &str = "offshoot_instance_";
const TRASH_PREFIX: &str = "offshoot_trash_";
const FORK_PREFIX: &str = "offshoot_fork_";

/// The database and role of an instance until it is published or frozen. The id is a UUID's text or as short.
pub fn instance_name(id: &str) -> String {
    format!("{INSTANCE_PREFIX}{id}")
}

/// The database and role of an instance that was replaced, until it is dropped.
pub fn trash_name(id: &str) -> String {
    format!("{TRASH_PREFIX}{id}")
}

/// The same of an instance whose branch was closed.
pub fn retired_name(id: &str) -> String {
    format!("{TRASH_PREFIX}{id}_gone")
}

/// The database and role of a fork, from the first to the last.
pub fn fork_name(id: &str) -> String {
    format!("{FORK_PREFIX}{id}")
}

/// A database's identity: design invariant 4 for a branch, and the same idea for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    offshoot: u8,
    #[serde(flatten)]
    pub subject: Subject,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Subject {
    Branch {
        repository: String,
        pull_request: i32,
        database: String,
        generation: i32,
        sha: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fork: Option<String>,
    },
    Layer {
        layer: String,
    },
    /// A clone that waits in the pool, by the key of the layer that it was made from.
    Spare {
        spare: String,
    },
}

impl Identity {
    pub fn new(subject: Subject) -> Self {
        Self { offshoot: FORMAT, subject }
    }

    /// The comment's text.
    pub fn comment(&self) -> String {
        serde_json::to_string(self).expect("an identity of texts and numbers is JSON")
    }

    /// The identity that a comment states, if it is one of ours.
    pub fn read(comment: &str) -> Option<Self> {
        serde_json::from_str(comment).ok()
    }
}

/// The comment on a role, which has no more to say.
pub(super) const ROLE_COMMENT: &str = r#"{"offshoot":1}"#;

/// Whether a database of this name waits to become a branch's: nobody has a URL that leads there.
pub(super) fn is_unpublished(name: &str) -> bool {
    name.starts_with(INSTANCE_PREFIX)
}

/// Whether something of this name and comment was made by Offshoot. One that was killed while making it has left no comment.
pub(super) fn is_ours(name: &str, comment: Option<&str>) -> bool {
    #[derive(Deserialize)]
    struct Mark {
        offshoot: u8,
    }
    let marked = |text: &str| serde_json::from_str::<Mark>(text).is_ok_and(|mark| mark.offshoot > 0);
    comment.map_or_else(|| PREFIXES.iter().any(|prefix| name.starts_with(prefix)), marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_s_comment_is_the_one_promised() {
        let subject = Subject::Branch {
            repository: "acme/shop".to_owned(),
            pull_request: 42,
            database: "main".to_owned(),
            generation: 3,
            sha: "abc".to_owned(),
            fork: None,
        };
        let identity = Identity::new(subject);
        assert_eq!(
            identity.comment(),
            r#"{"offshoot":1,"repository":"acme/shop","pull_request":42,"database":"main","generation":3,"sha":"abc"}"#
        );
        assert_eq!(Identity::read(&identity.comment()), Some(identity));
        let layer = Identity::new(Subject::Layer { layer: "ff".to_owned() });
        assert_eq!(layer.comment(), r#"{"offshoot":1,"layer":"ff"}"#);
        assert_eq!(Identity::read(&layer.comment()), Some(layer));
        assert_eq!(Identity::read("production, do not touch"), None);
    }

    #[test]
    fn only_what_offshoot_made_is_its_own() {
        assert!(is_ours("acme_shop_pr_42", Some(r#"{"offshoot":1,"spare":"x"}"#)));
        assert!(is_ours("offshoot_instance_7", None));
        assert!(is_ours("offshoot_layer_7", None));
        assert!(!is_ours("acme_shop_pr_42", None));
        assert!(!is_ours("offshoot", None));
        assert!(!is_ours("offshoot_instance_7", Some("someone else's")));
        assert!(!is_ours("shop", Some(r#"{"other":1}"#)));
    }
}
