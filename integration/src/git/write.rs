//! Commits: made from changes, merged, replayed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use gix::bstr::{BStr, BString, ByteSlice};

use super::read::EntryKind;
use super::{Change, GitRepository, Sha};

/// Where a commit is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// On the ref's tip; a root commit if there is no such ref yet.
    Tip,
    /// On this commit, wherever the ref pointed: a forced push.
    Commit(Sha),
    /// On nothing: a root commit.
    None,
}

/// Who wrote a commit, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub name: String,
    pub email: String,
    /// Seconds since 1970; now if none.
    pub seconds: Option<i64>,
}

impl Author {
    /// An author with an address made from the name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), email: format!("{name}@example.com"), seconds: None }
    }

    fn signature(&self) -> gix::actor::Signature {
        let seconds = self.seconds.unwrap_or_else(|| chrono::Utc::now().timestamp());
        gix::actor::Signature {
            name: self.name.as_str().into(),
            email: self.email.as_str().into(),
            time: gix::date::Time::new(seconds, 0),
        }
    }
}

/// How a pull request's commits get into its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

/// What a path holds; none if nothing.
type Slot = Option<(EntryKind, Sha)>;

impl GitRepository {
    /// Commits these changes and points the ref at the new commit.
    pub fn commit(
        &self,
        git_ref: &str,
        parent: Parent,
        message: &str,
        author: &Author,
        changes: &[Change],
    ) -> Result<Sha> {
        let parent = match parent {
            Parent::Tip => self.tip(git_ref)?,
            Parent::Commit(sha) => Some(sha),
            Parent::None => None,
        };
        let before = match parent {
            Some(sha) => Some(self.tree_of(sha)?.with_context(|| format!("{sha} is no commit"))?),
            None => None,
        };
        let tree = self
            .change_tree(before, changes)
            .with_context(|| format!("commit \"{message}\" to {git_ref}"))?;
        let sha = self.write_commit(tree, parent.as_slice(), message, author)?;
        self.set_ref(git_ref, sha)?;
        Ok(sha)
    }

    /// Brings the commits of `head` into the base ref; a path changed differently on both sides is a conflict and an error.
    pub fn merge(
        &self,
        base_ref: &str,
        head: Sha,
        method: MergeMethod,
        message: &str,
        author: &Author,
    ) -> Result<Sha> {
        let base = self.tip(base_ref)?.with_context(|| format!("there is no {base_ref} to merge into"))?;
        let merged = match method {
            MergeMethod::Rebase => self.replay(head, base)?,
            MergeMethod::Merge => self.merge_commit(base, head, message, author)?,
            MergeMethod::Squash => {
                let tree = self.merge_trees(base, head)?;
                self.write_commit(tree, &[base], message, author)?
            }
        };
        self.set_ref(base_ref, merged)?;
        Ok(merged)
    }

    /// A commit that merges the two, without moving any ref.
    pub fn merge_commit(&self, base: Sha, head: Sha, message: &str, author: &Author) -> Result<Sha> {
        let tree = self.merge_trees(base, head)?;
        self.write_commit(tree, &[base, head], message, author)
    }

    /// Replays the head's own commits, one by one, onto another commit and returns the last: what a rebase does.
    /// Merges of the base into the head are left out. No ref moves.
    pub fn replay(&self, head: Sha, onto: Sha) -> Result<Sha> {
        let mut tip = onto;
        for sha in self.divergence(onto, head)?.ahead {
            let commit = self.commit_info(sha)?.context("a walked commit exists")?;
            let &[parent] = commit.parents.as_slice() else { continue };
            let tree = self.apply(parent, sha, tip)?;
            let author = Author {
                name: commit.author_name,
                email: commit.author_email,
                seconds: Some(commit.seconds),
            };
            tip = self.write_commit(tree, &[tip], &commit.message, &author)?;
        }
        Ok(tip)
    }

    /// The tree of the two merged, or an error that names what conflicts.
    fn merge_trees(&self, base: Sha, head: Sha) -> Result<Sha> {
        let common =
            self.merge_base(base, head)?.with_context(|| format!("{base} and {head} share no history"))?;
        self.apply(common, head, base)
    }

