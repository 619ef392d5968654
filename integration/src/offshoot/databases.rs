//! What stands on the servers behind the service: asked over SQL, beside the service.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

use super::{Offshoot, POLL, Server};

/// The databases and roles of Offshoot's on the branch server, and those that the control database knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub databases: BTreeSet<String>,
    pub roles: BTreeSet<String>,
    pub known_databases: BTreeSet<String>,
    pub known_roles: BTreeSet<String>,
}

impl Standing {
    /// Everything that stands is known, and everything that is known stands.
    pub fn ensure_no_leftovers(&self) -> Result<()> {
        ensure!(
            self.databases == self.known_databases,
            "on the server: {:?}; known: {:?}",
            self.databases,
            self.known_databases
        );
        ensure!(
            self.roles == self.known_roles,
            "roles on the server: {:?}; known: {:?}",
            self.roles,
            self.known_roles
        );
        Ok(())
    }
}

/// A connection to a URL, driven by a task of its own.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connect to PostgreSQL")?;
    // It ends with the client; what goes wrong on the way, the client's next query says.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

impl Offshoot {
    /// The administrator's connection to the control database, which is on the branch server too.
    pub async fn administrator(&self) -> Result<Client> {
        connect(&self.administrator_url()?).await
    }

    /// Waits until no job waits, runs, or is to be tried again.
    pub async fn idle(&self, limit: Duration) -> Result<()> {
        let client = self.administrator().await?;
        let deadline = Instant::now() + limit;
        loop {
            let sql = "select coalesce(string_agg(kind || ' ' || subject || ' ' || state || coalesce(': ' || last_error, ''), '; '), '') as left \
                       from jobs where state in ('available', 'running')";
            let left: String = client.query_one(sql, &[]).await?.try_get("left")?;
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "still to be done after {limit:?}: {left}");
            sleep(POLL).await;
        }
    }

    /// What stands on the branch server, against what the control database knows of.
    pub async fn standing(&self) -> Result<Standing> {
        let client = self.administrator().await?;
        let names = async |sql: &str| -> Result<BTreeSet<String>> {
            let rows = client.query(sql, &[]).await.with_context(|| sql.to_owned())?;
            rows.into_iter().map(|row| Ok(row.try_get("name")?)).collect()
        };
        Ok(Standing {
            databases: names(
                "select datname::text as name from pg_database where datname not in ('postgres', 'template0', 'template1')",
            )
            .await?,
            roles: names(
                "select rolname::text as name from pg_roles where rolname !~ '^pg_' and not rolsuper \
                 and rolname not in (current_user, 'offshoot_readers')",
            )
            .await?,
            known_databases: names(
                "select database_name as name from instances union select database_name from layers where complete \
                 union select database_name from snapshots where complete \
                 union select database_name from forks where state in ('spare', 'live')",
            )
            .await?,
            known_roles: names(
                "select role_name as name from instances union select owner_role from layers where complete \
                 union select database_name || '_ro' from instances where state in ('live', 'spare') \
                 union select owner_role from snapshots where complete \
                 union select database_name from forks where state in ('spare', 'live')",
            )
            .await?,
        })
    }

    /// The administrator's URL of the server.
    pub fn administrator_url(&self) -> Result<String> {
        match &self.options.server {
            Server::At(url) | Server::Behind { direct: url, .. } => Ok(url.clone()),
            Server::Embedded => {
                let kept = |name: &str| -> Result<String> {
                    let path = self.data.path().join("embedded").join(name);
                    let text =
                        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                    Ok(text.trim().to_owned())
                };
                let (password, port) = (kept("password")?, kept("port")?);
                self.secrets.add(&password);
                Ok(format!("postgres://offshoot:{password}@127.0.0.1:{port}/postgres"))
            }
        }
    }
}

/// Ends the embedded server in a data directory at once, if there is one.
pub(super) fn kill_embedded(data: &Path) {
    let pid = || -> Result<Pid> {
        let file = std::fs::read_to_string(data.join("embedded/pgdata/postmaster.pid"))?;
        let Some(first) = file.lines().next() else { bail!("postmaster.pid is empty") };
        Ok(Pid::from_raw(first.trim().parse()?))
    };
    // No file, no server.
    if let Ok(pid) = pid() {
        // An immediate shutdown; a server that is gone already is what is wanted.
        _ = kill(pid, Signal::SIGQUIT);
    }
}
