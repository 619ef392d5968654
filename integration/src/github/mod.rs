//! A simulated GitHub: a model of GitHub's state over real git repositories, thin HTTP routes, and the webhooks it sends.
//!
//! [`people`] holds what people do to it, [`inspect`] what a test asks it. With the feature `harness` every request and
//! answer is checked against GitHub's own description of its API.

mod access;
mod answer;
mod app;
mod changed_files;
mod checks;
mod comments;
mod commits;
mod contents;
mod deliveries;
mod deployments;
#[cfg(feature = "harness")]
mod description;
mod events;
mod faults;
mod git_data;
mod graphql;
pub mod inspect;
mod model;
pub mod people;
mod pulls;
mod rate_limit;
mod repositories;
mod requests;
mod routes;
mod server;
mod shapes;
mod state;
mod statuses;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use deliveries::{Attempt, Delivery, Signing, signature};
pub use faults::{Fault, Matcher};
pub use model::{AccountKind, Level, Permissions, Role};
pub use people::NewPullRequest;
pub use requests::{LoggedRequest, Mark};

/// An App's identity, as an operator would give it to the service.
#[derive(Clone)]
pub struct AppCredentials {
    pub id: u64,
    pub private_key_pem: String,
}

impl AppCredentials {
    /// An App with a key that is published in this repository and good for nothing but tests and demos.
    pub fn for_tests() -> Self {
        Self { id: 4242, private_key_pem: include_str!("test-only-app-key.pem").to_owned() }
    }
}

impl std::fmt::Debug for AppCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppCredentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a simulated GitHub is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its git repositories are kept.
    pub dir: PathBuf,
    /// Where webhooks are sent; deliveries are only recorded while there is none.
    pub webhook_url: Option<String>,
    pub webhook_secret: String,
    /// The App that is installed on every owner of a repository.
    pub app: Option<AppCredentials>,
    /// A personal access token, of a machine account with write access.
    pub token: Option<String>,
    /// How long every request takes at least, in milliseconds.
    pub delay_ms: u64,
    /// Whether exchanges are held against GitHub's description of its API, which costs more than answering them.
    #[cfg(feature = "harness")]
    pub checks_exchanges: bool,
}

impl Settings {
    /// A GitHub in `dir` with the App of the tests and no receiver of webhooks yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            webhook_url: None,
            webhook_secret: "it is a secret to everybody".to_owned(),
            app: Some(AppCredentials::for_tests()),
            token: None,
            delay_ms: 0,
            #[cfg(feature = "harness")]
            checks_exchanges: true,
        }
    }
}

/// What the server's tasks and the handles share.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<state::State>,
    deliveries: deliveries::Deliveries,
    faults: faults::Faults,
    requests: requests::RequestLog,
    delay: Duration,
    #[cfg(feature = "harness")]
    checks_exchanges: bool,
    #[cfg(feature = "harness")]
    description: description::Watch,
}

impl Hub {
    pub(crate) fn state(&self) -> MutexGuard<'_, state::State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running simulated GitHub. Clones share it; it stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct SimulatedGitHub {
    hub: Arc<Hub>,
    url: String,
    tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl SimulatedGitHub {
    /// Starts one on a free port of this machine.
    pub async fn start(settings: Settings) -> Result<Self> {
        std::fs::create_dir_all(&settings.dir).with_context(|| format!("make {}", settings.dir.display()))?;
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("bind the simulated GitHub to a free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = match &settings.app {
            Some(app) => Some(state::App { id: app.id, key: access::Key::of(&app.private_key_pem)? }),
            None => None,
        };
        let hub = Arc::new(Hub {
            state: Mutex::new(state::State::new(url.clone(), settings.dir, app, settings.token)),
            deliveries: deliveries::Deliveries::new(settings.webhook_url, settings.webhook_secret),
            faults: faults::Faults::default(),
            requests: requests::RequestLog::default(),
            delay: Duration::from_millis(settings.delay_ms),
            #[cfg(feature = "harness")]
            checks_exchanges: settings.checks_exchanges,
            #[cfg(feature = "harness")]
            description: description::Watch::default(),
        });
        let router = routes::all(Arc::clone(&hub));
        let server = tokio::spawn(server::serve(Arc::clone(&hub), router, listener));
        let outbox = Arc::clone(&hub);
        let sender = tokio::spawn(async move { outbox.deliveries.send_all().await });
        Ok(Self { hub, url, tasks: Arc::new(Tasks(vec![server, sender])) })
    }

    /// The API's base address, without a slash at the end, as `OFFSHOOT_GITHUB_API_URL` takes it. The routes are at the
    /// root, as on api.github.com; the same routes answer below `/api/v3` (and `/api/graphql`), as on GitHub Enterprise.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server and the sending of webhooks at once, whatever other handles there are.
    pub fn shutdown(&self) {
        self.tasks.0.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
#[cfg(feature = "harness")]
mod tests;
