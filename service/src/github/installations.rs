//! Who we are at GitHub, and what we may see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Github;
use super::ask::Ask;
use super::error::GithubError;
use crate::domain::github_json::{self, RepositoryObject};
use crate::domain::ids::RepositoryName;
use crate::domain::repository::RepositoryFacts;

/// The App, as GitHub describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct App {
    pub id: i64,
    pub slug: String,
    pub name: String,
    /// As `contents`: `read`.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// The webhook events it subscribes to.
    #[serde(default)]
    pub events: Vec<String>,
}

impl App {
    /// As whom it comments.
    pub fn login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// An account that installed the App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installation {
    pub id: i64,
    pub account: String,
    pub suspended: bool,
}

/// Whom GitHub takes us for.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    App(App),
    /// A person, by GitHub's number.
    User(i64),
}

#[derive(Deserialize)]
struct UserObject {
    id: i64,
}

#[derive(Deserialize)]
struct InstallationObject {
    id: i64,
    account: Option<AccountObject>,
    suspended_at: Option<String>,
}

/// A person or an organization by its login; an enterprise has a slug only.
#[derive(Deserialize)]
struct AccountObject {
    login: Option<String>,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct InstallationRepositories {
    repositories: Vec<RepositoryObject>,
}

impl Github {
    pub(super) fn app_id(&self) -> Option<i64> {
        self.inner.app_id
    }

    /// Asked once; a slug or a login hardly ever changes.
    pub(super) async fn identity(&self) -> Result<&Identity, GithubError> {
        let ask = || async {
            if self.is_app() {
                return self.app().await.map(Identity::App);
            }
            let user: UserObject = self.itself().send(Ask::get("/user", &[])).await?.json()?;
            Ok(Identity::User(user.id))
        };
        self.inner.identity.get_or_try_init(ask).await
    }

    /// Fails where GitHub does not know these credentials now. In an outage it may say of everything that it is not there.
    pub async fn knows_us(&self) -> Result<(), GithubError> {
        let itself = if self.is_app() { "/app" } else { "/user" };
        self.itself().send(Ask::get(itself, &[])).await.map(drop)
    }

    pub async fn app(&self) -> Result<App, GithubError> {
        self.itself().send(Ask::get("/app", &[])).await?.json()
    }

    /// All of the App's installations.
    pub async fn installations(&self) -> Result<Vec<Installation>, GithubError> {
        let mut installations = Vec::new();
        let take = |page: Vec<InstallationObject>| {
            installations.extend(page.into_iter().map(|object| {
                let account = object.account.and_then(|account| account.login.or(account.slug));
                let suspended = object.suspended_at.is_some();
                Installation { id: object.id, account: account.unwrap_or_default(), suspended }
            }));
            Ok(true)
        };
        self.itself().pages(Ask::get("/app/installations", &[]).query(&[("per_page", "100")]), take).await?;
        Ok(installations)
    }

    /// The repositories that an installation lets the App see.
    pub async fn installation_repositories(&self, id: i64) -> Result<Vec<RepositoryFacts>, GithubError> {
        let ask = Ask::get("/installation/repositories", &[]).query(&[("per_page", "100")]);
        let asked = ask.name();
        let mut repositories = Vec::new();
        let take = |page: InstallationRepositories| {
            for object in &page.repositories {
                let facts =
                    github_json::repository(object, Some(id)).map_err(GithubError::unreadable(&asked))?;
                repositories.push(facts);
            }
            Ok(true)
        };
        self.through(id)?.pages(ask, take).await?;
        Ok(repositories)
    }

    /// Whether an installation is there and not suspended.
    pub async fn is_installed(&self, id: i64) -> Result<bool, GithubError> {
        let ask = Ask::get("/app/installations/{id}", &[&id.to_string()]);
        Ok(self.itself().send(ask).await?.json::<InstallationObject>()?.suspended_at.is_none())
    }

    /// The installation through which a repository is reached. One that is suspended reaches nothing.
    pub(super) async fn installation_of(&self, name: &RepositoryName) -> Result<i64, GithubError> {
        let ask = Ask::get("/repos/{owner}/{repo}/installation", &[name.owner(), name.name()]);
        let asked = ask.name();
        let found: InstallationObject = self.itself().send(ask).await?.json()?;
        match found.suspended_at {
            None => Ok(found.id),
            Some(_) => Err(GithubError::Missing { asked }),
        }
    }

    /// A repository as it is now, whatever it is called and through whichever installation it is reached. Missing where an App is off it: what is
    /// public, the App's tokens for others still read.
    pub async fn repository_now(&self, known: &RepositoryFacts) -> Result<RepositoryFacts, GithubError> {
        let id = known.github_id;
        if !self.is_app() {
            return self.repository_by_id(id, None).await;
        }
        let seen = match self.repository_by_id(id, known.installation).await {
            Ok(seen) => seen,
            Err(error) if error.is_denial() || matches!(error, GithubError::Setting(_)) => {
                match Some(self.installation_of(&known.name).await?) {
                    installation if installation == known.installation => return Err(error),
                    installation => self.repository_by_id(id, installation).await?,
                }
            }
            Err(error) => return Err(error),
        };
        let installation = Some(self.installation_of(&seen.name).await?);
        Ok(RepositoryFacts { installation, ..seen })
    }

    /// A repository by its name of today or an earlier one; for an App through whichever installation has it.
    pub async fn repository_facts(&self, name: &RepositoryName) -> Result<RepositoryFacts, GithubError> {
        let installation = if self.is_app() { Some(self.installation_of(name).await?) } else { None };
        self.facts(Ask::get("/repos/{owner}/{repo}", &[name.owner(), name.name()]), installation).await
    }

    /// A repository by GitHub's number, whatever it is called today. An App needs the installation to look through.
    pub(super) async fn repository_by_id(
        &self,
        github_id: i64,
        installation: Option<i64>,
    ) -> Result<RepositoryFacts, GithubError> {
        self.facts(Ask::get("/repositories/{id}", &[&github_id.to_string()]), installation).await
    }

    async fn facts(&self, ask: Ask, installation: Option<i64>) -> Result<RepositoryFacts, GithubError> {
        let asked = ask.name();
        let caller = match (self.is_app(), installation) {
            (true, None) => {
                let why = format!("{asked} needs the App's installation to look through");
                return Err(GithubError::Setting(why));
            }
            (_, installation) => self.through(installation.unwrap_or_default())?,
        };
        let object: RepositoryObject = caller.send(ask).await?.json()?;
        let installation = installation.filter(|_| self.is_app());
        github_json::repository(&object, installation).map_err(GithubError::unreadable(&asked))
    }
}
