//! Whether what the story says came true, by the word of the API and of the database itself.

use integration::samples::{Expectation, FindingKind, Relation, State};
use serde_json::Value;
use tokio_postgres::Client;

use super::api::Settled;
use crate::engine::Ident;
use crate::postgres;
use crate::secret::Secret;

/// What was expected and is not so, one sentence each.
pub(super) async fn settled(expected: &Expectation, found: &Settled) -> anyhow::Result<Vec<String>> {
    let mut differences = Differences::default();
    let branch = &found.branch;
    let state = match expected.state {
        State::Ready => "ready",
        State::Failed => "failed",
        State::Blocked => "blocked",
        State::Deleted => "deleted",
    };
    differences.compare("its state", &state, &branch["state"].as_str().unwrap_or_default());
    let kinds = expected.findings.iter().map(|kind| name(*kind).to_owned()).collect();
    differences.compare("its findings", &sorted(kinds), &sorted(findings(branch)));
    if let Some(applied) = &expected.applied {
        differences.compare(
            "the migrations listed",
            applied,
            &names(&branch["migrations"]["applied"], "name"),
        );
    }
    if let Some(failure) = &expected.failure {
        let failed = &branch["migrations"]["failed"];
        let text = |name: &str| failed[name].as_str().unwrap_or_default().to_owned();
        differences.compare("the failing migration", &failure.migration, &text("migration"));
        differences.compare(
            "the failing line",
            &u64::from(failure.line),
            &failed["line"].as_u64().unwrap_or_default(),
        );
        differences.compare("the SQLSTATE", &failure.sqlstate, &text("sqlstate"));
    }
    if let Some(url) = &found.url {
        differences.in_database(expected, &postgres::connect(url).await?).await?;
    }
    Ok(differences.0)
}

/// Whether nothing answers any more under a URL that was handed out.
pub(super) async fn closed(url: &Secret) -> Vec<String> {
    match postgres::connect(url).await {
        Ok(_) => vec!["its URL still opens a database".to_owned()],
        Err(_) => Vec::new(),
    }
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.0.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }

    async fn in_database(&mut self, expected: &Expectation, client: &Client) -> anyhow::Result<()> {
        if let Some(applied) = &expected.applied {
            let sql = "select migration_name from public._prisma_migrations
                       where finished_at is not null and rolled_back_at is null order by started_at";
            let found: Vec<String> =
                client.query(sql, &[]).await?.iter().map(|row| row.get("migration_name")).collect();
            self.compare("the migrations in the database", applied, &found);
        }
        let wanted = expected
            .exists
            .iter()
            .map(|one| (one, true))
            .chain(expected.absent.iter().map(|one| (one, false)));
        for (relation, expected) in wanted {
            let what = format!("whether {} exists", shown(relation));
            self.compare(&what, &expected, &exists(client, relation).await?);
        }
        for (table, rows) in &expected.rows {
            let sql = format!("select count(*) as rows from public.{}", Ident::new(table)?);
            self.compare(
                &format!("the rows of {table}"),
                rows,
                &client.query_one(&sql, &[]).await?.get("rows"),
            );
        }
        Ok(())
    }
}

async fn exists(client: &Client, relation: &Relation) -> anyhow::Result<bool> {
    let sql = "select exists (select from information_schema.columns where table_schema = 'public' and table_name = $1
               and ($2::text is null or column_name = $2)) as found";
    Ok(client.query_one(sql, &[&relation.table, &relation.column]).await?.get("found"))
}

fn shown(relation: &Relation) -> String {
    match &relation.column {
        Some(column) => format!("{}.{column}", relation.table),
        None => relation.table.clone(),
    }
}

/// The kinds found. `rebuilt` speaks of what the branch held before, which the story does not.
fn findings(branch: &Value) -> Vec<String> {
    names(&branch["findings"], "kind").into_iter().filter(|kind| kind != "rebuilt").collect()
}

fn names(list: &Value, member: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|one| one[member].as_str()).map(str::to_owned).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn name(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::EditedApplied => "edited_applied",
        FindingKind::RemovedApplied => "removed_applied",
        FindingKind::RenamedApplied => "renamed_applied",
        FindingKind::OutOfOrder => "out_of_order",
        FindingKind::BehindBase => "behind_base",
    }
}
