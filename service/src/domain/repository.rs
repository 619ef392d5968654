//! What GitHub says of a repository.

use serde::{Deserialize, Serialize};

use super::ids::RepositoryName;

/// A repository as GitHub last described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryFacts {
    /// GitHub's number, which a rename or a transfer leaves alone.
    pub github_id: i64,
    pub name: RepositoryName,
    /// The installation of the App through which it is reached; none for a personal token.
    pub installation: Option<i64>,
    pub default_branch: String,
}
