//! The service's own PostgreSQL, as its rivals use it: the same server, so the same settings.

use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use integration::offshoot::connect;
use tokio::process::Command;
use tokio_postgres::{Client, Config};

use crate::site::milliseconds;

#[derive(Debug, Clone)]
pub struct Server {
    administrator: Config,
    password: String,
    url: String,
    bin: PathBuf,
}

impl Server {
    /// From an administrator's URL of its database `postgres`.
    pub fn new(url: &str, bin: PathBuf) -> Result<Self> {
        let administrator = Config::from_str(url).context("understand the server's URL")?;
        let password = administrator.get_password().context("the administrator has a password")?;
        let password = String::from_utf8(password.to_vec())?;
        let url = url.rsplit_once('/').context("the server's URL names a database")?.0.to_owned();
        Ok(Self { administrator, password, url, bin })
    }

    /// The administrator's URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.url)
    }

    /// An administrator's session in a database.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        connect(&self.url(database)).await
    }

    /// The layer with the longest chain, and of those the newest.
    pub async fn template(&self) -> Result<String> {
        let sql = "select database_name from layers where complete \
                   order by jsonb_array_length(chain) desc, created_at desc limit 1";
        let row = self.connect("postgres").await?.query_opt(sql, &[]).await?;
        Ok(row.context("the service has built no layer")?.get("database_name"))
    }

    /// Makes one database from a template in an administrator's session, and drops it again. How long making it took.
    pub async fn timed_clone(&self, administrator: &Client, template: &str, how: &str) -> Result<f64> {
        let began = Instant::now();
        administrator
            .batch_execute(&format!("CREATE DATABASE rival_clone TEMPLATE \"{template}\" {how}"))
            .await?;
        let elapsed = milliseconds(began.elapsed());
        administrator.batch_execute("DROP DATABASE rival_clone").await?;
        Ok(elapsed)
    }

    /// Makes these databases from a template at once, each on a connection that is open already. How many a second.
    pub async fn clones_at_once(&self, template: &str, names: &[String]) -> Result<f64> {
        let sessions = try_join_all(names.iter().map(|_| self.connect("postgres"))).await?;
        let began = Instant::now();
        let made = names.iter().zip(&sessions).map(|(name, session)| async move {
            let sql = format!("CREATE DATABASE {name} TEMPLATE \"{template}\"");
            session.batch_execute(&sql).await.context("make a rival's database")
        });
        try_join_all(made).await?;
        Ok(names.len() as f64 / began.elapsed().as_secs_f64())
    }

    pub async fn drop_databases(&self, names: &[String]) -> Result<()> {
        let session = self.connect("postgres").await?;
        for name in names {
            session.batch_execute(&format!("DROP DATABASE {name}")).await?;
        }
        Ok(())
    }

    /// One of the server's client programs, which finds the server in its environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        let port = self.administrator.get_ports().first().copied().unwrap_or(5432);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", port.to_string())
            .env("PGUSER", self.administrator.get_user().unwrap_or("postgres"))
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Runs a program to its good end and returns what it printed.
pub async fn run(command: &mut Command) -> Result<String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.output().await.with_context(|| format!("run {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
