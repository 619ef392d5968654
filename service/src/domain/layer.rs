//! How a layer is addressed: by the hash of all that decides what is in it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::branch::BranchId;
use super::chain::Chain;
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
        LayerKey(hex::encode(Sha256::digest(content.to_string())))
    }
}

impl LayerContent<'_> {
    pub fn key(&self) -> LayerKey {
        let mut extensions = self.extensions.to_vec();
        extensions.sort_unstable();
        extensions.dedup();
        let content = serde_json::json!({
            "format": 1,
            "server": self.server,
            "extensions": extensions,
            "chain": self.chain,
            "seed": self.seed,
        });
        LayerKey(hex::encode(Sha256::digest(content.to_string())))
    }
}
