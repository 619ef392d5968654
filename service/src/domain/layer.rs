//! How a layer is addressed: by the hash of all that decides what is in it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::Chain;
use super::seed::SeedDigest;

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
