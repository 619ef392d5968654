//! Real git repositories, made by the tests and the demo and read by the simulated GitHub.

/// One change of a commit against its parent's tree. Paths are relative to the repository's root and use `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The file holds exactly these bytes afterwards.
    Write { path: String, bytes: Vec<u8> },
    /// A symbolic link to `target`.
    Symlink { path: String, target: String },
    /// A submodule at this commit.
    Submodule { path: String, commit: String },
    /// The file or the whole directory is gone afterwards.
    Remove { path: String },
    /// The file or directory is found under another path afterwards.
    Rename { from: String, to: String },
}

impl Change {
    /// A file with this text.
    pub fn write(path: impl Into<String>, text: impl AsRef<[u8]>) -> Self {
        Self::Write { path: path.into(), bytes: text.as_ref().to_vec() }
    }

    /// A path that is to be removed.
    pub fn remove(path: impl Into<String>) -> Self {
        Self::Remove { path: path.into() }
    }
}
