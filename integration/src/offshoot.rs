//! The running binary as a test subject: started as an operator would, asked over HTTP as a CI job would, killed as machines do.

mod api;
mod databases;
mod figures;
mod log;
mod processes;
mod secrets;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

pub use api::{Answer, Applied, BranchRef};
pub use databases::{Standing, connect};
pub use secrets::Secrets;

use crate::github::{AppCredentials, SimulatedGitHub};

/// The administrator's token of every service under test.
pub const API_TOKEN: &str = "a-bootstrap-token-of-the-tests-0123456789";

const START_LIMIT: Duration = Duration::from_secs(60);
/// More than the service grants to what is under way.
const STOP_LIMIT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(20);
/// Fine enough to measure a start by.
const START_POLL: Duration = Duration::from_millis(2);

/// As whom the service speaks to GitHub.
#[derive(Debug, Clone)]
pub enum Credentials {
    App(AppCredentials),
    Token(String),
}

/// Where layers, branches and the control database are.
#[derive(Debug, Clone)]
pub enum Server {
    /// An embedded PostgreSQL of the service's own.
    Embedded,
    /// The administrator's URL of a server that the test brings.
    At(String),
    /// The same where the service reaches the server by another way than the test does.
    Behind { url: String, direct: String },
}

/// How a service is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The built `offshoot`.
    pub binary: PathBuf,
    pub webhook_secret: String,
    pub credentials: Credentials,
    pub server: Server,
    /// The directory in which the service's data directory is made; the system's for temporary files if none.
    pub data_in: Option<PathBuf>,
    /// Further settings.
    pub environment: Vec<(String, String)>,
    /// Parts of WARN and ERROR lines that the test provokes.
    pub expected_trouble: Vec<String>,
}

impl Options {
    /// An App's service on an embedded server.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            webhook_secret: "it is a secret to everybody".to_owned(),
            credentials: Credentials::App(AppCredentials::for_tests()),
            server: Server::Embedded,
            data_in: None,
            // Measuring makes databases that no row stands for.
            environment: vec![("OFFSHOOT_CALIBRATE_AFTER".to_owned(), "1day".to_owned())],
            expected_trouble: Vec::new(),
        }
    }
}

/// A service with a data directory of its own. Dropping it kills it and its embedded server.
#[derive(Debug)]
pub struct Offshoot {
    options: Options,
    github_url: String,
    /// Removed last.
    data: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
    http: reqwest::Client,
    secrets: Secrets,
    /// Set once the end was checked: then nobody needs the log.
    is_finished: bool,
}

impl Offshoot {
    /// Starts a service of this GitHub's and waits until it is ready.
    pub async fn start(options: Options, github_url: &str) -> Result<Self> {
        let data_in = options.data_in.clone().unwrap_or_else(std::env::temp_dir);
        let data = tempfile::Builder::new().prefix("offshoot-test-").tempdir_in(data_in)?;
        open_to_the_servers_user(data.path())?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let secrets = Secrets::of(&options);
        let github_url = github_url.to_owned();
        let port = free_port()?;
        let mut offshoot =
            Self { options, github_url, data, port, process: None, http, secrets, is_finished: false };
        offshoot.launch().await?;
        Ok(offshoot)
    }

    /// Starts the process again on the same data and the same port.
    pub async fn restart(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the service runs already");
        self.launch().await
    }

    /// Starts the process again, as often as it takes: it ends where its servers do not answer, and a supervisor starts it anew.
    pub async fn revive(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !self.is_running()? {
            if let Err(error) = self.launch().await {
                ensure!(Instant::now() < deadline, "the service does not start within {limit:?}: {error:#}");
                sleep(POLL).await;
            }
        }
        self.wait_until_ready().await
    }

    /// Whether the process is there; it may have ended by itself.
    pub fn is_running(&mut self) -> Result<bool> {
        let Some(process) = self.process.as_mut() else { return Ok(false) };
        if process.try_wait()?.is_some() {
            self.process = None;
        }
        Ok(self.process.is_some())
    }

    /// The base of every link and call, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `HOST:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The service's process, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Where GitHub sends its webhooks.
    pub fn webhook_url(&self) -> String {
        format!("{}/webhooks/github", self.url())
    }

    /// What GitHub signs its webhooks with.
    pub fn webhook_secret(&self) -> &str {
        &self.options.webhook_secret
    }

