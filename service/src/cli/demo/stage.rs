//! What the demo is played on: a directory, a simulated GitHub, and the service with its embedded PostgreSQL.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use integration::github::{AppCredentials, Settings, SimulatedGitHub};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Args;
use super::api::Api;
use crate::config::{DatabaseArgs, GithubArgs, ServeArgs};
use crate::secret::Secret;
use crate::service::Service;
use crate::telemetry;

/// Where `offshoot serve` listens, and the other commands look, unless they are told otherwise.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Between two looks at whether the service ended.
const POLL: Duration = Duration::from_millis(200);
/// The story goes first.
const CALIBRATE_AFTER: Duration = Duration::from_secs(300);
/// A story asks for one database at a time.
const DEMO_SPARES: usize = 2;

/// A directory of this run's own, removed when it is dropped.
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Makes it in `parent`, or where temporary files go. Root's server runs as another user, to whom `/tmp` may be closed.
    pub(super) fn make(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None if nix::unistd::Uid::effective().is_root() => PathBuf::from("/var/tmp"),
            None => std::env::temp_dir(),
        };
        let parent =
            std::path::absolute(&parent).with_context(|| format!("--data-dir {}", parent.display()))?;
        let path = parent.join(format!("offshoot-demo-{}", &Uuid::new_v4().simple().to_string()[..8]));
        let doing =
            || format!("cannot make the demo's directory {}; choose another with --data-dir", path.display());
        std::fs::create_dir_all(&path).with_context(doing)?;
        let open_to_servers = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(&path, open_to_servers).with_context(doing)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} could not be removed ({error}); it holds nothing of value", self.0.display());
        }
    }
}

pub(super) struct Stage {
    pub(super) github: SimulatedGitHub,
    pub(super) api: Api,
    /// The program that opens the URLs: the embedded server's own, where it has one.
    pub(super) psql: String,
    ended: CancellationToken,
    serving: Mutex<JoinHandle<anyhow::Result<()>>>,
}

impl Stage {
    pub(super) async fn set(args: &Args, directory: &Path) -> anyhow::Result<Self> {
        let app = AppCredentials::for_tests();
        let settings = Settings::new(directory.join("github"));
        let webhook_secret = Secret::new(&settings.webhook_secret);
        let github = SimulatedGitHub::start(settings).await.context("starting the simulated GitHub")?;
        let token = Secret::generate();
        let serve = ServeArgs {
            listen: address(args.listen).await.to_string(),
            trusted_proxies: Vec::new(),
            public_url: None,
            api_token: Some(token.clone()),
            github_webhook_secret: Some(webhook_secret),
            layer_budget: crate::config::LAYER_BUDGET,
            pool_size: DEMO_SPARES,
            pool_max: DEMO_SPARES,
            calibrate_after: CALIBRATE_AFTER,
            idle_ttl: None,
            fork_ttl_limit: Duration::from_secs(24 * 3600),
            databases: DatabaseArgs::embedded(directory.join("data"), args.postgres_bin.clone()),
            github: GithubArgs {
                github_api_url: Some(github.url().to_owned()),
                github_app_id: Some(i64::try_from(app.id)?),
                github_app_private_key: Some(Secret::new(app.private_key_pem)),
                github_app_private_key_file: None,
                github_token: None,
            },
        };
        let service = Service::start(&serve, telemetry::figures()?).await?;
        let server = format!("http://{}", reachable(service.address()));
        github.set_webhook_url(Some(format!("{server}/webhooks/github")));
        let ended = CancellationToken::new();
        let serving = tokio::spawn(service.run_until(ended.clone().cancelled_owned()));
        let api = Api::new(server, token)?;
        Ok(Self {
            github,
            api,
            psql: psql(args.postgres_bin.as_deref()),
            ended,
            serving: Mutex::new(serving),
        })
    }

    /// Ends when the service did, which it does by itself only if a part of it failed.
    pub(super) async fn ended(&self) {
        while !self.serving.lock().await.is_finished() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops the service and the embedded server, in order.
    pub(super) async fn strike(self) -> anyhow::Result<()> {
        self.ended.cancel();
        let stopped = self.serving.into_inner().await.context("the service panicked")?;
        self.github.shutdown();
        stopped.context("the service ended with a failure")
    }
}

/// The address asked for, the usual one, or with port 0 a free one.
async fn address(asked: Option<SocketAddr>) -> SocketAddr {
    match asked {
        Some(address) => address,
        None if TcpListener::bind(USUAL).await.is_ok() => USUAL,
        None => SocketAddr::new(USUAL.ip(), 0),
    }
}

/// An address to connect to, for one that is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { USUAL.ip() } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

fn psql(postgres_bin: Option<&Path>) -> String {
    let own = postgres_bin.map(|bin| bin.join("psql")).filter(|psql| psql.is_file());
    let own = own.and_then(|psql| std::path::absolute(psql).ok());
    own.map_or_else(|| "psql".to_owned(), |psql| psql.display().to_string())
}
