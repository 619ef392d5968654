//! Pushes to branches, and what they do to the pull requests there.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::git::{Author, Change, Parent, Sha};
use crate::github::model::AccountKind;
use crate::github::state::{State, now};
use crate::github::{Hub, SimulatedGitHub};

/// What git calls a ref that does not exist.
const NOTHING: &str = "0000000000000000000000000000000000000000";

impl SimulatedGitHub {
    /// Commits changes to a branch and pushes it; a new branch starts at the default branch's tip.
    pub fn push(&self, full_name: &str, branch: &str, changes: &[Change]) -> Result<Sha> {
        self.push_as(full_name, branch, &format!("Update {branch}"), None, changes)
    }

    /// The same with the commit's message and author of one's own; the repository's owner if none.
    pub fn push_as(
        &self,
        full_name: &str,
        branch: &str,
        message: &str,
        author: Option<&str>,
        changes: &[Change],
    ) -> Result<Sha> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let repository = state.repository(id);
        let author = author.unwrap_or(&repository.owner).to_owned();
        let parent = match repository.git.tip(branch)? {
            Some(tip) => Some(tip),
            None => repository.git.tip(&repository.default_branch)?,
        };
        let parent = parent.map_or(Parent::None, Parent::Commit);
        self.hub.push(&mut state, id, branch, &author, |git| {
            git.commit(branch, parent, message, &Author::named(&author), changes)
        })
    }

    /// Throws away a branch's commits since `parent` and pushes one with these changes instead.
    pub fn force_push(&self, full_name: &str, branch: &str, parent: Sha, changes: &[Change]) -> Result<Sha> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let author = state.repository(id).owner.clone();
        self.hub.push(&mut state, id, branch, &author, |git| {
            git.commit(branch, Parent::Commit(parent), "Start over", &Author::named(&author), changes)
        })
    }

    /// Pushes a commit that is in the repository already: a rebase, a rollback, a new branch.
    pub fn push_commit(&self, full_name: &str, branch: &str, sha: Sha) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let author = state.repository(id).owner.clone();
        self.hub.push(&mut state, id, branch, &author, |git| {
            git.set_ref(branch, sha)?;
            Ok(sha)
        })?;
        Ok(())
    }

    /// Deletes a branch; the open pull requests from it are closed.
    pub fn delete_branch(&self, full_name: &str, branch: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let repository = state.repository(id);
        let owner = repository.owner.clone();
        let before =
            repository.git.tip(branch)?.with_context(|| format!("{full_name} has no branch {branch}"))?;
        repository.git.delete_ref(branch)?;
        self.hub.announce_push(&state, id, branch, Some(before), None, &owner)?;
        for pull in state.pulls_from(id, branch) {
            state.touch_pull(pull.0, pull.1)?.closed_at = Some(now());
            self.hub.announce_pull(&state, pull, "closed", &owner, json!({}))?;
        }
        Ok(())
    }
}

impl Hub {
    /// Moves a branch by `act`, brings the pull requests from it and onto it up to date, and announces both.
    pub(crate) fn push(
        &self,
        state: &mut State,
        repository: u64,
        branch: &str,
        pusher: &str,
        act: impl FnOnce(&crate::git::GitRepository) -> Result<Sha>,
    ) -> Result<Sha> {
        if branch.starts_with("refs/") {
            bail!("`{branch}` names a ref: a branch's own name is wanted");
        }
        state.account(pusher, AccountKind::User);
        let git = state.repository(repository).git.clone();
        let before = git.tip(branch)?;
        let after = act(&git)?;
        if before == Some(after) {
            return Ok(after);
        }
        state.repository_mut(repository).pushed_at = now();
        self.announce_push(state, repository, branch, before, Some(after), pusher)?;
        for (base, number) in state.pulls_from(repository, branch) {
            state.touch_pull(base, number)?.head.sha = after;
            state.refresh_merge(base, number)?;
            let more = json!({ "before": before, "after": after });
            self.announce_pull(state, (base, number), "synchronize", pusher, more)?;
        }
        let onto = state.repository(repository).pulls.values();
        let onto: Vec<u64> = onto
            .filter(|pull| pull.is_open() && pull.base.git_ref == branch)
            .map(|pull| pull.number)
            .collect();
        for number in onto {
            let pull = state.repository_mut(repository).pulls.get_mut(&number).expect("just listed");
            pull.base.sha = after;
            state.refresh_merge(repository, number)?;
        }
        Ok(after)
    }

    fn announce_push(
        &self,
        state: &State,
        repository: u64,
        branch: &str,
        before: Option<Sha>,
        after: Option<Sha>,
        pusher: &str,
    ) -> Result<()> {
        let git = &state.repository(repository).git;
        let (mut commits, mut forced): (Vec<Value>, bool) = (Vec::new(), false);
        if let (Some(before), Some(after)) = (before, after) {
            let divergence = git.divergence(before, after)?;
            forced = divergence.behind > 0;
            for sha in divergence.ahead {
                commits.push(state.pushed_commit(repository, sha)?);
            }
        }
        let owner = &state.repository(repository).owner;
        let payload = json!({
            "ref": format!("refs/heads/{branch}"),
            "before": before.map_or_else(|| NOTHING.to_owned(), |sha| sha.to_string()),
            "after": after.map_or_else(|| NOTHING.to_owned(), |sha| sha.to_string()),
            "created": before.is_none(),
            "deleted": after.is_none(),
            "forced": forced,
            "base_ref": null,
            "compare": format!("{}/compare/{branch}", state.page(repository)),
            "commits": commits,
            "head_commit": after.map(|sha| state.pushed_commit(repository, sha)).transpose()?,
            "pusher": { "name": pusher, "email": format!("{pusher}@example.com") },
            // Only here are these two times numbers, and only here does the owner have a `name`.
            "repository": {
                "created_at": state.repository(repository).created_at.timestamp(),
                "pushed_at": state.repository(repository).pushed_at.timestamp(),
                "owner": super::super::shapes::with(state.user(owner), json!({ "name": owner, "email": null })),
                "stargazers": 0,
                "master_branch": state.repository(repository).default_branch,
            },
        });
        self.announce(state, repository, "push", pusher, payload);
        Ok(())
    }
}