    /// The binary with this service's settings, for other commands than `serve`.
    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::from(self.command_with_settings());
        command.args(arguments).kill_on_drop(true);
        command
    }

    /// `kill -9`, and nothing of it is left. An embedded server lives on, as it does in reality.
    pub fn kill9(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the service does not run")?;
        process.kill().context("kill the service")?;
        process.wait().context("wait for the killed service")?;
        Ok(())
    }

    /// Asks the service to end, as a supervisor does, and expects that it ends well.
    pub async fn terminate(&mut self) -> Result<()> {
        let process = self.process.as_ref().context("the service does not run")?;
        kill(Pid::from_raw(i32::try_from(process.id())?), Signal::SIGTERM)
            .context("terminate the service")?;
        let status = self.ended(STOP_LIMIT).await?;
        self.process = None;
        ensure!(status.success(), "the service was asked to end and ended with {status}");
        Ok(())
    }

    /// The secrets that must appear nowhere.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Checks what must hold at every end: no unexpected trouble in the log, and no secret in the log, in the figures or
    /// in what GitHub was sent. Then ends the service well.
    pub async fn finish(mut self, github: &SimulatedGitHub) -> Result<()> {
        let figures = self.figures().await?;
        processes::ensure_discreet(&self.secrets, self.data.path())?;
        ensure!(figures.contains("offshoot_"), "no figures: {figures}");
        self.terminate().await?;
        let log = self.log()?;
        self.secrets.ensure_absent("the metrics", &figures)?;
        self.secrets.ensure_absent("the log", &log)?;
        for request in github.requests() {
            let place = format!("{} {}", request.method, request.path);
            self.secrets.ensure_absent(&place, &format!("{}?{}", request.path, request.query))?;
            self.secrets.ensure_absent(&place, &String::from_utf8_lossy(&request.body))?;
        }
        let trouble = log::unexpected_trouble(&log, &self.options.expected_trouble);
        ensure!(trouble.is_empty(), "unexpected lines in the log:\n{}", trouble.join("\n"));
        self.is_finished = true;
        Ok(())
    }

    /// All that the service logged, through every restart.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(self.log_path()).context("read the service's log")
    }

    /// The directory of the embedded data.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    fn log_path(&self) -> PathBuf {
        self.data.path().join("offshoot.log")
    }

    async fn launch(&mut self) -> Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.command_with_settings();
        command.arg("serve").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.process = Some(command.spawn().context("start the service")?);
        self.wait_until_ready().await
    }

    fn command_with_settings(&self) -> Command {
        let mut command = Command::new(&self.options.binary);
        command.env_clear();
        for kept in ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command
            .current_dir(self.data.path())
            .env("NO_COLOR", "1")
            .env("OFFSHOOT_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("OFFSHOOT_PUBLIC_URL", self.url())
            .env("OFFSHOOT_DATA_DIR", self.data.path())
            .env("OFFSHOOT_GITHUB_API_URL", &self.github_url)
            .env("OFFSHOOT_GITHUB_WEBHOOK_SECRET", &self.options.webhook_secret)
            .env("OFFSHOOT_API_TOKEN", API_TOKEN)
            .envs(postgres_bin().map(|bin| ("OFFSHOOT_POSTGRES_BIN", bin)));
        match &self.options.credentials {
            Credentials::App(app) => command
                .env("OFFSHOOT_GITHUB_APP_ID", app.id.to_string())
                .env("OFFSHOOT_GITHUB_APP_PRIVATE_KEY", &app.private_key_pem),
            Credentials::Token(token) => command.env("OFFSHOOT_GITHUB_TOKEN", token),
        };
        if let Server::At(url) | Server::Behind { url, .. } = &self.options.server {
            command.env("OFFSHOOT_DATABASE_URL", url).env("OFFSHOOT_SECRET_KEY", secrets::SECRET_KEY);
        }
        command.envs(self.options.environment.iter().cloned());
        command
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        let url = format!("{}/readyz", self.url());
        loop {
            if let Ok(answer) = self.http.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            let process = self.process.as_mut().context("the service was started")?;
            if let Some(status) = process.try_wait()? {
                self.process = None;
                bail!("the service ended with {status} while it started");
            }
            ensure!(Instant::now() < deadline, "the service is not ready after {START_LIMIT:?}");
            sleep(START_POLL).await;
        }
    }

    async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        let process = self.process.as_mut().context("the service was started")?;
        loop {
            if let Some(status) = process.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the service runs on {limit:?} after it was asked to end");
            sleep(POLL).await;
        }
    }
}

impl Drop for Offshoot {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself; there is nothing more to be done about it here.
            _ = process.kill();
            _ = process.wait();
        }
        databases::kill_embedded(self.data.path());
        if !self.is_finished {
            eprintln!("---- the service's log ----\n{}", log::last_lines(&self.log().unwrap_or_default()));
        }
    }
}

/// As root, the embedded server runs as another user, which has to get at its data.
fn open_to_the_servers_user(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The server's programs that the tests are run with; none: the service looks for them.
pub(crate) fn postgres_bin() -> Option<PathBuf> {
    let given = std::env::var_os("OFFSHOOT_POSTGRES_BIN").map(PathBuf::from);
    let own =
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/postgresql/18/bin").canonicalize().ok();
    given.or_else(own)
}

/// A port that nobody listens on, from below those that the system gives to outgoing connections: one of them would take it
/// while the service starts, or starts again.
fn free_port() -> Result<u16> {
    let any = || rand::random_range(10_000..32_000);
    let mut ports = std::iter::repeat_with(any).take(1_000);
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).context("look for a free port")
}
