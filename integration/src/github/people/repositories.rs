//! Repositories and accounts: created, forked, renamed, moved, deleted; the App installed and uninstalled.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::git::{Author, Change, GitRepository, Parent, Sha};
use crate::github::model::{AccountKind, Level, Repository, Role};
use crate::github::shapes::node_id;
use crate::github::state::{State, now};
use crate::github::{Hub, SimulatedGitHub};

impl SimulatedGitHub {
    /// An account, if there is none with this login yet. Owners and authors that are not named here become users.
    pub fn create_account(&self, login: &str, kind: AccountKind) {
        self.hub.state().account(login, kind);
    }

    /// A public repository with one commit of these files, and the App, if there is one, installed on its owner.
    pub fn create_repository(
        &self,
        owner: &str,
        name: &str,
        default_branch: &str,
        files: &[Change],
    ) -> Result<Sha> {
        let mut state = self.hub.state();
        state.check_free(owner, name)?;
        let id = state.next_id();
        let git = GitRepository::init(state.dir.join(format!("{id}.git")), default_branch)?;
        let first =
            git.commit(default_branch, Parent::None, "Initial commit", &Author::named(owner), files)?;
        state.add_repository(id, (owner, name), default_branch, git, None);
        if state.app.is_some() {
            state.install(owner);
        }
        Ok(first)
    }

    /// A fork under another owner, with the same branches. The App is not installed there.
    pub fn fork_repository(&self, full_name: &str, owner: &str) -> Result<()> {
        let mut state = self.hub.state();
        let parent = state.named(full_name)?;
        let name = state.repository(parent).name.clone();
        state.check_free(owner, &name)?;
        let id = state.next_id();
        let git = state.repository(parent).git.fork(state.dir.join(format!("{id}.git")))?;
        let default_branch = state.repository(parent).default_branch.clone();
        state.add_repository(id, (owner, &name), &default_branch, git, Some(parent));
        Ok(())
    }

    /// Hides a repository from everybody but its collaborators and the App.
    pub fn set_private(&self, full_name: &str, private: bool) -> Result<()> {
        self.change_repository(full_name, |repository| repository.private = private)
    }

    /// Cuts recursive listings of trees after so many entries. GitHub's own limit is 100,000.
    pub fn set_tree_limit(&self, full_name: &str, entries: usize) -> Result<()> {
        self.change_repository(full_name, |repository| repository.tree_limit = entries)
    }

    /// Gives a person a role in a repository, or with none takes it away.
    pub fn set_role(&self, full_name: &str, login: &str, role: Option<Role>) -> Result<()> {
        self.create_account(login, AccountKind::User);
        self.change_repository(full_name, |repository| {
            repository.collaborators.remove(login);
            repository.collaborators.extend(role.map(|role| (login.to_owned(), role)));
        })
    }

    /// The repository on disk. Commits made through it reach GitHub's view by `push_commit`.
    pub fn git(&self, full_name: &str) -> Result<GitRepository> {
        let state = self.hub.state();
        Ok(state.repository(state.named(full_name)?).git.clone())
    }

    /// Renames a repository; the old name redirects.
    pub fn rename_repository(&self, full_name: &str, name: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let (owner, old) = (state.repository(id).owner.clone(), state.repository(id).name.clone());
        state.check_free(&owner, name)?;
        state.former_names.insert(full_name.to_lowercase(), id);
        state.repository_mut(id).name = name.to_owned();
        let changes = json!({ "repository": { "name": { "from": old } } });
        self.hub.announce(
            &state,
            id,
            "repository",
            &owner,
            json!({ "action": "renamed", "changes": changes }),
        );
        Ok(())
    }

    /// Moves a repository to another owner; the old name redirects. The App is installed on the new owner.
    pub fn transfer_repository(&self, full_name: &str, owner: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let (old, name) = (state.repository(id).owner.clone(), state.repository(id).name.clone());
        state.check_free(owner, &name)?;
        state.account(owner, AccountKind::User);
        state.former_names.insert(full_name.to_lowercase(), id);
        state.repository_mut(id).owner = owner.to_owned();
        for pull in state.repository_mut(id).pulls.values_mut() {
            pull.base.owner = owner.to_owned();
        }
        if state.app.is_some() {
            state.install(owner);
        }
        let changes = json!({ "owner": { "from": { "user": state.user(&old) } } });
        self.hub.announce(
            &state,
            id,
            "repository",
            owner,
            json!({ "action": "transferred", "changes": changes }),
        );
        Ok(())
    }

