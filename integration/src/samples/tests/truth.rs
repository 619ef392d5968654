//! Whether what the stories expect is what PostgreSQL does.

use std::collections::BTreeSet;

use futures_util::SinkExt;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Error, NoTls};

use super::*;
use crate::containers::PostgresContainer;

/// Every step of every story on a database of its own: the base's migrations, its seed, then the pull request's.
#[tokio::test]
async fn the_stories_are_true_of_postgres() {
    let server = PostgresContainer::start(18).await.unwrap();
    let url = server.url();
    for sample in all().unwrap() {
        for (index, moment) in sample.moments().unwrap().iter().enumerate() {
            let Some(expect) = &moment.step.expect else { continue };
            if !matches!(expect.state, State::Ready | State::Failed) {
                continue;
            }
            let place = format!("{} {} step {:?}", sample.name, moment.pull.slug, moment.step.action);
            let database = format!("story_{}_{index}", sample.name.replace('-', "_"));
            let client = scratch(&url, &database).await;
            let chain = Chain::of(&sample, moment);
            chain.check(&client, expect, &place).await;
            assert_eq!(chain.findings(moment), expect.findings.iter().copied().collect(), "{place}");
            check_contents(&client, expect, &place).await;
        }
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(super) async fn scratch(url: &str, database: &str) -> Client {
    let admin = connect(url).await;
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await.unwrap();
    admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    connect(&format!("{server}/{database}")).await
}

pub(super) struct Chain<'m> {
    /// The base's migrations as the head has them, then the pull request's own.
    base: Vec<(&'m str, &'m str)>,
    own: Vec<(&'m str, &'m str)>,
    pub(super) seed: Vec<(&'m str, &'m [u8])>,
    /// Seed files to run after the pull request's own migrations.
    reseed: Vec<(&'m str, &'m [u8])>,
    before: Vec<(&'m str, &'m str)>,
    tip: Vec<(&'m str, &'m str)>,
}

fn migrations<'f>(files: &'f Files, directory: &'f str) -> Vec<(&'f str, &'f str)> {
    let script = |(path, bytes): (&'f str, &'f [u8])| {
        Some((path.strip_suffix("/migration.sql")?, std::str::from_utf8(bytes).unwrap()))
    };
    files.below(directory).filter_map(script).collect()
}

/// Whether every file runs again on every push, and the patterns of the seed.
fn seed_of(files: &Files) -> (bool, Vec<(&str, &[u8])>) {
    let text = std::str::from_utf8(files.get(".offshoot.toml").unwrap()).unwrap();
    let config: toml::Table = toml::from_str(text).unwrap();
    let database = &config["database"][0];
    let on_push = database.get("seed_on").is_some_and(|policy| policy.as_str() == Some("push"));
    let mut seed = Vec::new();
    for pattern in database["seed"].as_array().unwrap() {
        let (directory, suffix) = pattern.as_str().unwrap().split_once("/*").unwrap();
        seed.extend(files.below(directory).filter(|(path, _)| path.ends_with(suffix) && !path.contains('/')));
    }
    seed.sort_unstable();
    (on_push, seed)
}

impl<'m> Chain<'m> {
    pub(super) fn of(sample: &'m Sample, moment: &'m Moment<'m>) -> Self {
        let before = migrations(&moment.merge_base, &sample.migrations);
        let is_base = |(name, _): &(&str, &str)| before.iter().any(|(other, _)| other == name);
        let (base, own) = migrations(&moment.head, &sample.migrations).into_iter().partition(is_base);
        let (_, seed) = seed_of(&moment.merge_base);
        let (on_push, mut reseed) = seed_of(&moment.head);
        reseed.retain(|file| on_push || !seed.contains(file));
        Self { base, own, seed, reseed, tip: migrations(&moment.tip, &sample.migrations), before }
    }

