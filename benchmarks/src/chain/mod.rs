//! A chain of migrations at the size and shape of a real one, the same each time: 434 files of 250 kB in all, a median of
//! 200 bytes, a tenth above 1.3 kB, one of 16 kB, 99 indexes built concurrently one to a file, 72 tables at the end.

mod schema;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;

use anyhow::{Context, Result};
use chrono::{Days, NaiveDate};
use integration::git::Change;

use schema::{Schema, Statement};

/// Where a repository keeps the chain.
pub const DIRECTORY: &str = "prisma/migrations";
const LOCK_FILE: (&str, &str) = ("migration_lock.toml", "provider = \"postgresql\"\n");

const CONCURRENT: usize = 99;
/// Each makes one of the tables that the first file does not.
const LARGE: usize = 42;
const SMALL: usize = 292;
const FIRST_FILE: usize = 16_000;
const FIRST_TABLES: usize = 30;

/// A migration as a file: the directory's name and the text of its `migration.sql`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub name: String,
    pub sql: String,
}

#[derive(Debug, Clone, Default)]
pub struct Chain {
    pub migrations: Vec<Migration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    Large,
    Concurrent,
    Small,
}

impl Chain {
    /// The chain. Each variant differs from the others in its first file, so that nothing built for one serves another.
    pub fn generate(variant: u32) -> Self {
        let mut schema = Schema::default();
        let first = first_file(&mut schema, variant);
        let mut statements = vec![("init".to_owned(), first)];
        for (size, at) in order() {
            let (statement, sql) = match size {
                Size::Concurrent => alone(schema.create_index(true)),
                Size::Large => filled(&mut schema, Schema::create_table, 1_350 + at * 2_440 / (LARGE - 1)),
                Size::Small => filled(&mut schema, small_statement(at), small_target(at)),
            };
            statements.push((statement, sql));
        }
        debug_assert!(schema.has_all_tables());
        let named = statements.into_iter().enumerate();
        Self {
            migrations: named.map(|(day, (title, sql))| Migration { name: name(day, &title), sql }).collect(),
        }
    }

    /// One more migration, as a pull request brings: a column and an index on it. Any number of them apply in any order.
    pub fn one_more(run: usize) -> Migration {
        let sql = format!(
            "-- AlterTable\nALTER TABLE \"Order\" ADD COLUMN \"channel{run}\" TEXT NOT NULL DEFAULT 'web';\n\n\
             -- CreateIndex\nCREATE INDEX \"Order_channel{run}_idx\" ON \"Order\"(\"channel{run}\");\n"
        );
        Migration { name: format!("20260101{run:06}_order_channel"), sql }
    }

    /// The chain as a repository's files.
    pub fn changes(&self) -> Vec<Change> {
        let (lock, text) = LOCK_FILE;
        let lock = Change::write(format!("{DIRECTORY}/{lock}"), text);
        std::iter::once(lock).chain(self.migrations.iter().map(Migration::change)).collect()
    }

    /// The chain as a directory on disk, as Prisma's CLI reads it.
    pub fn write_to(&self, directory: &Path) -> Result<()> {
        let (lock, text) = LOCK_FILE;
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join(lock), text)?;
        for migration in &self.migrations {
            let place = directory.join(&migration.name);
            std::fs::create_dir_all(&place)?;
            let write = std::fs::write(place.join("migration.sql"), &migration.sql);
            write.with_context(|| format!("write {}", place.display()))?;
        }
        Ok(())
    }
}

impl Migration {
    /// The migration as a change of a repository.
    pub fn change(&self) -> Change {
        Change::write(format!("{DIRECTORY}/{}/migration.sql", self.name), &self.sql)
    }
}

/// The files after the first, each size spread evenly over the chain and counted by itself.
fn order() -> Vec<(Size, usize)> {
    let sizes = [(Size::Large, LARGE), (Size::Concurrent, CONCURRENT), (Size::Small, SMALL)];
    let spread = sizes.into_iter().flat_map(|(size, count)| (0..count).map(move |at| (size, at, count)));
    let mut files: Vec<_> = spread.collect();
    // (at + ½) / count, compared without fractions.
    files.sort_by_key(|&(size, at, count)| ((2 * at + 1) * 1_000_000 / (2 * count), size));
    files.into_iter().map(|(size, at, _)| (size, at)).collect()
}

/// Two fifths from 90 to 200 bytes, the others from there, more and more sparsely, up to 1,250.
fn small_target(at: usize) -> usize {
    // A stride without a common factor mixes the sizes over the chain.
    let rank = (at * 97) % SMALL;
    let short = SMALL * 2 / 5;
    match rank.checked_sub(short) {
        None => 90 + rank * 110 / short,
        Some(above) => 200 + 1_050 * above * above / ((SMALL - short) * (SMALL - short)),
    }
}

fn small_statement(at: usize) -> fn(&mut Schema) -> Statement {
    const KINDS: [fn(&mut Schema) -> Statement; 9] = [
        Schema::add_column,
        |schema| schema.create_index(false),
        Schema::add_enum_column,
        Schema::add_column,
        Schema::add_enum_value,
        Schema::set_default,
        Schema::backfill,
        Schema::create_enum,
        Schema::create_function,
    ];
    KINDS[at % KINDS.len()]
}

fn first_file(schema: &mut Schema, variant: u32) -> String {
    let mut sql = format!("-- Chain {variant}\n");
    for _ in 0..6 {
        append(&mut sql, &schema.create_enum());
    }
    for _ in 0..FIRST_TABLES {
        append(&mut sql, &schema.create_table());
    }
    fill(schema, &mut sql, FIRST_FILE);
    sql
}

fn alone(statement: Statement) -> (String, String) {
    (statement.title, statement.sql)
}

fn filled(schema: &mut Schema, begin: impl Fn(&mut Schema) -> Statement, target: usize) -> (String, String) {
    let Statement { title, mut sql } = begin(schema);
    fill(schema, &mut sql, target);
    (title, sql)
}

/// Adds statements, and a remark for the rest, until the text has its size.
fn fill(schema: &mut Schema, sql: &mut String, target: usize) {
    const ONE_STATEMENT: usize = 100;
    const REMARK: &str = "Written by hand, because a rename is not told from a drop and an add. ";
    let mut turn = 0;
    while sql.len() + ONE_STATEMENT < target {
        let statement = if turn % 4 == 3 { schema.create_index(false) } else { schema.add_column() };
        append(sql, &statement);
        turn += 1;
    }
    if let Some(rest) = target.checked_sub(sql.len() + "\n-- \n".len()) {
        let remark: String = REMARK.chars().cycle().take(rest).collect();
        sql.push_str(&format!("\n-- {remark}\n"));
    }
}

fn append(sql: &mut String, statement: &Statement) {
    if !sql.is_empty() {
        sql.push('\n');
    }
    sql.push_str(&statement.sql);
}

/// A name as Prisma makes it, two days after the one before.
fn name(index: usize, title: &str) -> String {
    let first = NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date");
    let day = first + Days::new(2 * index as u64);
    format!("{}093000_{title}", day.format("%Y%m%d"))
}
