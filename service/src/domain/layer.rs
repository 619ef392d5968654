//! How a layer is addressed: by the hash of all that decides what is in it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::branch::BranchId;
use super::chain::{Chain, Checksum};
use super::seed::{SeedDigest, SeedOn};

/// The hash that addresses a layer: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerKey(String);

impl LayerKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that was made by [`LayerContent::key`] before, read back from where it was kept.
    pub fn recorded(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Name of the database on the branch server, within PostgreSQL's 63 bytes.
    pub fn database_name(&self) -> String {
        format!("offshoot_layer_{}", &self.0[..32])
    }
}

impl fmt::Display for LayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What decides a layer's content. Two equal ones hold the same, whoever built them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerContent<'a> {
    /// `server_version_num` and the default collation, as [`crate::engine::Server::fingerprint`] gives them.
    pub server: &'a str,
    /// Created before the chain; the order does not matter.
    pub extensions: &'a [String],
    pub chain: &'a Chain,
    /// The seed run after the chain, if any.
    pub seed: Option<&'a SeedDigest>,
}

/// What decides what forks of a branch begin with: its ready state. It is no layer of any base, and its key is never one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotContent<'a> {
    /// Forks of one branch trust each other, and no others.
    pub branch: BranchId,
    /// Of the base's layer, with its seed.
    pub base: &'a LayerKey,
    /// The base's migrations and the head's own, as replayed.
    pub chain: &'a Chain,
    /// The head's seeds, if any, and when they are run.
    pub seed: Option<&'a SeedDigest>,
    pub seed_on: SeedOn,
}

impl SnapshotContent<'_> {
    pub fn key(&self) -> LayerKey {
        let content = serde_json::json!({
            "format": 1,
            "snapshot_of": self.branch,
            "base": self.base,
            "chain": self.chain,
            "seed": self.seed,
            "seed_on": self.seed_on,
        });
        digest(&content)
    }
}

impl LayerContent<'_> {
    pub fn key(&self) -> LayerKey {
        let mut extensions = self.extensions.to_vec();
        extensions.sort_unstable();
        extensions.dedup();
        let steps = self.chain.migrations().iter();
        digest(&Described {
            chain: steps.map(|step| Step { checksum: &step.checksum, name: &step.name }).collect(),
            extensions: &extensions,
            format: 1,
            seed: self.seed,
            server: self.server,
        })
    }
}

/// A layer's content as it is hashed. The order of these fields, and of a step's, is a part of every key.
#[derive(Serialize)]
struct Described<'a> {
    chain: Vec<Step<'a>>,
    extensions: &'a [String],
    format: u32,
    seed: Option<&'a SeedDigest>,
    server: &'a str,
}

#[derive(Serialize)]
struct Step<'a> {
    checksum: &'a Checksum,
    name: &'a str,
}

fn digest(content: &impl Serialize) -> LayerKey {
    let json = serde_json::to_vec(content).expect("names and numbers can be written as JSON");
    LayerKey(hex::encode(Sha256::digest(&json)))
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::chain;
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let chain = chain(&[("1_init", "a"), ("2_\"users\"", "b")]);
        let extensions = ["pgcrypto".to_owned(), "citext".to_owned(), "citext".to_owned()];
        let content =
            LayerContent { server: "180006 C.UTF-8", extensions: &extensions, chain: &chain, seed: None };
        // As the first version wrote it: layers that stand are found by it.
        let described = serde_json::json!({
            "format": 1,
            "server": "180006 C.UTF-8",
            "extensions": ["citext", "pgcrypto"],
            "chain": chain,
            "seed": null,
        });
        assert_eq!(content.key().as_str(), hex::encode(Sha256::digest(described.to_string())));
    }
}
