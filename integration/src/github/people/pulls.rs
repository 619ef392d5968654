//! Pull requests: opened, changed, closed.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::git::{Author, Change, MergeMethod, Sha};
use crate::github::SimulatedGitHub;
use crate::github::model::{AccountKind, Label, PullRequest, Side};
use crate::github::shapes::Detail;
use crate::github::state::{State, now};

/// A pull request to open.
#[derive(Clone, Debug)]
pub struct NewPullRequest {
    repository: String,
    head_repository: String,
    head: String,
    base: String,
    title: String,
    body: Option<String>,
    author: Option<String>,
    draft: bool,
}

impl NewPullRequest {
    /// From the branch `head` of the repository into its branch `base`.
    pub fn new(full_name: &str, base: &str, head: &str) -> Self {
        Self {
            repository: full_name.to_owned(),
            head_repository: full_name.to_owned(),
            head: head.to_owned(),
            base: base.to_owned(),
            title: format!("Merge {head}"),
            body: None,
            author: None,
            draft: false,
        }
    }

    /// The head branch is in this fork, whose owner is the author.
    pub fn from_fork(mut self, full_name: &str) -> Self {
        self.head_repository = full_name.to_owned();
        self
    }

    pub fn draft(mut self) -> Self {
        self.draft = true;
        self
    }

    /// Opened by this person; by the owner of the head's repository if not said.
    pub fn by(mut self, login: &str) -> Self {
        self.author = Some(login.to_owned());
        self
    }

    pub fn titled(mut self, title: &str) -> Self {
        self.title = title.to_owned();
        self
    }

    pub fn described(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }
}

impl SimulatedGitHub {
    /// Opens a pull request and returns its number.
    pub fn open_pull_request(&self, new: &NewPullRequest) -> Result<u64> {
        let mut state = self.hub.state();
        let (base_id, head_id) = (state.named(&new.repository)?, state.named(&new.head_repository)?);
        let head = state.side_at(head_id, &new.head)?;
        let base = state.side_at(base_id, &new.base)?;
        if state.repository(base_id).git.divergence(base.sha, head.sha)?.ahead.is_empty() {
            bail!("there are no commits between {} and {}", new.base, new.head);
        }
        let author = new.author.clone().unwrap_or_else(|| head.owner.clone());
        state.account(&author, AccountKind::User);
        let (id, at) = (state.next_id(), now());
        let repository = state.repository_mut(base_id);
        repository.last_number += 1;
        let number = repository.last_number;
        let pull = PullRequest {
            id,
            number,
            title: new.title.clone(),
            body: new.body.clone(),
            author: author.clone(),
            draft: new.draft,
            head,
            base,
            labels: Vec::new(),
            created_at: at,
            updated_at: at,
            closed_at: None,
            merged_at: None,
            merged_by: None,
            merge_commit: None,
        };
        repository.pulls.insert(number, pull);
        state.refresh_merge(base_id, number)?;
        self.hub.announce_pull(&state, (base_id, number), "opened", &author, json!({}))?;
        Ok(number)
    }

    /// Commits changes to a pull request's head branch and pushes it.
    pub fn push_to_pull_request(&self, full_name: &str, number: u64, changes: &[Change]) -> Result<Sha> {
        let (head_name, branch, author) = self.head_of(full_name, number)?;
        self.push_as(&head_name, &branch, &format!("Update {branch}"), Some(&author), changes)
    }

    /// Replays a pull request's commits onto its base's tip and pushes them by force.
    pub fn rebase_pull_request(&self, full_name: &str, number: u64) -> Result<Sha> {
        let (head_name, branch, _) = self.head_of(full_name, number)?;
        let rebased = {
            let state = self.hub.state();
            let id = state.named(full_name)?;
            let pull = state.pull(id, number)?;
            let git = &state.repository(id).git;
            let base = git.tip(&pull.base.git_ref)?.context("a pull request's base exists")?;
            git.replay(pull.head.sha, base)?
        };
        self.push_commit(&head_name, &branch, rebased)?;
        Ok(rebased)
    }

    /// Points a pull request at another base branch.
    pub fn edit_base(&self, full_name: &str, number: u64, base: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let side = state.side_at(id, base)?;
        let old = std::mem::replace(&mut state.touch_pull(id, number)?.base, side);
        state.refresh_merge(id, number)?;
        let changes = json!({ "base": { "ref": { "from": old.git_ref }, "sha": { "from": old.sha } } });
        self.announce_as_author(&state, id, number, "edited", json!({ "changes": changes }))
    }

    /// Gives a pull request another title.
    pub fn edit_title(&self, full_name: &str, number: u64, title: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let old = std::mem::replace(&mut state.touch_pull(id, number)?.title, title.to_owned());
        let changes = json!({ "title": { "from": old } });
        self.announce_as_author(&state, id, number, "edited", json!({ "changes": changes }))
    }

