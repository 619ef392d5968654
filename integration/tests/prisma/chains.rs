//! Chains as people might write them, with mistakes: drawn as lists of steps, which become SQL in the order in which they will run.

use std::collections::BTreeMap;

use offshoot::domain::prisma;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::case::{Case, Edit, File};

/// One statement. Numbers choose among what is there when it runs.
#[derive(Clone, Debug)]
enum Step {
    Table,
    Column(u8),
    Enum,
    EnumColumn(u8),
    Index(u8),
    Unique(u8),
    ForeignKey(u8, u8),
    View(u8),
    Function,
    Rows(u8),
    Comment,
    DropTable(u8),
    /// Text that is there for its own sake, and whole statements that fail or surprise.
    Raw(&'static [u8]),
}

impl Step {
    fn needs_a_table(&self) -> bool {
        !matches!(self, Self::Table | Self::Enum | Self::Function | Self::Comment | Self::Raw(_))
    }
}

/// What the migrations before a statement have made.
#[derive(Default)]
struct Made {
    tables: Vec<String>,
    enums: usize,
    /// Counts everything that needs a new name.
    names: usize,
}

const NAMES: [&str; 24] = [
    "20250101000000_init",
    "20250102000000_add_users",
    "20250102_short",
    "20250103120000_",
    "1_init",
    "10_x",
    "2_y",
    "2 b",
    "2-z",
    "2.a",
    "_x",
    ".hidden",
    "A_x",
    "a_y",
    "B",
    "b2",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "größe",
    "名前",
    "🦀",
    "0000_squashed",
    "zz",
];

/// What one might not expect of a migration, and that runs.
const HARMLESS: [&[u8]; 9] = [
    b"",
    b"-- only a comment; really\n",
    b"SELECT 'caf\xe9';\n",
    b"SET LOCAL search_path = 'public', 'pg_catalog';\n",
    b"SELECT pg_advisory_unlock_all();\n",
    b"CREATE TABLE IF NOT EXISTS _prisma_migrations (id int);\n",
    b"DO $body$ BEGIN RAISE NOTICE 'a; $$ b'; END $body$;\n",
    b"BEGIN; CREATE TABLE IF NOT EXISTS in_block (id int); COMMIT;\n",
    b"SELECT generate_series(1, 300);\n",
];

/// What fails, or undoes more than itself; alone in its file or amid others.
const ODD: [&[u8]; 19] = [
    b"\xef\xbb\xbfSELECT 1;\n",
    b"SELECT 1;\0\n",
    b"BEGIN; CREATE TABLE in_block (id int); SELECT * FROM nope; COMMIT;\n",
    b"BEGIN;\nCREATE TABLE left_open (id int);\n",
    b"BEGIN;\nCREATE TABLE left_open (id int);\n",
    b"ROLLBACK;\n",
    b"COMMIT; SELECT 1/0;\n",
    b"SELECT pg_catalog.set_config('search_path', '', false);\n",
    b"SET ROLE pg_monitor;\n",
    b"CREATE TYPE late AS ENUM ('a');\nALTER TYPE late ADD VALUE 'b';\nSELECT 'b'::late;\n",
    b"CREATE TABLE _prisma_migrations (id int);\n",
    b"DROP TABLE _prisma_migrations;\n",
    b"SELECT pg_terminate_backend(pg_backend_pid());\n",
    b"SELECT * FROM nope;\n",
    b"CREATE TABLEE typo (id int);\n",
    b"DO $$ BEGIN RAISE EXCEPTION 'stop; here'; END $$;\n",
    b"CREATE TABLE has_rows AS SELECT 1 AS id; ALTER TABLE has_rows ADD COLUMN needed int NOT NULL;\n",
    b"SET default_transaction_read_only = on;\n",
    b"VACUUM;\n",
];

fn amid((mut before, odd, after): (Vec<Step>, &'static [u8], Vec<Step>)) -> Vec<Step> {
    before.push(Step::Raw(odd));
    before.extend(after);
    before
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    prop_oneof![
        6 => Just(Step::Table),
        4 => any().prop_map(Step::Column),
        2 => Just(Step::Enum),
        2 => any().prop_map(Step::EnumColumn),
        2 => any().prop_map(Step::Index),
        2 => any().prop_map(Step::Unique),
        2 => (any(), any()).prop_map(|(from, to)| Step::ForeignKey(from, to)),
        2 => any().prop_map(Step::View),
        2 => Just(Step::Function),
        4 => any().prop_map(Step::Rows),
        2 => Just(Step::Comment),
        1 => any().prop_map(Step::DropTable),
        1 => select(HARMLESS.to_vec()).prop_map(Step::Raw),
    ]
}

/// A migration: some statements, or one by itself that must be.
fn file() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        24 => vec(step(), 1..5),
        2 => select(HARMLESS.to_vec()).prop_map(|odd| vec![Step::Raw(odd)]),
        2 => select(ODD.to_vec()).prop_map(|odd| vec![Step::Raw(odd)]),
        1 => (vec(step(), 0..3), select(ODD.to_vec()), vec(step(), 0..3)).prop_map(amid),
    ]
}

