//! Settings of `offshoot serve`, each an environment variable and a flag. What is missing or malformed stops the start with its name,
//! what is wrong and an example.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod forms;
mod limits;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use clap::Args;
pub use forms::{check_http_url, host_port};
use forms::{check_log_filter, check_postgres_url, extension, http_url, idle_ttl, remote_address, secret};
pub use limits::LimitArgs;

use crate::domain::network::Network;
use crate::domain::room::Floor;
use crate::domain::size::ByteSize;
use crate::github::{Credentials, GithubSettings};
use crate::secret::{Secret, Vault};

/// What layers may take up unless the operator says otherwise.
pub const LAYER_BUDGET: ByteSize = ByteSize(20 << 30);

/// Whoever guesses a shorter one is let in.
const SHORTEST_SECRET: usize = 16;

/// Where the service listens, and the commands look, unless they are told otherwise.
pub const LISTEN: &str = "127.0.0.1:8080";

/// Where and how the service runs.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// HTTP address to listen on
    #[arg(long, env = "OFFSHOOT_LISTEN", default_value = LISTEN, value_name = "HOST:PORT", value_parser = host_port)]
    pub listen: String,

    /// Proxies that are believed where a request comes from (`X-Forwarded-For`) and what it is called (`X-Request-Id`), as `10.0.0.0/8,fd00::1`
    #[arg(long, env = "OFFSHOOT_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORK,…")]
    pub trusted_proxies: Vec<Network>,

    /// Base of the links in reports, as `https://offshoot.acme.dev` [default: from the listen address]
    #[arg(long, env = "OFFSHOOT_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,

    /// Bootstrap administrator's token for the API
    #[arg(long, env = "OFFSHOOT_API_TOKEN", hide_env_values = true, value_parser = secret)]
    pub api_token: Option<Secret>,

    /// Secret that GitHub signs webhooks with; two, separated by a comma, while it is rotated
    #[arg(long, env = "OFFSHOOT_GITHUB_WEBHOOK_SECRET", hide_env_values = true, value_parser = secret)]
    pub github_webhook_secret: Option<Secret>,

    /// Spares kept ready for each template; 0 for none
    #[arg(long, env = "OFFSHOOT_POOL_SIZE", default_value_t = 4, value_name = "NUMBER")]
    pub pool_size: usize,

    /// How long after the start it is measured which way of cloning databases is the fastest here
    #[arg(long, env = "OFFSHOOT_CALIBRATE_AFTER", default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub calibrate_after: std::time::Duration,

    /// Spares for a template while many pull requests come
    #[arg(long, env = "OFFSHOOT_POOL_MAX", default_value_t = 16, value_name = "NUMBER")]
    pub pool_max: usize,

    /// Disk space for layers; what is used least goes first, but for what open pull requests need
    #[arg(long, env = "OFFSHOOT_LAYER_BUDGET", default_value_t = LAYER_BUDGET, value_name = "SIZE")]
    pub layer_budget: ByteSize,

    /// For how long a fork may be asked for at most
    #[arg(long, env = "OFFSHOOT_FORK_TTL_LIMIT", default_value = "24h", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub fork_ttl_limit: Duration,

    /// A branch that nobody used for so long is removed, as `3d`; the pull request is told before [default: none is]
    #[arg(long, env = "OFFSHOOT_IDLE_TTL", value_parser = idle_ttl, value_name = "DURATION")]
    pub idle_ttl: Option<Duration>,

    #[command(flatten)]
    pub databases: DatabaseArgs,

    #[command(flatten)]
    pub github: GithubArgs,
}

/// The two servers and what is kept at rest.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Control database [default: an embedded PostgreSQL in the data directory]
    #[arg(long, env = "OFFSHOOT_DATABASE_URL", hide_env_values = true, value_parser = secret, value_name = "URL")]
    pub database_url: Option<Secret>,

    /// Administrator's URL of the server that holds layers and branches [default: the control database's server]
    #[arg(long, env = "OFFSHOOT_BRANCH_SERVER_URL", hide_env_values = true, value_parser = secret, value_name = "URL")]
    pub branch_server_url: Option<Secret>,

    /// HOST:PORT put into branch URLs [default: the branch server's]
    #[arg(long, env = "OFFSHOOT_BRANCH_ADDRESS", value_name = "HOST:PORT", value_parser = remote_address)]
    pub branch_address: Option<String>,

    /// Embedded data and generated keys
    #[arg(long, env = "OFFSHOOT_DATA_DIR", default_value = ".offshoot", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Directory with `postgres`, `initdb` and `pg_ctl` for the embedded server [default: found]
    #[arg(long, env = "OFFSHOOT_POSTGRES_BIN", value_name = "DIR")]
    pub postgres_bin: Option<PathBuf>,

    /// 64 hexadecimal digits that encrypt credentials at rest [default: generated in the data directory when embedded]
    #[arg(long, env = "OFFSHOOT_SECRET_KEY", hide_env_values = true, value_parser = secret)]
    pub secret_key: Option<Secret>,

    /// Earlier keys, separated by commas, while what they encrypted moves to OFFSHOOT_SECRET_KEY
    #[arg(long, env = "OFFSHOOT_SECRET_KEY_PREVIOUS", hide_env_values = true, value_parser = secret)]
    pub secret_key_previous: Option<Secret>,

    /// Extensions that a repository's `.offshoot.toml` may ask for
    #[arg(long, env = "OFFSHOOT_ALLOWED_EXTENSIONS", value_delimiter = ',', default_value = ALLOWED_EXTENSIONS, value_parser = extension)]
    pub allowed_extensions: Vec<String>,

    /// Free space of the branch server's disk that new databases leave alone, as `5G`; 0 for none [default: the smaller of 2G and 5 % of the disk]
    #[arg(long, env = "OFFSHOOT_DISK_FLOOR", value_name = "SIZE")]
    pub disk_floor: Option<ByteSize>,

    #[command(flatten)]
    pub limits: LimitArgs,
}

