//! The real Prisma CLI, which has the last word on whether a database is as `migrate deploy` would have left it.
//!
//! It is run from `integration/node` (`npm ci` once), without a native engine: see `native-adapter.mjs` there.

mod bookkeeping;
mod fingerprint;
mod session;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

pub use bookkeeping::{BookkeepingRow, bookkeeping_rows};
pub use fingerprint::schema_fingerprint;
pub use session::{Diagnosis, EngineError, HistoryDiagnosis, PrismaSession};

/// Longer than the ten seconds for which Prisma waits for its migration lock.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The CLI at one directory of `node_modules`.
#[derive(Debug, Clone)]
pub struct PrismaCli {
    node_dir: PathBuf,
}

/// How a run of the CLI ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliOutcome {
    pub success: bool,
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl PrismaCli {
    /// The CLI of this crate's own `node/`.
    pub fn of_this_crate() -> Result<Self> {
        Self::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("node"))
    }

    /// The CLI below a directory that holds `prisma.config.ts` and `node_modules`.
    pub fn new(node_dir: impl Into<PathBuf>) -> Result<Self> {
        let cli = Self { node_dir: node_dir.into() };
        let script = cli.script();
        ensure!(
            script.is_file(),
            "{} is missing: run `npm ci` in {}",
            script.display(),
            cli.node_dir.display()
        );
        Ok(cli)
    }

    /// `prisma migrate deploy`: `schema` is the schema's file, or its directory.
    pub async fn migrate_deploy(&self, url: &str, migrations: &Path, schema: &Path) -> Result<CliOutcome> {
        self.run(&["migrate", "deploy"], url, migrations, schema).await
    }

    /// `prisma migrate status`: exit 1 when something is pending or failed.
    pub async fn migrate_status(&self, url: &str, migrations: &Path, schema: &Path) -> Result<CliOutcome> {
        self.run(&["migrate", "status"], url, migrations, schema).await
    }

    /// `prisma migrate resolve --applied NAME`.
    pub async fn resolve_applied(
        &self,
        name: &str,
        url: &str,
        migrations: &Path,
        schema: &Path,
    ) -> Result<CliOutcome> {
        self.run(&["migrate", "resolve", "--applied", name], url, migrations, schema).await
    }

    /// `prisma migrate resolve --rolled-back NAME`.
    pub async fn resolve_rolled_back(
        &self,
        name: &str,
        url: &str,
        migrations: &Path,
        schema: &Path,
    ) -> Result<CliOutcome> {
        self.run(&["migrate", "resolve", "--rolled-back", name], url, migrations, schema).await
    }

    fn script(&self) -> PathBuf {
        self.node_dir.join("node_modules/prisma/build/index.js")
    }

    /// The URL goes through the environment: a command line is everybody's to read.
    async fn run(
        &self,
        arguments: &[&str],
        url: &str,
        migrations: &Path,
        schema: &Path,
    ) -> Result<CliOutcome> {
        let no_engine = self.node_dir.join("no-engine.sh");
        let mut command = Command::new("node");
        command
            .arg(self.script())
            .args(arguments)
            .arg("--config")
            .arg(self.node_dir.join("prisma.config.ts"))
            .current_dir(&self.node_dir)
            .env("DATABASE_URL", url)
            .env("PRISMA_MIGRATIONS_PATH", std::path::absolute(migrations)?)
            .env("PRISMA_SCHEMA_PATH", std::path::absolute(schema)?)
            .env("PRISMA_QUERY_ENGINE_LIBRARY", &no_engine)
            .env("PRISMA_SCHEMA_ENGINE_BINARY", &no_engine)
            .env("CHECKPOINT_DISABLE", "1")
            .env("PRISMA_HIDE_UPDATE_MESSAGE", "1")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let what = || format!("run prisma {}", arguments.join(" "));
        let output = tokio::time::timeout(TIMEOUT, command.output())
            .await
            .with_context(|| format!("{}: no end after {TIMEOUT:?}", what()))?
            .with_context(what)?;
        Ok(CliOutcome {
            success: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
