//! Trees and blobs.

use std::sync::Arc;

use anyhow::{Context, Result};
use gix::objs::Kind;

use super::{GitRepository, Sha};

/// What a tree's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Tree,
    File,
    Executable,
    Symlink,
    Submodule,
}

impl EntryKind {
    /// Git's octal mode, in the six digits that GitHub shows.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Tree => "040000",
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }

    /// `tree`, `blob` or `commit`.
    pub fn object_type(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::File | Self::Executable | Self::Symlink => "blob",
            Self::Submodule => "commit",
        }
    }

    fn from_git(kind: gix::objs::tree::EntryKind) -> Self {
        use gix::objs::tree::EntryKind as Git;
        match kind {
            Git::Tree => Self::Tree,
            Git::Blob => Self::File,
            Git::BlobExecutable => Self::Executable,
            Git::Link => Self::Symlink,
            Git::Commit => Self::Submodule,
        }
    }

    pub(super) fn to_git(self) -> gix::objs::tree::EntryKind {
        use gix::objs::tree::EntryKind as Git;
        match self {
            Self::Tree => Git::Tree,
            Self::File => Git::Blob,
            Self::Executable => Git::BlobExecutable,
            Self::Symlink => Git::Link,
            Self::Submodule => Git::Commit,
        }
    }
}

/// An entry of a tree. Git's paths are bytes and need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path below the listed tree.
    pub path: Vec<u8>,
    pub kind: EntryKind,
    pub sha: Sha,
    /// A blob's length in bytes; none for trees and submodules.
    pub size: Option<u64>,
}

impl GitRepository {
    /// The tree that this object is or leads to (a commit, a tag or the tree itself); none if it is anything else or unknown.
    pub fn tree_of(&self, sha: Sha) -> Result<Option<Sha>> {
        let local = self.local();
        let Some(object) = local.try_find_object(sha.0)? else { return Ok(None) };
        if object.kind == Kind::Blob {
            return Ok(None);
        }
        Ok(Some(Sha(object.peel_to_tree()?.id)))
    }

    /// The entries of a tree, in git's own order; with `recursive`, those of its subtrees follow each subtree's entry.
    pub fn tree(&self, tree: Sha, recursive: bool) -> Result<Arc<Vec<TreeEntry>>> {
        let known = self.listings.lock().expect("no listing panics").get(&(tree, recursive)).cloned();
        if let Some(listing) = known {
            return Ok(listing);
        }
        let listing = Arc::new(self.list(tree, recursive)?);
        self.listings.lock().expect("no listing panics").insert((tree, recursive), Arc::clone(&listing));
        Ok(listing)
    }

    /// Subtrees are listed through what is known already: most of them are the same in the next commit.
    fn list(&self, tree: Sha, recursive: bool) -> Result<Vec<TreeEntry>> {
        let local = self.local();
        let found = local.find_tree(tree.0).with_context(|| format!("read the tree {tree}"))?;
        let mut entries = Vec::new();
        for entry in found.iter() {
            let entry = entry.with_context(|| format!("decode the tree {tree}"))?;
            let (kind, sha) = (EntryKind::from_git(entry.kind()), Sha(entry.object_id()));
            let path = entry.filename().to_vec();
            let size = match kind {
                EntryKind::Tree | EntryKind::Submodule => None,
                _ => Some(local.find_header(sha.0)?.size()),
            };
            entries.push(TreeEntry { path: path.clone(), kind, sha, size });
            if recursive && kind == EntryKind::Tree {
                let below = self.tree(sha, true)?;
                let placed = |child: &TreeEntry| TreeEntry {
                    path: [&path, b"/".as_slice(), &child.path].concat(),
                    ..child.clone()
                };
                entries.extend(below.iter().map(placed));
            }
        }
        Ok(entries)
    }

    /// The bytes of a blob; none if there is no such object or it is not a blob.
    pub fn blob(&self, sha: Sha) -> Result<Option<Vec<u8>>> {
        let local = self.local();
        let Some(mut object) = local.try_find_object(sha.0)? else { return Ok(None) };
        Ok((object.kind == Kind::Blob).then(|| std::mem::take(&mut object.data)))
    }

    /// The entry found under a path of a tree; none if there is nothing.
    pub fn entry(&self, tree: Sha, path: &str) -> Result<Option<TreeEntry>> {
        Ok(self.tree(tree, true)?.iter().find(|entry| entry.path == path.as_bytes()).cloned())
    }

    /// The bytes of the file at a path of a commit; none if there is no such file.
    pub fn file(&self, commit: Sha, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(tree) = self.tree_of(commit)? else { return Ok(None) };
        let Some(entry) = self.entry(tree, path)? else { return Ok(None) };
        self.blob(entry.sha)
    }
}
