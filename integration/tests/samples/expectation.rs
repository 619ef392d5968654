//! What a story says, held against the API, the database and GitHub.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use integration::git::Sha;
use integration::offshoot::{Answer, BranchRef, connect};
use integration::prisma::bookkeeping_rows;
use integration::samples::{Expectation, ExpectedFailure, Moment, Relation, Sample, State};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::world::World;

/// A settled branch and what is expected of it.
pub struct Seen<'a> {
    pub world: &'a World,
    pub sample: &'a Sample,
    pub branch: &'a BranchRef,
    pub sha: Sha,
    pub moment: &'a Moment<'a>,
    pub expect: &'a Expectation,
}

impl Seen<'_> {
    pub async fn check(&self) -> Result<()> {
        let document = self.world.listed(self.branch).await?;
        let state = serde_json::from_value::<State>(document["state"].clone());
        ensure!(
            state.as_ref().ok() == Some(&self.expect.state),
            "the branch is {}: {document}",
            document["state"]
        );
        self.check_findings(&document)?;
        self.check_comment(&document)?;
        let answer = self.world.offshoot.branch(self.branch).await?;
        match self.expect.state {
            State::Ready => self.check_ready(&answer).await,
            State::Failed => self.check_failed(&answer, &document).await,
            State::Blocked => self.check_verdict("action_required", None),
            State::Deleted => self.check_gone(&document).await,
        }
    }

    fn check_findings(&self, document: &Value) -> Result<()> {
        let reported = document["findings"].as_array().context("findings")?;
        let reported: BTreeSet<&str> =
            reported.iter().filter_map(|finding| finding["kind"].as_str()).collect();
        let expected =
            self.expect.findings.iter().map(|kind| serde_json::to_value(kind).map(|kind| kind.to_string()));
        let expected: BTreeSet<String> = expected.collect::<Result<_, _>>()?;
        let reported: BTreeSet<String> =
            reported.into_iter().filter(|kind| *kind != "rebuilt").map(|kind| format!("{kind:?}")).collect();
        // What a deleted branch was told last is no matter of the story.
        ensure!(
            self.expect.state == State::Deleted || reported == expected,
            "{reported:?} instead of {expected:?}"
        );
        Ok(())
    }

    fn check_comment(&self, document: &Value) -> Result<()> {
        let comment = self.world.the_comment(self.branch)?;
        let sign = match self.expect.state {
            State::Ready => "✅",
            State::Failed => "❌",
            State::Blocked => "✋",
            State::Deleted => "🗑️",
        };
        ensure!(comment.contains(sign), "no {sign} in the comment on {document}: {comment}");
        Ok(())
    }

    async fn check_ready(&self, answer: &Answer) -> Result<()> {
        ensure!(self.sha == answer.text("head_sha"), "it is ready for {}", answer.text("head_sha"));
        let client = connect(answer.database_url()?).await?;
        self.check_identity(&client, answer).await?;
        let names: Vec<String> = answer.applied()?.into_iter().map(|applied| applied.name).collect();
        ensure!(Some(&names) == self.expect.applied.as_ref(), "applied are {names:?}");
        self.check_bookkeeping(&client, &names).await?;
        self.check_contents(&client).await?;
        self.check_verdict("success", None)
    }

    /// The comment on the database says whose it is.
    async fn check_identity(&self, client: &Client, answer: &Answer) -> Result<()> {
        let sql = "select shobj_description(oid, 'pg_database') as identity from pg_database where datname = current_database()";
        let comment: String = client.query_one(sql, &[]).await?.try_get("identity")?;
        let identity: Value = serde_json::from_str(&comment).context(comment)?;
        let expected = json!({
            "offshoot": 1,
            "repository": self.branch.repository,
            "pull_request": self.branch.number,
            "database": "main",
            "generation": answer.body["generation"],
            "sha": self.sha,
        });
        ensure!(identity == expected, "the database says {identity} instead of {expected}");
        Ok(())
    }

    /// Prisma's table holds exactly these migrations, whole and with the checksums of the head's files.
    async fn check_bookkeeping(&self, client: &Client, names: &[String]) -> Result<()> {
        let rows = bookkeeping_rows(client).await?;
        ensure!(rows.iter().map(|row| &row.migration_name).eq(names), "the database's table says {rows:?}");
        for row in &rows {
            ensure!(row.finished && !row.rolled_back && !row.has_logs, "{row:?}");
            let path = format!("{}/{}/migration.sql", self.sample.migrations, row.migration_name);
            let script = self.moment.head.get(&path).with_context(|| format!("the head has no {path}"))?;
            ensure!(row.checksum == hex::encode(Sha256::digest(script)), "{row:?} is not of the head's file");
        }
        Ok(())
    }

    async fn check_contents(&self, client: &Client) -> Result<()> {
        for relation in &self.expect.exists {
            ensure!(exists(client, relation).await?, "{relation:?} is missing");
        }
        for relation in &self.expect.absent {
            ensure!(!exists(client, relation).await?, "{relation:?} is there");
        }
        for (table, expected) in &self.expect.rows {
            let row = client.query_one(&format!(r#"select count(*) as rows from "{table}""#), &[]).await?;
            let rows: i64 = row.try_get("rows")?;
            ensure!(rows == *expected, "{table} has {rows} rows instead of {expected}");
        }
        Ok(())
    }

    async fn check_failed(&self, answer: &Answer, document: &Value) -> Result<()> {
        ensure!(
            answer.status == 409 && answer.headers["content-type"] == "application/problem+json",
            "{answer:?}"
        );
        let failure = self.expect.failure.as_ref().context("a failed branch has a failure")?;
        let told = (answer.text("migration"), answer.body["line"].as_u64(), answer.text("sqlstate"));
        let expected = (failure.migration.as_str(), Some(u64::from(failure.line)), failure.sqlstate.as_str());
        ensure!(told == expected, "{told:?} instead of {expected:?}");
        ensure!(self.sha == answer.text("sha"), "it failed at {}", answer.text("sha"));
        let listed = Answer { body: document.clone(), ..answer.clone() };
        let names: Vec<String> = listed.applied()?.into_iter().map(|applied| applied.name).collect();
        ensure!(Some(&names) == self.expect.applied.as_ref(), "applied before the failure are {names:?}");
        let url = self.world.offshoot.administrator_url()?;
        let (server, _) = url.rsplit_once('/').context("the administrator's URL names a database")?;
        let client = connect(&format!("{server}/{}", listed.text("database_name"))).await?;
        for relation in &self.expect.absent {
            ensure!(!exists(&client, relation).await?, "{relation:?} is there");
        }
        self.check_verdict("failure", Some(failure))
    }

    /// The latest check run at the head ended so, and points at the failing line.
    fn check_verdict(&self, conclusion: &str, failure: Option<&ExpectedFailure>) -> Result<()> {
        let runs = self.world.github.check_runs(&self.branch.repository, self.sha)?;
        let run = runs.last().with_context(|| format!("no check run at {}", self.sha))?;
        ensure!(run.status == "completed" && run.conclusion.as_deref() == Some(conclusion), "{run:?}");
        let Some(failure) = failure else {
            ensure!(run.annotations.is_empty(), "{:?}", run.annotations);
            return Ok(());
        };
        let path = format!("{}/{}/migration.sql", self.sample.migrations, failure.migration);
        let points = run.annotations.iter().any(|note| {
            note["path"] == path
                && note["start_line"] == failure.line
                && note["annotation_level"] == "failure"
        });
        ensure!(points, "no annotation on {path} line {}: {:?}", failure.line, run.annotations);
        Ok(())
    }

    /// Nothing is left of it: no database, no role.
    async fn check_gone(&self, document: &Value) -> Result<()> {
        let name = document["database_name"].as_str().context("database_name")?;
        let standing = self.world.offshoot.standing().await?;
        ensure!(!standing.databases.contains(name), "{name} is still there");
        ensure!(
            !standing.roles.iter().any(|role| role.starts_with(name)),
            "its roles are there: {:?}",
            standing.roles
        );
        standing.ensure_no_leftovers()
    }
}

async fn exists(client: &Client, relation: &Relation) -> Result<bool> {
    let sql = "select exists (select from information_schema.columns where table_schema = 'public' \
               and table_name = $1 and ($2::text is null or column_name = $2)) as found";
    Ok(client.query_one(sql, &[&relation.table, &relation.column]).await?.try_get("found")?)
}