    /// Deletes a repository, as people do with forks: pull requests from it stay, their head's repository is null.
    pub fn delete_repository(&self, full_name: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        let owner = state.repository(id).owner.clone();
        self.hub.announce(&state, id, "repository", &owner, json!({ "action": "deleted" }));
        state.repositories.remove(&id);
        let pulls = state.repositories.values_mut().flat_map(|other| other.pulls.values_mut());
        for pull in pulls.filter(|pull| pull.head.repository == Some(id)) {
            pull.head.repository = None;
        }
        Ok(())
    }

    /// Installs the App on an account; what was installed there stays as it is. Returns the installation's id.
    pub fn install(&self, account: &str) -> u64 {
        let mut state = self.hub.state();
        state.account(account, AccountKind::User);
        let id = state.install(account);
        self.hub.announce_installation(&state, id, "created");
        id
    }

    /// Removes the App from an account: its tokens are refused from now on.
    pub fn uninstall(&self, account: &str) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.installed_on(account)?;
        self.hub.announce_installation(&state, id, "deleted");
        state.installations.remove(&id);
        Ok(())
    }

    /// Lets an account's installation see these repositories only; none: all of them.
    pub fn select_repositories(&self, account: &str, full_names: Option<&[&str]>) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.installed_on(account)?;
        let ids = full_names
            .map(|names| names.iter().map(|name| state.named(name)).collect::<Result<BTreeSet<_>>>());
        let ids = ids.transpose()?;
        state.installations.get_mut(&id).expect("just found").selected = ids;
        Ok(())
    }

    /// Grants an installation a permission (`checks`, `contents`, …) or, with none, takes it away. Tokens given out
    /// before keep what they had.
    pub fn set_permission(&self, account: &str, permission: &str, level: Option<Level>) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.installed_on(account)?;
        let permissions = &mut state.installations.get_mut(&id).expect("just found").permissions;
        permissions.remove(permission);
        permissions.extend(level.map(|level| (permission.to_owned(), level)));
        Ok(())
    }

    fn change_repository(&self, full_name: &str, change: impl FnOnce(&mut Repository)) -> Result<()> {
        let mut state = self.hub.state();
        let id = state.named(full_name)?;
        change(state.repository_mut(id));
        Ok(())
    }
}

impl State {
    fn add_repository(
        &mut self,
        id: u64,
        (owner, name): (&str, &str),
        default_branch: &str,
        git: GitRepository,
        parent: Option<u64>,
    ) {
        self.account(owner, AccountKind::User);
        let repository = Repository {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private: false,
            default_branch: default_branch.to_owned(),
            parent,
            git,
            collaborators: BTreeMap::new(),
            pulls: BTreeMap::new(),
            comments: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            statuses: Vec::new(),
            deployments: BTreeMap::new(),
            created_at: now(),
            pushed_at: now(),
            last_number: 0,
            tree_limit: 100_000,
        };
        self.repositories.insert(id, repository);
    }

    fn installed_on(&self, account: &str) -> Result<u64> {
        let found = self.installations.values().find(|one| one.account.eq_ignore_ascii_case(account));
        Ok(found.with_context(|| format!("the App is not installed on {account}"))?.id)
    }
}

impl Hub {
    fn announce_installation(&self, state: &State, id: u64, action: &str) {
        let installation = state.installations.get(&id).expect("an installation that was just looked up");
        let covered =
            state.repositories.values().filter(|one| one.owner.eq_ignore_ascii_case(&installation.account));
        let repositories: Vec<Value> = covered
            .map(|one| {
                json!({
                    "id": one.id,
                    "node_id": node_id("Repository", one.id),
                    "name": one.name,
                    "full_name": one.full_name(),
                    "private": one.private,
                })
            })
            .collect();
        let payload = json!({
            "action": action,
            "installation": state.installation_json(installation),
            "repositories": repositories,
            "sender": state.user(&installation.account),
        });
        self.deliveries.emit("installation", &payload);
    }
}