    fn findings(&self, moment: &Moment<'_>) -> BTreeSet<FindingKind> {
        let mut kinds = BTreeSet::new();
        for (name, script) in &self.before {
            let now = self.base.iter().find(|(other, _)| other == name);
            kinds.extend(match now {
                Some((_, other)) => (other != script).then_some(FindingKind::EditedApplied),
                None if self.own.iter().any(|(_, other)| other == script) => {
                    Some(FindingKind::RenamedApplied)
                }
                None => Some(FindingKind::RemovedApplied),
            });
        }
        let last = self.before.iter().chain(&self.tip).map(|(name, _)| name).max().unwrap();
        kinds.extend(self.own.iter().any(|(name, _)| name < last).then_some(FindingKind::OutOfOrder));
        kinds.extend((moment.tip != moment.merge_base).then_some(FindingKind::BehindBase));
        kinds
    }

    async fn check(&self, client: &Client, expect: &Expectation, place: &str) {
        let mut applied = Vec::new();
        let mut failed = None;
        for (index, (name, script)) in self.base.iter().chain(&self.own).enumerate() {
            if index == self.base.len() {
                run_seed(client, &self.seed).await;
            }
            if let Err(error) = client.batch_execute(script).await {
                failed = Some((*name, *script, error));
                break;
            }
            applied.push((*name).to_owned());
        }
        assert_eq!(Some(&applied), expect.applied.as_ref(), "{place}: {failed:?}");
        match (failed, &expect.failure) {
            (None, None) => {
                if self.own.is_empty() {
                    run_seed(client, &self.seed).await;
                }
                run_seed(client, &self.reseed).await;
            }
            (Some((name, script, error)), Some(failure)) => {
                assert_eq!(name, failure.migration, "{place}");
                assert_eq!(error.code().map(|code| code.code()), Some(failure.sqlstate.as_str()), "{place}");
                check_line(client, script, &error, failure, place).await;
            }
            (failed, expected) => panic!("{place}: {failed:?} instead of {expected:?}"),
        }
    }
}

/// The line is where the server points; where it points nowhere, what stands before it runs and the statement
/// that begins there fails.
async fn check_line(client: &Client, script: &str, error: &Error, failure: &ExpectedFailure, place: &str) {
    if let Some(ErrorPosition::Original(position)) = error.as_db_error().and_then(|error| error.position()) {
        let before = script.chars().take(*position as usize - 1);
        assert_eq!(before.filter(|c| *c == '\n').count() as u32 + 1, failure.line, "{place}");
        return;
    }
    let lines: Vec<&str> = script.split_inclusive('\n').collect();
    let (before, from) = lines.split_at(failure.line as usize - 1);
    assert!(!from[0].trim().is_empty() && !from[0].starts_with("--"), "{place}: {}", from[0]);
    let end = from.iter().position(|line| line.trim_end().ends_with(';')).unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute(&before.concat()).await.unwrap();
    let again = client.batch_execute(&from[..=end].concat()).await.unwrap_err();
    assert_eq!(again.code(), error.code(), "{place}");
    client.batch_execute("ROLLBACK").await.unwrap();
}

pub(super) async fn run_seed(client: &Client, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let text = std::str::from_utf8(bytes).unwrap();
        let Some(stem) = path.strip_suffix(".csv") else {
            client.batch_execute(text).await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
            continue;
        };
        let table = stem.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
        let columns = text.lines().next().unwrap().replace(',', "\", \"");
        let copy = format!(r#"COPY "{table}" ("{columns}") FROM STDIN (FORMAT csv, HEADER true)"#);
        let sink = client.copy_in(&copy).await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::copy_from_slice(bytes)).await.unwrap();
        sink.finish().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
    }
}

async fn check_contents(client: &Client, expect: &Expectation, place: &str) {
    let there = async |relation: &Relation| {
        let sql = "SELECT count(*) FROM information_schema.columns \
                   WHERE table_schema = 'public' AND table_name = $1 AND ($2::text IS NULL OR column_name = $2)";
        let row = client.query_one(sql, &[&relation.table, &relation.column]).await.unwrap();
        row.get::<_, i64>("count") > 0
    };
    for relation in &expect.exists {
        assert!(there(relation).await, "{place}: {relation:?} is missing");
    }
    for relation in &expect.absent {
        assert!(!there(relation).await, "{place}: {relation:?} is there");
    }
    for (table, rows) in &expect.rows {
        let row = client.query_one(&format!(r#"SELECT count(*) FROM "{table}""#), &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>("count"), *rows, "{place}: rows of {table}");
    }
}