/// How the service speaks to GitHub.
#[derive(Debug, Clone, Args)]
pub struct GithubArgs {
    /// GitHub's API, for GitHub Enterprise as `https://github.acme.dev/api/v3` [default: GitHub's]
    #[arg(long, env = "OFFSHOOT_GITHUB_API_URL", value_name = "URL", value_parser = http_url)]
    pub github_api_url: Option<String>,

    /// The GitHub App's number
    #[arg(long, env = "OFFSHOOT_GITHUB_APP_ID", value_name = "NUMBER")]
    pub github_app_id: Option<i64>,

    /// The App's private key, as PEM
    #[arg(long, env = "OFFSHOOT_GITHUB_APP_PRIVATE_KEY", hide_env_values = true, value_parser = secret)]
    pub github_app_private_key: Option<Secret>,

    /// File with the App's private key
    #[arg(long, env = "OFFSHOOT_GITHUB_APP_PRIVATE_KEY_FILE", value_name = "FILE")]
    pub github_app_private_key_file: Option<PathBuf>,

    /// A personal or machine user's token, instead of an App
    #[arg(long, env = "OFFSHOOT_GITHUB_TOKEN", hide_env_values = true, value_parser = secret)]
    pub github_token: Option<Secret>,
}

impl ServeArgs {
    /// Checks every setting that can be checked before anything starts.
    pub fn check(&self) -> anyhow::Result<()> {
        check_log_filter()?;
        if let Some(url) = &self.public_url {
            check_http_url("OFFSHOOT_PUBLIC_URL", url)?;
        }
        self.webhook_secrets()?;
        self.administrator_token()?;
        self.github.settings()?;
        self.databases.check()?;
        self.databases.vault().map(drop)
    }

    /// After how long a branch that nobody uses goes; none for never.
    pub fn idle_ttl(&self) -> Option<TimeDelta> {
        self.idle_ttl.and_then(|ttl| TimeDelta::from_std(ttl).ok())
    }

    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    /// The administrator's token, if one is set. A set-but-empty variable would let everybody in.
    pub fn administrator_token(&self) -> anyhow::Result<Option<Secret>> {
        match self.api_token.as_ref().map(|token| token.expose().trim()) {
            None => Ok(None),
            Some(token) if token.len() < SHORTEST_SECRET => bail!(
                "OFFSHOOT_API_TOKEN is empty or shorter than {SHORTEST_SECRET} characters; make one with `openssl rand -hex 32`, or unset it"
            ),
            Some(token) => Ok(Some(Secret::new(token))),
        }
    }

    /// The webhook's secrets; more than one while it is rotated.
    pub fn webhook_secrets(&self) -> anyhow::Result<Vec<Secret>> {
        let Some(secret) = &self.github_webhook_secret else {
            bail!(
                "OFFSHOOT_GITHUB_WEBHOOK_SECRET is missing: it is the secret that the webhook was set up with at GitHub. \
                 Make one with `openssl rand -hex 32` and set it in both places."
            );
        };
        let secrets = listed(secret);
        if secrets.is_empty() || secrets.iter().any(|secret| secret.expose().len() < SHORTEST_SECRET) {
            bail!(
                "OFFSHOOT_GITHUB_WEBHOOK_SECRET is empty or shorter than {SHORTEST_SECRET} characters (a comma separates two secrets); \
                 make one with `openssl rand -hex 32` and set it at GitHub too"
            );
        }
        Ok(secrets)
    }
}

impl GithubArgs {
    /// The App's credentials or the token; exactly one of them.
    pub fn settings(&self) -> anyhow::Result<GithubSettings> {
        let credentials = match (self.github_app_id, &self.github_token) {
            (Some(_), Some(_)) => bail!(
                "both OFFSHOOT_GITHUB_APP_ID and OFFSHOOT_GITHUB_TOKEN are set; keep the one that Offshoot shall act as"
            ),
            (None, None) => bail!(
                "no GitHub credentials: set OFFSHOOT_GITHUB_APP_ID=123456 and \
                 OFFSHOOT_GITHUB_APP_PRIVATE_KEY_FILE=/etc/offshoot/app.pem, or OFFSHOOT_GITHUB_TOKEN"
            ),
            (Some(id), None) => Credentials::App { id, private_key: self.private_key()? },
            (None, Some(token)) => Credentials::Token(token.clone()),
        };
        Ok(GithubSettings { api_url: self.github_api_url.clone(), ..GithubSettings::new(credentials) })
    }

