//! A PostgreSQL of the test's own, as processes of this machine: what no container allows can be done to it, such as killing
//! its postmaster alone or filling its disk.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tokio::time::{Instant, sleep};

use crate::offshoot::{connect, postgres_bin};

const PASSWORD: &str = "the-local-servers-own-password";
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Whoever is root runs the server as one of these: it refuses root.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// What was written must outlive the server's processes, but not the machine.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "max_connections=200",
    "max_wal_size=64MB",
    "min_wal_size=32MB",
    "restart_after_crash=on",
];

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Sessions are told; the data is written out.
    Fast,
    /// Sessions are cut off; the next start recovers.
    Immediate,
    /// `kill -9` of the postmaster: its children find out by themselves.
    Killed,
}

/// A server that runs, or could. Dropping it ends it at once.
#[derive(Debug)]
pub struct LocalServer {
    directory: PathBuf,
    bin: PathBuf,
    user: Option<User>,
    port: u16,
    process: Option<Child>,
}

impl LocalServer {
    /// Makes one in a directory, which must be empty, and starts it.
    pub async fn create(directory: &Path) -> Result<Self> {
        let user = match geteuid().is_root() {
            true => USERS.iter().find_map(|name| User::from_name(name).ok().flatten()),
            false => None,
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let bin = postgres_bin().context("there is no PostgreSQL: scripts/setup postgres 18 fetches one")?;
        let mut server = Self { directory: directory.to_owned(), bin, user, port, process: None };
        server.init().await?;
        server.start().await?;
        Ok(server)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The administrator's URL.
    pub fn url(&self) -> String {
        self.url_by(self.address())
    }

    /// The same by way of another address.
    pub fn url_by(&self, address: SocketAddr) -> String {
        format!("postgres://postgres:{PASSWORD}@{address}/postgres")
    }

    /// All that the server logged.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_path())?).into_owned())
    }

    /// Ends it and waits until its postmaster is gone.
    pub fn end(&mut self, how: Ending) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let signal = match how {
            Ending::Fast => Signal::SIGINT,
            Ending::Immediate => Signal::SIGQUIT,
            Ending::Killed => Signal::SIGKILL,
        };
        // One that ended by itself, on a full disk, is what was wanted.
        _ = kill(Pid::from_raw(i32::try_from(process.id())?), signal);
        process.wait().context("wait for the server's end")?;
        Ok(())
    }

    /// Starts it if it does not run, and waits until it takes connections. What a killed postmaster left may have to end first.
    pub async fn start(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let has_ended = match &mut self.process {
                Some(process) => process.try_wait()?.is_some(),
                None => true,
            };
            if has_ended {
                self.process = Some(self.launch()?);
            }
            if connect(&self.url()).await.is_ok() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "PostgreSQL is not up after {LIMIT:?}: {}", self.last_words());
            sleep(POLL).await;
        }
    }

    fn launch(&self) -> Result<Child> {
        let log = fs::File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().context("start PostgreSQL")
    }

    async fn init(&self) -> Result<()> {
        fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o755))?;
        let password = self.directory.join("password");
        fs::write(&password, PASSWORD)?;
        fs::create_dir(self.data())?;
        fs::set_permissions(self.data(), fs::Permissions::from_mode(0o700))?;
        for path in [&password, &self.data()] {
            if let Some(user) = &self.user {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            }
        }
        let mut command = self.command("initdb");
        command.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]);
        command.args(["--no-sync", "--no-instructions", "--wal-segsize=1"]);
        command.arg("--pwfile").arg(&password).arg("--pgdata").arg(self.data());
        let output = tokio::process::Command::from(command).output().await.context("run initdb")?;
        ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir("/").env("TZ", "UTC").env("LC_ALL", "C");
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    fn last_words(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        // There is nobody left to tell of a failure.
        _ = self.end(Ending::Immediate);
    }
}
