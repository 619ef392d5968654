//! Where chains are read from: GitHub's API for the service, a repository on disk for `offshoot preview`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::domain::ids::Oid;
use crate::domain::tree::{ChangedFile, Tree};

/// How a head stands against its base branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The base branch's commit at the time of asking.
    pub tip: Oid,
    pub merge_base: Oid,
    /// Commits of the base that the head lacks.
    pub behind_by: u32,
    /// Files in which the head differs from the merge base, as far as the host shows them.
    pub changes: Vec<ChangedFile>,
    /// Whether those are all.
    pub shows_all: bool,
}

/// Git's objects of one repository.
#[async_trait]
pub trait Source: Send + Sync {
    /// Compares a branch by its name, as `main`, with a commit.
    async fn compare(&self, base_ref: &str, head: &Oid) -> Result<Comparison, SourceError>;

    /// What matters of a commit's tree, complete even where the host cuts its listings.
    async fn tree(&self, commit: &Oid) -> Result<Tree, SourceError>;

    /// The bytes of blobs, in the order asked for, each checked against its hash. `sizes` are the tree's, where it gave them.
    async fn blobs(&self, wanted: &[(Oid, Option<u64>)]) -> Result<Vec<Bytes>, SourceError>;
}

pub type SharedSource = Arc<dyn Source>;

/// Why a repository could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The repository, ref, commit or object is not there, or not for these credentials to see.
    #[error("{0} was not found")]
    Missing(String),
    /// The host asks to come back later; nothing is wrong.
    #[error("{why}; asked to wait until {until}")]
    Wait { until: DateTime<Utc>, why: String },
    /// The host did not answer, or answered that it is in trouble. Worth another try.
    #[error("{0}")]
    Unavailable(String),
    /// The host refused for good: credentials, permissions, or a request it does not understand.
    #[error("{0}")]
    Refused(String),
}
