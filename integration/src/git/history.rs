//! Commits and how they relate.

use std::collections::HashSet;

use anyhow::{Context, Result};
use gix::objs::Kind;

use super::{GitRepository, Sha};

/// A commit, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    pub sha: Sha,
    pub tree: Sha,
    pub parents: Vec<Sha>,
    pub message: String,
    pub author_name: String,
    pub author_email: String,
    /// When it was committed, in seconds since 1970.
    pub seconds: i64,
}

/// How a head relates to a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// None if the two share no history.
    pub merge_base: Option<Sha>,
    /// The head's commits that the base does not have, oldest first.
    pub ahead: Vec<Sha>,
    /// How many of the base's commits the head does not have.
    pub behind: usize,
}

impl GitRepository {
    /// The commit with this id, a tag followed; none if there is no such commit.
    pub fn commit_info(&self, sha: Sha) -> Result<Option<CommitInfo>> {
        let local = self.local();
        let Some(object) = local.try_find_object(sha.0)? else { return Ok(None) };
        if !matches!(object.kind, Kind::Commit | Kind::Tag) {
            return Ok(None);
        }
        let commit = object.peel_to_commit().with_context(|| format!("read the commit {sha}"))?;
        let author = commit.author()?;
        Ok(Some(CommitInfo {
            sha: Sha(commit.id),
            tree: Sha(commit.tree_id()?.detach()),
            parents: commit.parent_ids().map(|id| Sha(id.detach())).collect(),
            message: commit.message_raw()?.to_string(),
            author_name: author.name.to_string(),
            author_email: author.email.to_string(),
            seconds: commit.time()?.seconds,
        }))
    }

    /// The commit that a ref's name (`main`, `heads/main`, `refs/pull/1/head`, `tags/v1`) or an id leads to.
    pub fn resolve(&self, name: &str) -> Result<Option<CommitInfo>> {
        if let Ok(sha) = name.parse() {
            return self.commit_info(sha);
        }
        for candidate in [
            name.to_owned(),
            format!("refs/heads/{name}"),
            format!("refs/{name}"),
            format!("refs/tags/{name}"),
        ] {
            if let Ok(Some(sha)) = self.tip(&candidate) {
                return self.commit_info(sha);
            }
        }
        Ok(None)
    }

    /// The commits reachable from this one, newest first.
    pub fn log(&self, from: Sha) -> Result<Vec<CommitInfo>> {
        let shas = self.walk(from, None)?;
        shas.into_iter().map(|sha| self.commit_info(sha)?.context("a walked commit exists")).collect()
    }

    /// The best common ancestor; none if the two share no history.
    pub fn merge_base(&self, one: Sha, two: Sha) -> Result<Option<Sha>> {
        let local = self.local();
        let base = local
            .merge_base(one.0, two.0)
            .with_context(|| format!("find the merge base of {one} and {two}"))?;
        Ok(base.map(|id| Sha(id.detach())))
    }

    /// How `head` relates to `base`: merge base, commits ahead, commits behind.
    pub fn divergence(&self, base: Sha, head: Sha) -> Result<Divergence> {
        let mut ahead = self.walk(head, Some(base))?;
        ahead.reverse();
        Ok(Divergence {
            merge_base: self.merge_base(base, head)?,
            ahead,
            behind: self.walk(base, Some(head))?.len(),
        })
    }

    /// The commits reachable from `from` and not from `hidden`, children before their parents.
    fn walk(&self, from: Sha, hidden: Option<Sha>) -> Result<Vec<Sha>> {
        let local = self.local();
        let known: HashSet<gix::ObjectId> = match hidden {
            Some(hidden) => reachable(&local, hidden)?.into_iter().collect(),
            None => HashSet::new(),
        };
        Ok(reachable(&local, from)?.into_iter().filter(|id| !known.contains(id)).map(Sha).collect())
    }
}

/// Ordered by hand rather than by the commits' times: commits made within one second must keep their order.
fn reachable(local: &gix::Repository, from: Sha) -> Result<Vec<gix::ObjectId>> {
    let mut postorder = Vec::new();
    let mut seen = HashSet::new();
    let mut stack = vec![(from.0, false)];
    while let Some((id, parents_done)) = stack.pop() {
        if parents_done {
            postorder.push(id);
        } else if seen.insert(id) {
            stack.push((id, true));
            let commit = local.find_commit(id).with_context(|| format!("read the commit {id}"))?;
            stack.extend(commit.parent_ids().map(|parent| (parent.detach(), false)));
        }
    }
    postorder.reverse();
    Ok(postorder)
}
