//! Connections to PostgreSQL, made the same way by the store and the engine.

mod bounded;
mod notifications;
mod tls;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use bounded::{TOO_LARGE, TransactionStatus, Watched};

use crate::secret::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than connecting may take, so that a server that is down is told apart from a pool that is used up.
const POOL_WAIT: Duration = Duration::from_secs(15);
/// A session whose server is gone without a word is known to be over within a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
const DEFAULT_PORT: u16 = 5432;
/// Sessions that a pool keeps however quiet it is, so that what comes next need not connect first.
const KEPT: usize = 4;
/// After this long without use, a session beyond those is one that only a burst needed.
const IDLE: Duration = Duration::from_secs(20);

/// Why there is no connection. None of these repeats the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "the database URL is not usable: {0}; an example is postgres://user:password@localhost:5432/offshoot?sslmode=require"
    )]
    InvalidUrl(String),
    #[error("the certificates in {path} cannot be used: {why}", path = path.display())]
    Certificates { path: PathBuf, why: String },
    #[error("cannot reach PostgreSQL at {server}")]
    Unreachable {
        server: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot connect to PostgreSQL at {server}")]
    Refused {
        server: String,
        #[source]
        source: tokio_postgres::Error,
    },
}

/// Where a server is and as whom to connect to it: a parsed `postgres://` URL with its TLS settings.
#[derive(Clone)]
pub struct Endpoint {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Endpoint {
    /// Reads a URL. `sslmode` and `sslrootcert` mean what they mean to libpq; certificates are read from the file now.
    pub fn parse(url: &Secret) -> Result<Self, ConnectError> {
        let invalid = |why: &str| ConnectError::InvalidUrl(why.to_owned());
        let text = url.expose().trim();
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(invalid("it does not begin with postgres://"));
        }
        let (address, parameters) = text.split_once('?').unwrap_or((text, ""));
        let (mut trust, mut kept) = (tls::Trust::default(), Vec::new());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => trust.mode = mode.parse().map_err(ConnectError::InvalidUrl)?,
                Some(("sslrootcert", path)) => trust.root_certificates = Some(PathBuf::from(decode(path))),
                _ => kept.push(parameter),
            }
        }
        let mut config = Config::from_str(&format!("{address}?{}", kept.join("&"))).map_err(|error| {
            invalid(&std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        if config.get_hosts().is_empty() {
            return Err(invalid("it names no host"));
        }
        config
            .application_name("offshoot")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .ssl_mode(trust.mode.negotiation());
        Ok(Self { config, tls: tls::connector(&trust)? })
    }

    /// The same server and user, another database.
    pub fn with_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// The same server and database, as another role.
    pub fn with_credentials(&self, role: &str, password: &Secret) -> Self {
        let mut other = self.clone();
        other.config.user(role).password(password.expose());
        other
    }

    /// The same, with settings for the session that go before those of its role and database: `-c search_path=pg_catalog`.
    pub fn with_options(&self, options: &str) -> Self {
        let mut other = self.clone();
        other.config.options(options);
        other
    }

    /// The same with more command-line options than it has.
    pub fn with_more_options(&self, options: &str) -> Self {
        match self.config.get_options() {
            Some(own) if !own.is_empty() => self.with_options(&format!("{own} {options}")),
            _ => self.with_options(options),
        }
    }

    /// The database's name: the URL's, else the user's, as libpq has it.
    pub fn database(&self) -> Option<&str> {
        self.config.get_dbname().or_else(|| self.config.get_user())
    }

    /// `host:port` of the first server named, as it stands in a URL.
    pub fn address(&self) -> String {
        let port = self.config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) if host.contains(':') => format!("[{host}]:{port}"),
            Some(Host::Tcp(host)) => format!("{host}:{port}"),
            _ => format!("localhost:{port}"),
        }
    }

    /// The `sslmode` that another client should use to reach this server.
    pub fn requires_tls(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// A session of its own. It ends when the client is dropped.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        let refused = |source| ConnectError::Refused { server: self.address(), source };
        let (client, connection) = self.config.connect(self.tls.clone()).await.map_err(refused)?;
        drive(connection);
        Ok(client)
    }

    /// A pool of at most `size` sessions, opened as they are needed.
    pub fn pool(&self, size: usize) -> Pool {
        let manager = Manager::from_config(
            self.config.clone(),
            self.tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(POOL_WAIT))
            // The session that was used last knows the statements already.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime can be built")
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.address())
    }
}

/// Connects to the server and database that a URL names. The session ends when the client is dropped.
pub async fn connect(url: &Secret) -> Result<Client, ConnectError> {
    Endpoint::parse(url)?.connect().await
}

/// A pool of at most `size` sessions. Nothing is connected yet: a server that is down is found at the first use.
pub fn pool(url: &Secret, size: usize) -> Result<Pool, ConnectError> {
    Ok(Endpoint::parse(url)?.pool(size))
}

/// Polled by message, because the connection's own driver logs notices, and those are a pull request's text.
fn drive<S, T>(mut connection: Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(Ok(_)) = std::future::poll_fn(|context| connection.poll_message(context)).await {}
    });
}

/// Ends the sessions that a burst left in a pool, with their buffers here and their plans on the server.
pub fn shed_idle(pool: &Pool) {
    shed(pool, IDLE);
}

pub(crate) fn shed(pool: &Pool, idle: Duration) {
    // Those that were used longest ago come first.
    let mut surplus = pool.status().available.saturating_sub(KEPT);
    pool.retain(|_, metrics| {
        let ends = surplus > 0 && metrics.last_used() >= idle;
        surplus -= usize::from(ends);
        !ends
    });
}

/// Undoes a URL's percent-encoding; what is not valid encoding stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, ConnectError> {
        Endpoint::parse(&Secret::new(url))
    }

    #[test]
    fn a_url_says_where_and_as_whom() {
        let there = endpoint("postgres://ann:s3cret@db.example:6543/app?sslmode=disable").unwrap();
        assert_eq!(there.address(), "db.example:6543");
        assert_eq!(there.database(), Some("app"));
        assert_eq!(there.with_database("other").database(), Some("other"));
        assert_eq!(endpoint("postgresql://ann@[::1]/").unwrap().address(), "[::1]:5432");
        assert_eq!(format!("{there:?}"), "Endpoint(db.example:6543)");
    }

    #[test]
    fn tls_follows_the_url() {
        assert!(!endpoint("postgres://a@h/d").unwrap().requires_tls());
        assert!(!endpoint("postgres://a@h/d?sslmode=disable").unwrap().requires_tls());
        for mode in ["require", "verify-ca", "verify-full"] {
            assert!(endpoint(&format!("postgres://a@h/d?sslmode={mode}")).unwrap().requires_tls(), "{mode}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for bad in [
            "host=localhost password=hunter2",
            "postgres://a:hunter2@h/d?sslmode=sometimes",
            "postgres://a:hunter2@h/d?shoe=size",
            "postgres://a:hunter2@h:port/d",
            "postgres://a:hunter2@h/d?sslmode=verify-full&sslrootcert=%2Fnot%2Fthere.pem",
        ] {
            let error = endpoint(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = endpoint("postgres://a@h/d?sslrootcert=%2Fnot%2Fthere.pem").unwrap_err().to_string();
        assert!(error.contains("/not/there.pem"), "{error}");
    }

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(decode("%2Fetc%2fca%20x.pem"), "/etc/ca x.pem");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%é"), "%zz%é");
    }
}
