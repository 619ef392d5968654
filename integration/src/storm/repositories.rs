//! The repositories of a storm: small, and each a little different.

use anyhow::Result;

use crate::git::Change;
use crate::github::SimulatedGitHub;

const MIGRATIONS: &str = "prisma/migrations";
const OWNERS: [&str; 2] = ["acme", "globex"];

/// Creates them, and installs the App on their owners; their `OWNER/NAME`.
pub(super) fn create(github: &SimulatedGitHub, count: usize) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for index in 0..count {
        let (owner, name) = (OWNERS[index % OWNERS.len()], format!("shop-{index}"));
        github.create_repository(owner, &name, "main", &base(index))?;
        names.push(format!("{owner}/{name}"));
    }
    for owner in OWNERS.iter().take(count) {
        github.install(owner);
    }
    Ok(names)
}

/// A few migrations and, in every other repository, a seed.
fn base(index: usize) -> Vec<Change> {
    let mut files = vec![
        Change::write(format!("{MIGRATIONS}/migration_lock.toml"), "provider = \"postgresql\"\n"),
        script("20260101000000_items", "create table items (id serial primary key, name text not null);\n"),
    ];
    for step in 1..=index {
        let sql = format!("create index items_{step} on items (name, id);\n");
        files.push(script(&format!("2026010200000{step}_index"), &sql));
    }
    if index.is_multiple_of(2) {
        files.push(Change::write(".offshoot.toml", "[[database]]\nseed = [\"seed/*.sql\"]\n"));
        files.push(Change::write("seed/1.sql", "insert into items (name) values ('first');\n"));
    }
    files
}

/// A migration's file.
pub(super) fn script(name: &str, sql: &str) -> Change {
    Change::write(format!("{MIGRATIONS}/{name}/migration.sql"), sql)
}