fn files(count: std::ops::Range<usize>) -> impl Strategy<Value = BTreeMap<&'static str, (Vec<Step>, bool)>> {
    btree_map(select(NAMES.to_vec()), (file(), prop::bool::weighted(0.15)), count)
}

fn edit() -> impl Strategy<Value = Option<(u8, u8)>> {
    prop::option::weighted(0.25, (any::<u8>(), any::<u8>()))
}

/// A base, what the pull request changes of it, and what it adds.
pub fn case() -> impl Strategy<Value = Case> {
    (files(0..6), files(0..5), edit()).prop_map(|(base, mut own, edit)| {
        own.retain(|name, _| !base.contains_key(name));
        let mut made = Made::default();
        let base = rendered(base, &mut made);
        let own = rendered(own, &mut made);
        let edits = edit
            .filter(|_| !base.is_empty())
            .map(|(at, how)| edited(at, how, base.len()))
            .into_iter()
            .collect();
        Case { base, edits, own }
    })
}

fn edited(at: u8, how: u8, len: usize) -> Edit {
    let at = usize::from(at) % len;
    match how % 3 {
        0 => Edit::Append { at, sql: "\n-- edited\nCREATE TABLE edited (id int);\n".to_owned() },
        1 => Edit::Remove { at },
        _ => Edit::Rename { at, to: "30000101000000_renamed".to_owned() },
    }
}

fn rendered(files: BTreeMap<&'static str, (Vec<Step>, bool)>, made: &mut Made) -> Vec<File> {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by(|(a, _), (b, _)| prisma::order(a, b));
    let mut render = |(name, (steps, crlf)): (&str, (Vec<Step>, bool))| {
        let mut bytes = Vec::new();
        for step in &steps {
            bytes.extend(made.statement(step));
        }
        if crlf {
            bytes = bytes
                .into_iter()
                .flat_map(|byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] })
                .collect();
        }
        File::new(name, bytes)
    };
    files.into_iter().map(&mut render).collect()
}

impl Made {
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}_{}", self.names)
    }

    fn table(&self, at: u8) -> &str {
        &self.tables[usize::from(at) % self.tables.len()]
    }

    fn statement(&mut self, step: &Step) -> Vec<u8> {
        let name = self.name("n");
        let sql = match step {
            Step::EnumColumn(_) if self.enums == 0 => return self.statement(&Step::Enum),
            step if self.tables.is_empty() && step.needs_a_table() => return self.statement(&Step::Table),
            Step::Raw(bytes) => return bytes.to_vec(),
            Step::Table => {
                let table = format!("\"Table {name}\"");
                self.tables.push(table.clone());
                format!("CREATE TABLE {table} (\n  id serial PRIMARY KEY,\n  note text DEFAULT ';'\n);\n")
            }
            Step::Column(at) => format!(
                "ALTER TABLE {} ADD COLUMN {name} numeric(10,2) NOT NULL DEFAULT 0;\n",
                self.table(*at)
            ),
            Step::Enum => {
                self.enums += 1;
                format!("CREATE TYPE enum_{} AS ENUM ('a', 'it''s', ';');\n", self.enums)
            }
            Step::EnumColumn(at) => {
                format!("ALTER TABLE {} ADD COLUMN {name} enum_{};\n", self.table(*at), self.enums)
            }
            Step::Index(at) => {
                format!("CREATE INDEX \"{name} idx\" ON {} (note, id DESC);\n", self.table(*at))
            }
            Step::Unique(at) => {
                format!("ALTER TABLE {} ADD CONSTRAINT {name} UNIQUE (note);\n", self.table(*at))
            }
            Step::ForeignKey(from, to) => {
                let (from, to) = (self.table(*from), self.table(*to));
                format!("ALTER TABLE {from} ADD COLUMN {name} int REFERENCES {to} (id) ON DELETE SET NULL;\n")
            }
            Step::View(at) => format!(
                "CREATE VIEW view_{name} AS SELECT id, note || ';' AS noted FROM {};\n",
                self.table(*at)
            ),
            Step::Function => format!(
                "CREATE FUNCTION {name}() RETURNS int LANGUAGE plpgsql AS $fn$\nBEGIN\n  -- ; and $$ inside\n  RETURN 1;\nEND\n$fn$;\n"
            ),
            Step::Rows(at) => {
                format!("INSERT INTO {} (note) VALUES ('{name}'), ('a;b'), (DEFAULT);\n", self.table(*at))
            }
            Step::Comment => "/* a; /* nested; */ comment */ -- it's ; here\n".to_owned(),
            Step::DropTable(at) => format!("DROP TABLE {};\n", self.table(*at)),
        };
        sql.into_bytes()
    }
}
