//! What a migration may do while an earlier version works on the same database: add. What takes away is a *contract* of something that a
//! released version before has already stopped using, and says so: `-- contract of V3: nobody reads branches.note since 0.4`.

use super::embedded;

/// Tables that grow with use: to build an index keeps writers out for as long as it takes to read them.
const LARGE: [&str; 5] = ["deliveries", "jobs", "git_blobs", "git_trees", "audit"];
/// What was done before anything was released; a migration that was applied somewhere is never edited.
const BEFORE_RELEASES: [(i32, &str); 2] = [(2, "drop constraint"), (2, "add constraint")];
/// Words of a statement, and why an earlier version does not survive it.
const FORBIDDEN: [(&str, &str); 16] = [
    ("drop table", "an earlier version reads it"),
    ("drop column", "an earlier version reads it"),
    ("drop function", "an earlier version's triggers call it"),
    ("drop default", "an earlier version leaves the column out"),
    ("rename to", "an earlier version knows the old name"),
    ("rename column", "an earlier version knows the old name"),
    ("set not null", "an earlier version leaves the column out"),
    ("set data type", "the table is written anew, and an earlier version reads the old type"),
    (
        "drop constraint",
        "what takes its place may refuse, or let in, what an earlier version does not expect",
    ),
    ("add constraint", "it refuses what an earlier version writes, and the table is read under a lock"),
    ("create unique index", "it refuses what an earlier version writes"),
    ("generated always as", "the table is written anew under a lock"),
    ("truncate", "data is lost"),
    ("lock table", "everybody waits"),
    ("vacuum full", "everybody waits"),
    ("cluster", "everybody waits"),
];

/// What is wrong with a migration.
fn objections(version: i32, sql: &str) -> Vec<String> {
    if is_contract(version, sql) {
        return Vec::new();
    }
    let code: String =
        sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let statements: Vec<String> = code
        .split(';')
        .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
        .collect();
    let new: Vec<&str> = statements.iter().filter_map(|it| word_after(it, "create table")).collect();
    let mut found = Vec::new();
    for statement in &statements {
        let table = ["alter table", " on"].iter().find_map(|before| word_after(statement, before));
        if table.is_some_and(|table| new.contains(&table)) || statement.starts_with("create table") {
            continue;
        }
        let mut object = |what: &str, why: &str| {
            if !BEFORE_RELEASES.contains(&(version, what)) {
                found.push(format!("V{version}: {what}: {why}: {statement}"));
            }
        };
        for (words, why) in FORBIDDEN {
            if statement.contains(words) {
                object(words, why);
            }
        }
        // Each clause for itself: the default of one column is not another's.
        for clause in statement.split(", add column").filter(|it| it.contains(" not null")) {
            if statement.contains("add column") && !clause.contains(" default ") {
                object("not null", "an earlier version leaves the column out");
            }
        }
        if statement.contains("alter column") && statement.contains(" type ") {
            object("type", "the table is written anew, and an earlier version reads the old type");
        }
        if ["update ", "delete "].iter().any(|verb| statement.starts_with(verb)) {
            object("rows", "all rows change under a lock; let a job do it, a few at a time");
        }
        if statement.starts_with("create index") && table.is_some_and(|table| LARGE.contains(&table)) {
            object(
                "create index",
                "writers of a large table wait; let `create index concurrently` be run outside of migrations",
            );
        }
    }
    found
}

/// It names the earlier migration that made what it takes away superfluous.
fn is_contract(version: i32, sql: &str) -> bool {
    let named = sql.lines().filter_map(|line| line.strip_prefix("-- contract of V")?.split(':').next());
    named.filter_map(|number| number.parse::<i32>().ok()).any(|expanded| expanded < version)
}

/// The word that follows others in a statement.
fn word_after<'a>(statement: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = statement.split_once(&format!("{words} "))?;
    rest.split([' ', '(']).next()
}

#[test]
fn migrations_take_nothing_from_an_earlier_version() {
    let runner = embedded::migrations::runner();
    let found: Vec<String> = runner
        .get_migrations()
        .iter()
        .flat_map(|migration| objections(migration.version(), migration.sql().unwrap_or_default()))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_an_earlier_version_does_not_survive_is_found() {
    for (sql, expected) in [
        ("alter table branches drop column note;", "drop column"),
        ("alter table branches rename column note to remark;", "rename column"),
        (
            "alter table branches add column kind text default 'a',\n    add column size bigint not null;",
            "not null",
        ),
        ("alter table branches alter column generation type smallint;", "type"),
        ("alter table branches alter column note set not null;", "set not null"),
        ("alter table jobs add constraint short check (length(kind) < 9);", "add constraint"),
        ("create index deliveries_by_event on deliveries (event);", "create index"),
        ("update branches set note = '';", "rows"),
        ("-- contract of V9: too early\ndrop table forks;", "drop table"),
    ] {
        let found = objections(9, sql);
        assert!(
            matches!(found.as_slice(), [one] if one.contains(&format!(": {expected}:"))),
            "{sql}: {found:?}"
        );
    }
    for sql in [
        "create table notes (id bigint primary key, text text not null);\ncreate unique index one on notes (text);",
        "alter table branches add column kind text not null default 'plain';",
        "create index branches_by_note on branches (note) where note is not null;",
        "-- contract of V8: nobody reads it since 0.4\nalter table branches drop column note;",
    ] {
        assert_eq!(objections(9, sql), [] as [String; 0], "{sql}");
    }
}
