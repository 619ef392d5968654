//! Prisma's schema engine in one long-lived process, for tests with hundreds of databases: some 30 ms a call.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::TIMEOUT;

/// A running engine. It ends when this is dropped.
#[derive(Debug)]
pub struct PrismaSession {
    /// Kills the process when it goes.
    _engine: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What the engine refused, as `prisma migrate` would have said it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// Prisma's code, `P3009`, where the error has one.
    pub code: Option<String>,
    pub message: String,
}

/// What `migrate status` decides by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    pub edited_migration_names: Vec<String>,
    pub failed_migration_names: Vec<String>,
    pub has_migrations_table: bool,
    /// None when the database holds exactly what the directory does.
    pub history: Option<HistoryDiagnosis>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "diagnostic", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum HistoryDiagnosis {
    DatabaseIsBehind {
        unapplied_migration_names: Vec<String>,
    },
    MigrationsDirectoryIsBehind {
        unpersisted_migration_names: Vec<String>,
    },
    HistoriesDiverge {
        last_common_migration_name: Option<String>,
        unpersisted_migration_names: Vec<String>,
        unapplied_migration_names: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Applied {
    applied_migration_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Done { ok: T },
    Refused { error: String, code: Option<String> },
}

impl PrismaSession {
    /// Starts the engine of a directory with `engine-session.mjs` and `node_modules`.
    pub fn start(node_dir: &Path) -> Result<Self> {
        ensure!(
            node_dir.join("node_modules/@prisma/schema-engine-wasm").is_dir(),
            "Prisma's schema engine is missing: run `npm ci` in {}",
            node_dir.display()
        );
        let mut engine = Command::new("node")
            .arg("engine-session.mjs")
            .current_dir(node_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start node for Prisma's schema engine")?;
        let requests = engine.stdin.take().context("the engine has no standard input")?;
        let answers = engine.stdout.take().context("the engine has no standard output")?;
        Ok(Self { _engine: engine, requests, answers: BufReader::new(answers).lines() })
    }

    /// `migrate deploy`: the names of the migrations it applied now.
    pub async fn deploy(&mut self, url: &str, migrations: &Path) -> Result<Result<Vec<String>, EngineError>> {
        let applied = self.ask::<Applied>("deploy", url, migrations).await?;
        Ok(applied.map(|applied| applied.applied_migration_names))
    }

    /// `migrate status`, before it is put into words.
    pub async fn diagnose(&mut self, url: &str, migrations: &Path) -> Result<Result<Diagnosis, EngineError>> {
        self.ask("diagnose", url, migrations).await
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        command: &str,
        url: &str,
        migrations: &Path,
    ) -> Result<Result<T, EngineError>> {
        let migrations = std::path::absolute(migrations)?;
        let request = serde_json::json!({ "command": command, "url": url, "migrations": migrations });
        let line = tokio::time::timeout(TIMEOUT, self.exchange(format!("{request}\n")))
            .await
            .with_context(|| format!("prisma {command}: no answer after {TIMEOUT:?}"))?
            .with_context(|| format!("prisma {command}"))?;
        match serde_json::from_str(&line).with_context(|| format!("understand the engine's answer {line}"))? {
            Answer::Done { ok } => Ok(Ok(ok)),
            Answer::Refused { error, code } => Ok(Err(EngineError { code, message: error })),
        }
    }

    async fn exchange(&mut self, request: String) -> Result<String> {
        self.requests.write_all(request.as_bytes()).await.context("ask the engine")?;
        match self.answers.next_line().await.context("hear the engine")? {
            Some(line) => Ok(line),
            None => bail!("the engine ended; its standard error says why"),
        }
    }
}