    fn private_key(&self) -> anyhow::Result<Secret> {
        match (&self.github_app_private_key, &self.github_app_private_key_file) {
            // Some secret stores turn line breaks into the two characters `\n`.
            (Some(key), None) => Ok(Secret::new(key.expose().replace("\\n", "\n"))),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).with_context(|| {
                    format!("OFFSHOOT_GITHUB_APP_PRIVATE_KEY_FILE: cannot read {}", file.display())
                })?;
                Ok(Secret::new(text))
            }
            (Some(_), Some(_)) => bail!(
                "both OFFSHOOT_GITHUB_APP_PRIVATE_KEY and OFFSHOOT_GITHUB_APP_PRIVATE_KEY_FILE are set; keep one"
            ),
            (None, None) => bail!(
                "OFFSHOOT_GITHUB_APP_ID is set, but no key: set OFFSHOOT_GITHUB_APP_PRIVATE_KEY_FILE=/etc/offshoot/app.pem"
            ),
        }
    }
}

/// What a repository may ask for unless the operator says otherwise: extensions that read and write nothing but their own database.
const ALLOWED_EXTENSIONS: &str = "pgcrypto,citext,uuid-ossp,pg_trgm,btree_gin,btree_gist,hstore,ltree,unaccent,intarray,\
    fuzzystrmatch,tablefunc,cube,earthdistance,vector";

impl DatabaseArgs {
    /// An embedded server in a directory, and the defaults for the rest.
    pub fn embedded(data_dir: PathBuf, postgres_bin: Option<PathBuf>) -> Self {
        Self {
            database_url: None,
            branch_server_url: None,
            branch_address: None,
            data_dir,
            postgres_bin,
            secret_key: None,
            secret_key_previous: None,
            allowed_extensions: ALLOWED_EXTENSIONS.split(',').map(|name| name.trim().to_owned()).collect(),
            disk_floor: None,
            limits: LimitArgs::default(),
        }
    }

    /// What new databases leave free of the branch server's disk.
    pub fn floor(&self) -> Floor {
        self.disk_floor.map_or(Floor::Usual, Floor::Bytes)
    }

    /// Checks what the parser of the command line must not: it would print what it refuses.
    pub fn check(&self) -> anyhow::Result<()> {
        check_postgres_url("OFFSHOOT_DATABASE_URL", self.database_url.as_ref())?;
        check_postgres_url("OFFSHOOT_BRANCH_SERVER_URL", self.branch_server_url.as_ref())
    }

    /// The vault under the configured key, or under one generated beside the embedded server's data; it opens what earlier keys sealed.
    pub fn vault(&self) -> anyhow::Result<Vault> {
        let key = match &self.secret_key {
            Some(key) => key.clone(),
            None if self.database_url.is_some() => bail!(
                "OFFSHOOT_SECRET_KEY is missing: it encrypts the branches' credentials in the control database. \
                 Make one with `openssl rand -hex 32` and keep it as long as that database."
            ),
            None => generated_key(&self.data_dir)?,
        };
        let vault = Vault::new(&key).context("OFFSHOOT_SECRET_KEY")?;
        let previous = self.secret_key_previous.as_ref().map(listed).unwrap_or_default();
        vault.with_previous(&previous).context("OFFSHOOT_SECRET_KEY_PREVIOUS")
    }
}

/// The key kept in the data directory, made at the first start. Mode 0600.
fn generated_key(data_dir: &Path) -> anyhow::Result<Secret> {
    let path = data_dir.join("secret.key");
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(Secret::new(text.trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the key in {}", path.display()));
        }
    }
    if data_dir.join("embedded/pgdata").exists() {
        bail!(
            "{} is missing, and without it the credentials kept in {} cannot be read; restore the file, or remove that directory to begin anew",
            path.display(),
            data_dir.display()
        );
    }
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    keep_key(&path).with_context(|| format!("cannot write the key to {}", path.display()))
}

/// Puts a new key at its place, whole or not at all; of two processes that begin at once the first one's is kept.
fn keep_key(path: &Path) -> std::io::Result<Secret> {
    let own = path.with_extension(format!("key.{}", std::process::id()));
    let key = Vault::generate_key();
    write_private(&own, key.expose())?;
    let kept = std::fs::hard_link(&own, path);
    std::fs::remove_file(&own)?;
    match kept {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Ok(Secret::new(std::fs::read_to_string(path)?.trim()))
        }
        kept => kept.map(|()| key),
    }
}

/// Writes a new file that only its owner may read.
fn write_private(path: &Path, content: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

/// Several secrets in one setting, separated by commas.
fn listed(secrets: &Secret) -> Vec<Secret> {
    let parts = secrets.expose().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(Secret::new).collect()
}

#[cfg(test)]
mod tests;