    /// Makes a pull request a draft, or ready for review.
    pub fn set_draft(&self, full_name: &str, number: u64, draft: bool) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        state.touch_pull(id, number)?.draft = draft;
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        self.announce_as_author(&state, id, number, action, json!({}))
    }

    /// Closes a pull request without merging it.
    pub fn close(&self, full_name: &str, number: u64) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        if !state.pull(id, number)?.is_open() {
            bail!("{full_name}#{number} is closed already");
        }
        state.touch_pull(id, number)?.closed_at = Some(now());
        self.announce_as_author(&state, id, number, "closed", json!({}))
    }

    /// Opens a pull request again that was closed and not merged. Its head is where its branch is by now; if that was
    /// deleted, it cannot be reopened.
    pub fn reopen(&self, full_name: &str, number: u64) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let pull = state.pull(id, number)?;
        if pull.is_open() || pull.merged_at.is_some() {
            bail!("{full_name}#{number} is open or merged: it cannot be reopened");
        }
        let gone = || format!("the head repository of {full_name}#{number} was deleted");
        let head = state.side_at(pull.head.repository.with_context(gone)?, &pull.head.git_ref)?;
        let base = state.side_at(id, &pull.base.git_ref)?;
        let pull = state.touch_pull(id, number)?;
        (pull.head, pull.base, pull.closed_at) = (head, base, None);
        state.refresh_merge(id, number)?;
        self.announce_as_author(&state, id, number, "reopened", json!({}))
    }

    /// Merges a pull request into its base: a push to the base, then `closed` with `merged`.
    pub fn merge(&self, full_name: &str, number: u64, method: MergeMethod) -> Result<Sha> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let pull = state.pull(id, number)?.clone();
        if !pull.is_open() || pull.draft {
            bail!("{full_name}#{number} is closed or a draft: it cannot be merged");
        }
        let owner = state.repository(id).owner.clone();
        let message = format!("Merge pull request #{number}\n\n{}", pull.title);
        // Closed before the push, so that the push to its base does not touch it any more.
        let merged = state.touch_pull(id, number)?;
        (merged.closed_at, merged.merged_at) = (Some(now()), Some(now()));
        merged.merged_by = Some(owner.clone());
        let pushed = self.hub.push(&mut state, id, &pull.base.git_ref, &owner, |git| {
            git.merge(&pull.base.git_ref, pull.head.sha, method, &message, &Author::named(&owner))
        });
        let open_again = |state: &mut State| state.repository_mut(id).pulls.insert(number, pull.clone());
        let sha = pushed.inspect_err(|_| drop(open_again(&mut state)))?;
        state.touch_pull(id, number)?.merge_commit = Some(sha);
        self.hub.announce_pull(&state, (id, number), "closed", &owner, json!({}))?;
        Ok(sha)
    }

    /// Puts a label on a pull request.
    pub fn label(&self, full_name: &str, number: u64, name: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let label = Label { id: state.next_id(), name: name.to_owned() };
        let shown = state.label(id, &label);
        state.touch_pull(id, number)?.labels.push(label);
        self.announce_as_author(&state, id, number, "labeled", json!({ "label": shown }))
    }

    /// Takes a label off a pull request.
    pub fn unlabel(&self, full_name: &str, number: u64, name: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let labels = &mut state.touch_pull(id, number)?.labels;
        let at = labels.iter().position(|label| label.name == name);
        let label = labels.remove(at.with_context(|| format!("{full_name}#{number} has no label {name}"))?);
        let shown = state.label(id, &label);
        self.announce_as_author(&state, id, number, "unlabeled", json!({ "label": shown }))
    }

    /// The pull request as `GET /repos/{owner}/{repo}/pulls/{number}` shows it.
    pub fn pull_request(&self, full_name: &str, number: u64) -> Result<Value> {
        let state = self.hub.state();
        state.pull_json(state.named(full_name)?, number)
    }

    /// The repository as it is shown inside other things.
    pub fn repository(&self, full_name: &str) -> Result<Value> {
        let state = self.hub.state();
        Ok(state.repository_json(state.named(full_name)?, Detail::Short))
    }

    fn head_of(&self, full_name: &str, number: u64) -> Result<(String, String, String)> {
        let state = self.hub.state();
        let pull = state.pull(state.named(full_name)?, number)?;
        let gone = || format!("the head repository of {full_name}#{number} was deleted");
        let head = state.repository(pull.head.repository.with_context(gone)?);
        Ok((head.full_name(), pull.head.git_ref.clone(), pull.author.clone()))
    }

    fn announce_as_author(
        &self,
        state: &State,
        id: u64,
        number: u64,
        action: &str,
        more: Value,
    ) -> Result<()> {
        let author = state.pull(id, number)?.author.clone();
        self.hub.announce_pull(state, (id, number), action, &author, more)?;
        Ok(())
    }
}

impl State {
    fn side_at(&self, repository: u64, branch: &str) -> Result<Side> {
        let found = self.repository(repository);
        let sha = found
            .git
            .tip(branch)?
            .with_context(|| format!("{} has no branch {branch}", found.full_name()))?;
        Ok(Side { repository: Some(repository), owner: found.owner.clone(), git_ref: branch.to_owned(), sha })
    }

    /// Brings `refs/pull/N/head` to the head, and `refs/pull/N/merge` to a test merge, if the two can be merged.
    pub(crate) fn refresh_merge(&mut self, repository: u64, number: u64) -> Result<()> {
        let (head, base) = {
            let pull = self.pull(repository, number)?;
            (pull.head.sha, pull.base.sha)
        };
        let git = self.repository(repository).git.clone();
        git.set_ref(&format!("refs/pull/{number}/head"), head)?;
        let message = format!("Merge {head} into {base}");
        // What cannot be merged is a conflict between the two people, not a failure here.
        let merged = git.merge_commit(base, head, &message, &Author::named("github")).ok();
        if let Some(merged) = merged {
            git.set_ref(&format!("refs/pull/{number}/merge"), merged)?;
        }
        let pull =
            self.repository_mut(repository).pulls.get_mut(&number).context("a pull request just found")?;
        pull.merge_commit = merged;
        Ok(())
    }
}
