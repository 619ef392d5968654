//! The embedded server's files: its data, its settings, its password and its port.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::EmbeddedError;
use super::find::Installation;
use super::user::{ServerUser, command};
use super::volume::Volume;
use crate::secret::Secret;

pub(super) const SUPERUSER: &str = "offshoot";

/// `DATA_DIR/embedded`: ours but for `pgdata`, which belongs to the server's user.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) directory: PathBuf,
}

/// A program that is just being started by this process has a copy of every open file, for a moment.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

impl Cluster {
    /// Makes the directory, and keeps other processes out of it while the file lives.
    pub(super) fn open(data_dir: &Path) -> Result<(Self, File), EmbeddedError> {
        let volume = Volume::of(data_dir)?;
        if volume.is_unmounted() {
            return Err(EmbeddedError::Unmounted { image: volume.image() });
        }
        let directory = volume.mount_point();
        fs::create_dir_all(&directory).map_err(EmbeddedError::file("create", &directory))?;
        let directory = directory.canonicalize().map_err(EmbeddedError::file("open", &directory))?;
        let path = directory.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(EmbeddedError::file("open", &path))?;
        let mut tries = LOCK_TRIES;
        while lock.try_lock().is_err() {
            tries -= 1;
            if tries == 0 {
                return Err(EmbeddedError::InUse { directory });
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Ok((Self { directory }, lock))
    }

    pub(super) fn pgdata(&self) -> PathBuf {
        self.directory.join("pgdata")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.pgdata().join("start.log")
    }

    pub(super) fn settings_file(&self) -> PathBuf {
        self.directory.join("postgresql.conf")
    }

    /// The version that made the data, or none where there is none yet.
    pub(super) fn major(&self) -> Option<u32> {
        fs::read_to_string(self.pgdata().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    pub(super) fn password(&self) -> Result<Secret, EmbeddedError> {
        let path = self.directory.join("password");
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim())),
            _ if self.major().is_none() => {
                let password = Secret::generate();
                write_private(&path, password.expose())?;
                Ok(password)
            }
            read => Err(EmbeddedError::file("read the embedded server's password in", &path)(
                read.err().unwrap_or_else(|| std::io::Error::other("it is empty")),
            )),
        }
    }

    /// The port used before if it is still free, else a free one. Kept, so that URLs outlive a restart.
    pub(super) fn port(&self) -> Result<u16, EmbeddedError> {
        let path = self.directory.join("port");
        let kept = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u16>().ok());
        let listener = kept.and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        let listener = listener.map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok);
        let address = listener.and_then(|listener| listener.local_addr());
        let port = address.map_err(EmbeddedError::file("find a free port for", &self.directory))?.port();
        fs::write(&path, format!("{port}\n")).map_err(EmbeddedError::file("write", &path))?;
        Ok(port)
    }

    /// `initdb`, beside the place and then moved there, so that one that was killed leaves nothing that looks whole.
    pub(super) async fn create(
        &self,
        installation: &Installation,
        user: Option<&ServerUser>,
        password: &Secret,
    ) -> Result<(), EmbeddedError> {
        let making = self.directory.join("pgdata.new");
        let password_file = self.directory.join("password.new");
        write_private(&password_file, password.expose())?;
        if let Some(user) = user {
            user.own(&password_file)?;
        }
        let mut outcome = Ok(());
        for locale in locales(installation.major) {
            outcome = init(installation, user, &making, &password_file, locale).await;
            if outcome.is_ok() {
                break;
            }
        }
        fs::remove_file(&password_file).map_err(EmbeddedError::file("remove", &password_file))?;
        outcome?;
        fs::rename(&making, self.pgdata()).map_err(EmbeddedError::file("move into place", &making))
    }

    /// Writes the settings. They are ours alone: the server's user reads them and cannot change them.
    pub(super) fn configure(&self, port: u16, compresses: bool) -> Result<(), EmbeddedError> {
        let path = self.settings_file();
        fs::write(&path, settings(port, compresses)).map_err(EmbeddedError::file("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
            .map_err(EmbeddedError::file("make readable", &path))
    }

    /// The last lines that the server wrote while it started.
    pub(super) fn last_log_lines(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

/// From what sorts the same everywhere to what every system has.
fn locales(major: u32) -> &'static [&'static [&'static str]] {
    const PLAIN: &[&str] = &["--no-locale"];
    if major >= 17 {
        &[&["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"], PLAIN]
    } else {
        &[&["--locale=C.UTF-8"], PLAIN]
    }
}

async fn init(
    installation: &Installation,
    user: Option<&ServerUser>,
    pgdata: &Path,
    password_file: &Path,
    locale: &[&str],
) -> Result<(), EmbeddedError> {
    if pgdata.exists() {
        fs::remove_dir_all(pgdata).map_err(EmbeddedError::file("remove", pgdata))?;
    }
    fs::create_dir(pgdata).map_err(EmbeddedError::file("create", pgdata))?;
    fs::set_permissions(pgdata, fs::Permissions::from_mode(0o700))
        .map_err(EmbeddedError::file("close", pgdata))?;
    if let Some(user) = user {
        user.own(pgdata)?;
    }
    let mut initdb = command(installation.bin.join("initdb"), user);
    initdb.args(["--encoding=UTF8", "--auth=scram-sha-256", "--username", SUPERUSER]).args(locale);
    initdb.arg("--pwfile").arg(password_file).arg("--pgdata").arg(pgdata);
    let failed = |output: String| EmbeddedError::Command {
        command: format!("initdb of PostgreSQL {}", installation.version),
        output,
        log: None,
    };
    let output = initdb.output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// What matters of a throw-away server: branches are rebuilt, so it need not archive or replicate; and no log line
/// may quote a pull request's SQL. The control database lives here too and loses nothing that was answered for, so fsync and
/// full_page_writes stay on.
///
/// A new segment of the WAL is not filled with zeros first: all commits wait for those 16 MB. Of 500 inserts of 25 kB a second, the slowest
/// hundredth took 8 ms without and 85 with them on ext4, the median 1.9 and 1.4.
///
/// Autovacuum looks at each database once in a round, so of a thousand at the usual minute it begins with another sixteen times a second. Branches
/// are small and go soon, and what changes most, the queue and the deliveries, can wait for five minutes as well.
///
/// A clone by `WAL_LOG` writes the whole template to the WAL: 10 MB, which LZ4 makes 2 MB. 128 MB of shared buffers is also the most that
/// the checkpoints of `FILE_COPY` and `DROP DATABASE` have to write.
fn settings(port: u16, compresses: bool) -> String {
    let compression = if compresses { "wal_compression = lz4\n" } else { "" };
    format!(
        "# Written by Offshoot at every start.\n\
         listen_addresses = '127.0.0.1'\n\
         port = {port}\n\
         unix_socket_directories = ''\n\
         max_connections = 300\n\
         shared_buffers = 128MB\n\
         password_encryption = 'scram-sha-256'\n\
         wal_level = minimal\n\
         wal_init_zero = off\n\
         max_wal_senders = 0\n\
         autovacuum_naptime = '5min'\n\
         {compression}\
         timezone = 'UTC'\n\
         lc_messages = 'C'\n\
         logging_collector = on\n\
         log_directory = 'log'\n\
         log_filename = 'postgresql-%a.log'\n\
         log_truncate_on_rotation = on\n\
         log_statement = none\n\
         log_min_error_statement = panic\n\
         log_min_messages = log\n\
         log_min_duration_statement = -1\n\
         log_parameter_max_length = 0\n"
    )
}

/// A file that only its owner may read, whatever was there before.
fn write_private(path: &Path, text: &str) -> Result<(), EmbeddedError> {
    let written = (|| {
        if path.exists() {
            fs::remove_file(path)?;
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })();
    written.map_err(EmbeddedError::file("write", path))
}