    /// What changed from one commit to another, applied to a third one's tree.
    fn apply(&self, from: Sha, to: Sha, onto: Sha) -> Result<Sha> {
        let (from, to, ours) = (self.slots(from)?, self.slots(to)?, self.slots(onto)?);
        let tree = self.tree_of(onto)?.with_context(|| format!("{onto} is no commit"))?;
        let local = self.local();
        let mut editor = editor(&local, Some(tree))?;
        for path in from.keys().chain(to.keys().filter(|path| !from.contains_key(*path))) {
            let (old, new, own) = (from.get(path), to.get(path), ours.get(path));
            if old == new || own == new {
                continue;
            }
            if own != old {
                bail!("`{}` was changed on both sides", path.as_bstr());
            }
            put(&mut editor, path, new.copied())?;
        }
        write_tree(&local, editor)
    }

    pub(super) fn slots(&self, commit: Sha) -> Result<BTreeMap<Vec<u8>, (EntryKind, Sha)>> {
        let tree = self.tree_of(commit)?.with_context(|| format!("{commit} is no commit"))?;
        let leaves = self.tree(tree, true)?;
        let leaves = leaves.iter().filter(|entry| entry.kind != EntryKind::Tree);
        Ok(leaves.map(|entry| (entry.path.clone(), (entry.kind, entry.sha))).collect())
    }

    fn change_tree(&self, before: Option<Sha>, changes: &[Change]) -> Result<Sha> {
        let local = self.local();
        let mut tree = before;
        // A rename looks at what the changes before it made, so the edits so far are written first.
        for group in changes.chunk_by(|_, next| !matches!(next, Change::Rename { .. })) {
            let mut editor = editor(&local, tree)?;
            for change in group {
                self.change(&local, &mut editor, tree, change)?;
            }
            tree = Some(write_tree(&local, editor)?);
        }
        match tree {
            Some(tree) => Ok(tree),
            None => write_tree(&local, editor(&local, None)?),
        }
    }

    fn change(
        &self,
        local: &gix::Repository,
        editor: &mut gix::objs::tree::Editor<'_>,
        tree: Option<Sha>,
        change: &Change,
    ) -> Result<()> {
        let blob = |bytes: &[u8]| anyhow::Ok(Sha(local.write_blob(bytes)?.detach()));
        match change {
            Change::Write { path, bytes } => {
                put(editor, path.as_bytes(), Some((EntryKind::File, blob(bytes)?)))
            }
            Change::Symlink { path, target } => {
                put(editor, path.as_bytes(), Some((EntryKind::Symlink, blob(target.as_bytes())?)))
            }
            Change::Submodule { path, commit } => {
                put(editor, path.as_bytes(), Some((EntryKind::Submodule, commit.parse()?)))
            }
            Change::Remove { path } => put(editor, path.as_bytes(), None),
            Change::Rename { from, to } => {
                let found = match tree {
                    Some(tree) => self.entry(tree, from)?,
                    None => None,
                };
                let found = found.with_context(|| format!("there is no `{from}` to rename"))?;
                put(editor, from.as_bytes(), None)?;
                put(editor, to.as_bytes(), Some((found.kind, found.sha)))
            }
        }
    }

    fn write_commit(&self, tree: Sha, parents: &[Sha], message: &str, author: &Author) -> Result<Sha> {
        let signature = author.signature();
        let commit = gix::objs::Commit {
            tree: tree.0,
            parents: parents.iter().map(|sha| sha.0).collect(),
            author: signature.clone(),
            committer: signature,
            encoding: None,
            message: BString::from(message),
            extra_headers: Vec::new(),
        };
        let local = self.local();
        let sha = local.write_object(&commit).with_context(|| format!("write the commit \"{message}\""))?;
        Ok(Sha(sha.detach()))
    }
}

fn editor(local: &gix::Repository, tree: Option<Sha>) -> Result<gix::objs::tree::Editor<'_>> {
    let root = match tree {
        Some(tree) => local.find_tree(tree.0)?.decode()?.to_owned(),
        None => gix::objs::Tree::empty(),
    };
    Ok(gix::objs::tree::Editor::new(root, &local.objects, local.object_hash()))
}

fn put(editor: &mut gix::objs::tree::Editor<'_>, path: &[u8], slot: Slot) -> Result<()> {
    let components = || path.split(|byte| *byte == b'/').map(BStr::new);
    match slot {
        Some((kind, sha)) => editor.upsert(components(), kind.to_git(), sha.0).map(drop),
        None => editor.remove(components()).map(drop),
    }
    .with_context(|| format!("put `{}` into the tree", path.as_bstr()))
}

fn write_tree(local: &gix::Repository, mut editor: gix::objs::tree::Editor<'_>) -> Result<Sha> {
    Ok(Sha(editor.write(|tree| local.write_object(tree).map(|id| id.detach()))?))
}
