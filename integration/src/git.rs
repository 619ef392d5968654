//! Real git repositories, made by the tests and the demo and read by the simulated GitHub.
//!
//! Everything goes through gix in this process: no `git` needs to be installed, and reading costs no process.

mod difference;
mod history;
mod read;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use gix::refs::transaction::{PreviousValue, RefEdit};
use gix::refs::{FullName, Target};

pub use difference::{ChangedPath, Difference};
pub use history::{CommitInfo, Divergence};
pub use read::{EntryKind, TreeEntry};
pub use write::{Author, MergeMethod, Parent};

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

/// The name of a git object: 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha(pub(crate) gix::ObjectId);

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha({})", self.0)
    }
}

impl FromStr for Sha {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        gix::ObjectId::from_hex(text.as_bytes())
            .map(Self)
            .map_err(|e| anyhow!("`{text}` names no git object: {e}"))
    }
}

impl serde::Serialize for Sha {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialEq<str> for Sha {
    fn eq(&self, other: &str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<&str> for Sha {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// Listings of trees by their id. A tree never changes, so a listing is good for ever.
type Listings = Arc<Mutex<HashMap<(Sha, bool), Arc<Vec<TreeEntry>>>>>;

/// A git repository on disk, held open. Clones share it.
#[derive(Clone)]
pub struct GitRepository {
    inner: gix::ThreadSafeRepository,
    listings: Listings,
}

impl fmt::Debug for GitRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitRepository").field("path", &self.path()).finish()
    }
}

impl GitRepository {
    /// A new bare repository in `dir`, which must be missing or empty; `HEAD` names `default_branch`.
    pub fn init(dir: impl AsRef<Path>, default_branch: &str) -> Result<Self> {
        let dir = dir.as_ref();
        let said = || format!("make a git repository in {}", dir.display());
        std::fs::create_dir_all(dir).with_context(said)?;
        let options = gix::create::Options::default();
        let inner = gix::ThreadSafeRepository::init_opts(
            dir,
            gix::create::Kind::Bare,
            options,
            gix::open::Options::isolated(),
        )
        .with_context(said)?;
        let repository = Self { inner, listings: Listings::default() };
        repository.set_default_branch(default_branch)?;
        Ok(repository)
    }

    /// The repository in `dir`: bare, or a working tree with its `.git`.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let inner = gix::ThreadSafeRepository::open_opts(dir, gix::open::Options::isolated())
            .with_context(|| format!("open the git repository {}", dir.display()))?;
        Ok(Self { inner, listings: Listings::default() })
    }

    /// A fork of this repository in `dir`: refs of its own, and the same objects. As on GitHub, what is
    /// pushed to one repository of the network can be read by its id through every other.
    pub fn fork(&self, dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let default_branch = self.default_branch()?;
        drop(Self::init(dir, &default_branch)?);
        let (own, shared) = (dir.join("objects"), std::fs::canonicalize(self.path().join("objects"))?);
        std::fs::remove_dir_all(&own).with_context(|| format!("empty {}", own.display()))?;
        std::os::unix::fs::symlink(&shared, &own).with_context(|| format!("share {}", shared.display()))?;
        let mut fork = Self::open(dir)?;
        fork.listings = Arc::clone(&self.listings);
        for (name, sha) in self.branches()? {
            fork.set_ref(&name, sha)?;
        }
        Ok(fork)
    }

    /// Where the repository's `HEAD`, refs and objects are.
    pub fn path(&self) -> PathBuf {
        self.inner.git_dir().to_owned()
    }

    /// The branch that `HEAD` names, without `refs/heads/`.
    pub fn default_branch(&self) -> Result<String> {
        let name = self.local().head_name()?.context("HEAD names no branch")?;
        Ok(name.shorten().to_string())
    }

    /// Makes `HEAD` name this branch, whether it exists yet or not.
    pub fn set_default_branch(&self, branch: &str) -> Result<()> {
        let edit = RefEdit::update(
            FullName::try_from("HEAD")?,
            Target::Symbolic(full_name(branch)?),
            PreviousValue::Any,
            "default branch",
        );
        self.local().edit_reference(edit).with_context(|| format!("make {branch} the default branch"))?;
        Ok(())
    }

    /// The commit at the tip of a ref (`main`, `refs/pull/1/head`), or none if there is no such ref.
    pub fn tip(&self, git_ref: &str) -> Result<Option<Sha>> {
        let local = self.local();
        let Some(mut found) = local.try_find_reference(&full_name(git_ref)?)? else { return Ok(None) };
        let sha = found.peel_to_id().with_context(|| format!("follow {git_ref}"))?;
        Ok(Some(Sha(sha.detach())))
    }

    /// Points a ref at a commit, whatever it pointed at before: a forced push.
    pub fn set_ref(&self, git_ref: &str, sha: Sha) -> Result<()> {
        let edit = RefEdit::update(full_name(git_ref)?, sha.0, PreviousValue::Any, "push");
        self.local().edit_reference(edit).with_context(|| format!("point {git_ref} at {sha}"))?;
        Ok(())
    }

    /// Removes a ref; it is an error if there is none.
    pub fn delete_ref(&self, git_ref: &str) -> Result<()> {
        let edit = RefEdit::delete(full_name(git_ref)?, PreviousValue::MustExist);
        self.local().edit_reference(edit).with_context(|| format!("delete {git_ref}"))?;
        Ok(())
    }

    /// Every branch's name, without `refs/heads/`, and its tip.
    pub fn branches(&self) -> Result<Vec<(String, Sha)>> {
        let local = self.local();
        let mut branches = Vec::new();
        for found in local.references()?.local_branches()? {
            let mut found =
                found.map_err(|e| anyhow!("list the branches of {}: {e}", self.path().display()))?;
            branches.push((found.name().shorten().to_string(), Sha(found.peel_to_id()?.detach())));
        }
        Ok(branches)
    }

    fn local(&self) -> gix::Repository {
        self.inner.to_thread_local()
    }
}

fn full_name(git_ref: &str) -> Result<FullName> {
    let full =
        if git_ref.starts_with("refs/") { git_ref.to_owned() } else { format!("refs/heads/{git_ref}") };
    FullName::try_from(full).with_context(|| format!("`{git_ref}` cannot be the name of a git ref"))
}

#[cfg(test)]
mod tests;
