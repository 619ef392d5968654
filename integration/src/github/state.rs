//! Everything the simulated GitHub knows, and how it is looked up. No HTTP here.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::access::Key;
use super::model::{
    Account, AccountKind, Installation, InstallationToken, Level, Permissions, PullRequest, Repository, Side,
};

/// The App's name in URLs; its bot's login is this and `[bot]`.
pub(crate) const APP_SLUG: &str = "offshoot";
/// The login that a personal token acts as.
pub(crate) const TOKEN_OWNER: &str = "offshoot-machine";

#[derive(Debug)]
pub(crate) struct App {
    pub id: u64,
    pub key: Key,
}

#[derive(Debug)]
pub(crate) struct RateLimit {
    pub limit: u64,
    pub used: u64,
    pub reset: DateTime<Utc>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// The API's base address.
    pub url: String,
    /// Where the git repositories are.
    pub dir: PathBuf,
    pub app: Option<App>,
    pub personal_token: Option<String>,
    pub accounts: BTreeMap<String, Account>,
    pub repositories: BTreeMap<u64, Repository>,
    /// Full names that repositories had, in lower case: GitHub redirects them.
    pub former_names: HashMap<String, u64>,
    pub installations: BTreeMap<u64, Installation>,
    pub tokens: HashMap<String, InstallationToken>,
    pub rate_limit: RateLimit,
    last_id: u64,
}

impl State {
    pub(crate) fn new(url: String, dir: PathBuf, app: Option<App>, personal_token: Option<String>) -> Self {
        let reset = now() + TimeDelta::hours(1);
        let mut state = Self {
            url,
            dir,
            app,
            personal_token,
            accounts: BTreeMap::new(),
            repositories: BTreeMap::new(),
            former_names: HashMap::new(),
            installations: BTreeMap::new(),
            tokens: HashMap::new(),
            rate_limit: RateLimit { limit: 5000, used: 0, reset },
            last_id: 1_000_000,
        };
        state.account(TOKEN_OWNER, AccountKind::User);
        state.account(&bot_login(), AccountKind::Bot);
        state
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The account with this login, made if there is none yet.
    pub(crate) fn account(&mut self, login: &str, kind: AccountKind) -> &Account {
        let id = self.next_id();
        let account = || Account { id, login: login.to_owned(), kind };
        self.accounts.entry(login.to_lowercase()).or_insert_with(account)
    }

    pub(crate) fn find_account(&self, login: &str) -> Option<&Account> {
        self.accounts.get(&login.to_lowercase())
    }

    pub(crate) fn find_id(&self, owner: &str, name: &str) -> Option<u64> {
        let found = self.repositories.values();
        let mut found =
            found.filter(|r| r.owner.eq_ignore_ascii_case(owner) && r.name.eq_ignore_ascii_case(name));
        found.next().map(|repository| repository.id)
    }

    /// The repository with this full name, for people's actions.
    pub(crate) fn named(&self, full_name: &str) -> Result<u64> {
        let (owner, name) =
            full_name.split_once('/').with_context(|| format!("`{full_name}` is not OWNER/NAME"))?;
        self.find_id(owner, name).with_context(|| format!("there is no repository {full_name}"))
    }

    pub(crate) fn repository(&self, id: u64) -> &Repository {
        self.repositories.get(&id).expect("an id that was looked up names a repository")
    }

    pub(crate) fn repository_mut(&mut self, id: u64) -> &mut Repository {
        self.repositories.get_mut(&id).expect("an id that was looked up names a repository")
    }

    pub(crate) fn pull(&self, repository: u64, number: u64) -> Result<&PullRequest> {
        let repository = self.repository(repository);
        repository
            .pulls
            .get(&number)
            .with_context(|| format!("{} has no pull request {number}", repository.full_name()))
    }

    /// The pull request, touched: its time of update moves on, always by a second at least.
    pub(crate) fn touch_pull(&mut self, repository: u64, number: u64) -> Result<&mut PullRequest> {
        self.pull(repository, number)?;
        let pull = self.repository_mut(repository).pulls.get_mut(&number).expect("just found");
        pull.updated_at = now().max(pull.updated_at + TimeDelta::seconds(1));
        Ok(pull)
    }

    /// The installation that covers this repository.
    pub(crate) fn installation_of(&self, repository: u64) -> Option<&Installation> {
        let owner = &self.repository(repository).owner;
        self.installations.values().find(|installation| {
            installation.account.eq_ignore_ascii_case(owner)
                && installation.selected.as_ref().is_none_or(|ids| ids.contains(&repository))
        })
    }

    /// The installation on this account, made with the usual permissions if the App has none there.
    pub(crate) fn install(&mut self, account: &str) -> u64 {
        if let Some(found) = self.installations.values().find(|i| i.account.eq_ignore_ascii_case(account)) {
            return found.id;
        }
        let id = self.next_id();
        let installation = Installation {
            id,
            account: account.to_owned(),
            permissions: usual_permissions(),
            selected: None,
            created_at: now(),
        };
        self.installations.insert(id, installation);
        id
    }

    /// The two sides' full names are free for a new repository.
    pub(crate) fn check_free(&self, owner: &str, name: &str) -> Result<()> {
        if self.find_id(owner, name).is_some() {
            bail!("there is already a repository {owner}/{name}");
        }
        Ok(())
    }

    /// The open pull requests whose head is this ref of this repository: (base repository, number).
    pub(crate) fn pulls_from(&self, repository: u64, git_ref: &str) -> Vec<(u64, u64)> {
        let heads = |side: &Side| side.repository == Some(repository) && side.git_ref == git_ref;
        let all = self.repositories.values();
        all.flat_map(|base| base.pulls.values().map(|pull| (base.id, pull)))
            .filter(|(_, pull)| pull.is_open() && heads(&pull.head))
            .map(|(base, pull)| (base, pull.number))
            .collect()
    }
}

/// The bot that an App's comments and statuses are signed with.
pub(crate) fn bot_login() -> String {
    format!("{APP_SLUG}[bot]")
}

/// Now, to the second, as GitHub shows times.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().duration_trunc(TimeDelta::seconds(1)).expect("a second divides time")
}

fn usual_permissions() -> Permissions {
    let write = ["checks", "deployments", "issues", "pull_requests", "statuses"];
    let read = ["contents", "metadata"];
    let write = write.into_iter().map(|name| (name, Level::Write));
    write
        .chain(read.into_iter().map(|name| (name, Level::Read)))
        .map(|(name, level)| (name.to_owned(), level))
        .collect()
}
