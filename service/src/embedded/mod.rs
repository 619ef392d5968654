//! A PostgreSQL of our own, for whoever has none to give: made, started, found again after a crash, and stopped.

mod cluster;
mod error;
mod find;
mod user;
pub mod volume;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::{Cluster, SUPERUSER};
pub use error::EmbeddedError;
use find::Installation;
use user::{ServerUser, command};

use crate::postgres;
use crate::secret::Secret;

/// How long a server may take to start, which includes recovery after a crash; seconds, for `pg_ctl`.
const START_TIMEOUT: &str = "120";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// The service's data directory; the server lives in its `embedded`.
    pub data_dir: PathBuf,
    /// A directory with `postgres`, `initdb` and `pg_ctl`; found where absent.
    pub postgres_bin: Option<PathBuf>,
}

/// A running server that listens on 127.0.0.1 only. Dropping it stops the server.
#[derive(Debug)]
pub struct Embedded {
    cluster: Cluster,
    installation: Installation,
    user: Option<ServerUser>,
    password: Secret,
    port: u16,
    running: bool,
    /// Keeps other processes from this data directory.
    _lock: File,
}

impl Embedded {
    /// Makes the data directory where it is missing and starts the server, or takes over one that a killed service left running.
    pub async fn start(settings: &EmbeddedSettings) -> Result<Self, EmbeddedError> {
        let (cluster, lock) = Cluster::open(&settings.data_dir)?;
        let installation = find::find(settings.postgres_bin.as_deref(), cluster.major())?;
        let user = user::choose().await?;
        if let Some(user) = &user {
            user.check_reach(&cluster.directory)?;
            user.check_reach(&installation.bin)?;
        }
        let password = cluster.password()?;
        match cluster.major() {
            None => cluster.create(&installation, user.as_ref(), &password).await?,
            Some(made_by) if made_by != installation.major => {
                let (pgdata, found) = (cluster.pgdata(), installation.version);
                return Err(EmbeddedError::OtherVersion { pgdata, made_by, found });
            }
            Some(_) => {}
        }
        let mut server = Self { cluster, installation, user, password, port: 0, running: false, _lock: lock };
        server.run().await?;
        Ok(server)
    }

    /// Stops a server that was left running in a data directory; false where none runs there.
    pub async fn stop_left_running(settings: &EmbeddedSettings) -> Result<bool, EmbeddedError> {
        let (cluster, lock) = Cluster::open(&settings.data_dir)?;
        if cluster.major().is_none() {
            return Ok(false);
        }
        let installation = find::find(settings.postgres_bin.as_deref(), cluster.major())?;
        let user = user::choose().await?;
        // Nobody connects to it, so its password does not matter.
        let password = Secret::new("");
        let server = Self { cluster, installation, user, password, port: 0, running: false, _lock: lock };
        if server.adoptable_port().await.is_none() {
            return Ok(false);
        }
        server.stop().await.map(|()| true)
    }

    async fn run(&mut self) -> Result<(), EmbeddedError> {
        let adopted = self.adoptable_port().await;
        match adopted {
            Some(port) => self.port = port,
            None => {
                self.port = self.cluster.port()?;
                self.launch().await?;
            }
        }
        self.running = true;
        self.wait_until_it_answers().await?;
        tracing::info!(
            version = %self.installation.version,
            port = self.port,
            adopted = adopted.is_some(),
            "embedded PostgreSQL is up"
        );
        Ok(())
    }

    /// The port of a server that already runs on our data.
    async fn adoptable_port(&self) -> Option<u16> {
        let mut status = self.pg_ctl("status");
        if !status.output().await.ok()?.status.success() {
            return None;
        }
        // postmaster.pid: pid, data directory, start time, port, …
        let file = std::fs::read_to_string(self.cluster.pgdata().join("postmaster.pid")).ok()?;
        file.lines().nth(3)?.trim().parse().ok()
    }

    async fn launch(&self) -> Result<(), EmbeddedError> {
        self.cluster.configure(self.port, false)?;
        if self.compresses().await {
            self.cluster.configure(self.port, true)?;
        }
        let config_file = format!("-c config_file={}", shell_quote(&self.cluster.settings_file()));
        let mut start = self.pg_ctl("start");
        start.args(["--wait", "--timeout", START_TIMEOUT, "--options", &config_file]);
        start.arg("--log").arg(self.cluster.log());
        let failed = |output: String| EmbeddedError::Command {
            command: format!("pg_ctl start of PostgreSQL {}", self.installation.version),
            output,
            log: Some(self.cluster.log()),
        };
        // A child that outlives us must not hold our pipes, so the start's own output goes nowhere; the log has the reason.
        start.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        start.stderr(std::process::Stdio::null());
        let status = start.status().await.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(self.cluster.last_log_lines())) }
    }

    /// Whether the WAL can be compressed by LZ4: from 15, where the build has it.
    async fn compresses(&self) -> bool {
        if self.installation.major < 15 {
            return false;
        }
        let mut ask = command(self.installation.bin.join("postgres"), self.user.as_ref());
        ask.args(["-C", "wal_compression", "-c", "wal_compression=lz4"]);
        ask.arg("-D").arg(self.cluster.pgdata());
        ask.output().await.is_ok_and(|output| output.status.success())
    }

    async fn wait_until_it_answers(&self) -> Result<(), EmbeddedError> {
        let deadline = tokio::time::Instant::now() + ANSWER_TIMEOUT;
        let url = self.administrator_url();
        loop {
            match postgres::connect(&url).await {
                Ok(_) => return Ok(()),
                Err(_) if tokio::time::Instant::now() < deadline => tokio::time::sleep(POLL).await,
                Err(source) => return Err(EmbeddedError::Silent { log: self.cluster.log(), source }),
            }
        }
    }

    fn pg_ctl(&self, action: &str) -> tokio::process::Command {
        let mut pg_ctl = command(self.installation.bin.join("pg_ctl"), self.user.as_ref());
        pg_ctl.arg(action).arg("--pgdata").arg(self.cluster.pgdata());
        pg_ctl
    }

    /// The superuser's URL of the maintenance database.
    pub fn administrator_url(&self) -> Secret {
        let password = self.password.expose();
        Secret::new(format!(
            "postgres://{SUPERUSER}:{password}@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        ))
    }

    /// The server's version as it writes it: `18.6`.
    pub fn version(&self) -> &str {
        &self.installation.version
    }

    /// The directory with the server's programs.
    pub fn bin_dir(&self) -> &Path {
        &self.installation.bin
    }

    /// Leaves the server running for others to use; the next start takes it over.
    pub fn leave_running(mut self) {
        self.running = false;
    }

    /// Ends all sessions and stops the server, having written everything to disk.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        self.running = false;
        let mut stop = self.pg_ctl("stop");
        let failed = |output: String| EmbeddedError::Command {
            command: "pg_ctl stop".to_owned(),
            output,
            log: Some(self.cluster.log()),
        };
        let output =
            stop.args(["--mode", "fast", "--wait"]).output().await.map_err(|e| failed(e.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if !self.running {
            return;
        }
        let mut stop = self.pg_ctl("stop").into_std();
        stop.args(["--mode", "fast", "--wait", "--timeout", "10"]);
        if let Err(error) = stop.output() {
            tracing::warn!(%error, "embedded PostgreSQL could not be told to stop");
        }
    }
}

/// A path as one word of a shell, for `pg_ctl --options`.
fn shell_quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
pub(crate) mod tests;
