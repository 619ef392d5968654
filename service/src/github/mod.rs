//! GitHub: chains are read from it, verdicts and comments are brought to it. octocrab signs as the App and keeps its
//! tokens; what an answer means is decided here.

mod ask;
mod batches;
mod blobs;
mod checkup;
mod comments;
mod error;
mod installations;
mod listing;
mod pulls;
mod repository;
mod request;
mod transport;
mod verdicts;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use octocrab::auth::{AppAuth, EncodingKey};
use octocrab::{AuthState, OctocrabBuilder};
use tokio::sync::OnceCell;

pub use checkup::{Checkup, Grant};
pub use comments::CommentRef;
pub use error::GithubError;
pub use installations::{App, Installation};
pub use pulls::Permission;
pub use repository::RepositoryClient;
pub use request::Quota;
pub use transport::Timeouts;
pub use verdicts::CheckRunRef;

use crate::domain::ids::RepositoryName;
use crate::secret::Secret;
use installations::Identity;
use request::{Caller, Surroundings};
use transport::{Addresses, Transport};

/// As whom GitHub is asked.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A GitHub App, with its private key as GitHub gives it, in PEM.
    App { id: i64, private_key: Secret },
    /// A personal access token, classic or fine-grained.
    Token(Secret),
}

/// What it takes to ask GitHub.
#[derive(Debug, Clone)]
pub struct GithubSettings {
    /// Another API than GitHub's own: GitHub Enterprise's, as `https://github.example.com/api/v3`.
    pub api_url: Option<String>,
    pub credentials: Credentials,
    pub timeouts: Timeouts,
    /// The pause before a request that found GitHub in trouble is sent again; the next one is four times as long.
    pub backoff: Duration,
}

impl GithubSettings {
    pub fn new(credentials: Credentials) -> Self {
        Self {
            api_url: None,
            credentials,
            timeouts: Timeouts::default(),
            backoff: Duration::from_millis(300),
        }
    }
}

/// One GitHub, seen with one set of credentials. Cheap to clone.
#[derive(Clone)]
pub struct Github {
    inner: Arc<Inner>,
}

struct Inner {
    /// The App's id; none for a token.
    app_id: Option<i64>,
    /// Asks as the App itself, or with the token.
    itself: Arc<Caller>,
    installations: Mutex<HashMap<i64, Arc<Caller>>>,
    identity: OnceCell<Identity>,
    surroundings: Arc<Surroundings>,
}

impl Github {
    /// Makes ready to ask, and asks nothing yet. To be called within a tokio runtime.
    pub fn connect(settings: GithubSettings) -> Result<Self, GithubError> {
        let addresses = Addresses::new(settings.api_url.as_deref())?;
        let transport = Transport::new(addresses.clone(), settings.timeouts)?;
        let (app_id, auth) = authentication(&settings.credentials)?;
        let Ok(octocrab) = OctocrabBuilder::new_empty().with_service(transport).with_auth(auth).build();
        let surroundings =
            Arc::new(Surroundings { addresses, backoff: settings.backoff, quota: Mutex::new(None) });
        let itself = Arc::new(Caller::new(octocrab, surroundings.clone()));
        let (installations, identity) = (Mutex::default(), OnceCell::new());
        Ok(Self { inner: Arc::new(Inner { app_id, itself, installations, identity, surroundings }) })
    }

    /// A repository, through an installation of the App where it is known; else GitHub is asked for it once.
    pub fn repository(&self, name: &RepositoryName, installation: Option<i64>) -> RepositoryClient {
        RepositoryClient::new(self.clone(), name.clone(), installation)
    }

    /// What GitHub last said of the quota of its REST API; none before the first answer that did.
    pub fn quota(&self) -> Option<Quota> {
        *self.inner.surroundings.quota.lock().expect("nobody panics while holding the quota")
    }

    /// Whether it asks as an App, and so can write check runs; a token writes commit statuses.
    pub fn is_app(&self) -> bool {
        self.inner.app_id.is_some()
    }

    fn itself(&self) -> &Caller {
        &self.inner.itself
    }

    /// Asks as an installation; for a token there is none, and it asks as itself.
    fn through(&self, installation: i64) -> Result<Arc<Caller>, GithubError> {
        if !self.is_app() {
            return Ok(self.inner.itself.clone());
        }
        let mut known =
            self.inner.installations.lock().expect("nobody panics while holding the installations");
        if let Some(caller) = known.get(&installation) {
            return Ok(caller.clone());
        }
        let caller = Arc::new(self.inner.itself.of_installation(installation)?);
        known.insert(installation, caller.clone());
        Ok(caller)
    }
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (addresses, app_id) = (&self.inner.surroundings.addresses, self.inner.app_id);
        f.debug_struct("Github")
            .field("addresses", addresses)
            .field("app_id", &app_id)
            .finish_non_exhaustive()
    }
}

fn authentication(credentials: &Credentials) -> Result<(Option<i64>, AuthState), GithubError> {
    match credentials {
        Credentials::Token(token) => {
            let token = token.expose().trim();
            if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
                let why = "the GitHub token is empty or has characters that no token has; give it as GitHub shows it";
                return Err(GithubError::Setting(why.to_owned()));
            }
            Ok((None, AuthState::AccessToken { token: token.to_owned().into() }))
        }
        Credentials::App { id, private_key } => {
            let number = u64::try_from(*id).map_err(|_| {
                GithubError::Setting(format!("{id} is no GitHub App's id; its page shows it"))
            })?;
            // The reason is left out: it could repeat what was given, and a wrong file holds someone's secret too.
            let key = EncodingKey::from_rsa_pem(private_key.expose().as_bytes()).map_err(|_| {
                let example = "-----BEGIN RSA PRIVATE KEY-----";
                GithubError::Setting(format!(
                    "the GitHub App's private key is not an RSA key in PEM; give the whole file that GitHub made, \
                     which begins with {example}"
                ))
            })?;
            Ok((Some(*id), AuthState::App(AppAuth { app_id: number.into(), key })))
        }
    }
}
