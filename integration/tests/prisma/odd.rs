//! Each oddity that Prisma was seen to have, by name: both sides do the same, and the verdict is the one observed.

use super::bench::Bench;
use super::case::{Case, Edit, File, Verdict};
use Verdict::{Failed, Lost, Ready};

const A: (&str, &str) = ("1_init", "CREATE TABLE a (id int);\n");

/// A case, its verdict, and words that the failure has to say.
struct Odd {
    name: &'static str,
    case: Case,
    verdict: Verdict,
    says: &'static str,
}

fn odd(name: &'static str, case: Case, verdict: Verdict) -> Odd {
    Odd { name, case, verdict, says: "" }
}

impl Odd {
    fn saying(mut self, words: &'static str) -> Self {
        self.says = words;
        self
    }
}

/// The pull request brings these on top of `1_init`.
fn own(files: &[(&str, &str)]) -> Case {
    Case::new(&[A], files)
}

fn own_bytes(bytes: &[u8]) -> Case {
    Case {
        own: vec![File::new("2_odd", bytes), File::new("3_after", "CREATE TABLE after (id int);\n")],
        ..own(&[])
    }
}

fn one(sql: &str) -> Case {
    own_bytes(sql.as_bytes())
}

/// Directories, and the order in which they are applied.
fn names() -> Vec<Odd> {
    let order: Vec<(String, String)> = [
        "_x",
        "1_init",
        "10_x",
        "2 b",
        "2_y",
        "2-z",
        "2.a",
        "20250101_a",
        "20250101000000_b",
        "a",
        "A",
        "a_",
        "A_x",
        "a_y",
        "aa",
        "b",
        "B",
        "é",
        "Ω",
    ]
    .iter()
    .enumerate()
    .map(|(at, name)| ((*name).to_owned(), format!("CREATE TABLE t{at} (id int);\n")))
    .collect();
    let order: Vec<(&str, &str)> = order.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).collect();
    let long = format!("2_{}", "x".repeat(250));
    let without = |name: &str, file| File { file, ..File::new(name, "") };
    let broken = |base: Vec<File>, own: Vec<File>| Case { base, own, edits: Vec::new() };
    let a = || File::new(A.0, A.1);
    vec![
        odd("the order is that of localeCompare", Case::base_only(&order), Ready),
        odd(
            "the order of own migrations as well",
            Case::new(&[("0", "CREATE TABLE a (id int);")], &order),
            Ready,
        ),
        odd(
            "spaces, quotes, backslashes",
            own(&[("2 it's \"odd\" \\ $1 %s", "CREATE TABLE b (id int);")]),
            Ready,
        ),
        odd("Unicode and emoji", own(&[("2_größe_🦀_名前", "CREATE TABLE b (id int);")]), Ready),
        odd("252 characters", own(&[(&long, "CREATE TABLE b (id int);")]), Ready),
        odd("a name that begins with a dot", own(&[(".hidden", "CREATE TABLE b (id int);")]), Ready),
        odd("two migrations of the same bytes", own(&[("2_x", "SELECT 1;"), ("3_x", "SELECT 1;")]), Ready),
        odd("no migration.sql, at the end", broken(vec![a()], vec![without("2_empty", "notes.sql")]), Failed)
            .saying("P3015"),
        odd(
            "no migration.sql, in the base",
            broken(vec![a(), without("2_empty", "notes.sql")], vec![File::new("3", "")]),
            Failed,
        )
        .saying("P3015"),
        odd(
            "MIGRATION.SQL is another file",
            broken(vec![a()], vec![without("2_upper", "MIGRATION.SQL")]),
            Failed,
        )
        .saying("P3015"),
        odd("no migrations at all", Case::base_only(&[]), Ready),
        odd("a first migration onto none", Case::new(&[], &[A]), Ready),
        odd("no own migration", Case::base_only(&[A, ("2_b", "CREATE TABLE b (id int);")]), Ready),
        odd(
            "a migration that sorts before the base's",
            own(&[("0_late", "CREATE TABLE b (id int);")]),
            Ready,
        ),
        odd(
            "one that sorts before what it needs",
            own(&[("0_late", "ALTER TABLE a ADD COLUMN x int;")]),
            Ready,
        ),
    ]
}

fn bytes() -> Vec<Odd> {
    vec![
        odd("an empty file", one(""), Ready),
        odd("white space only", one(" \n\t\r\n"), Ready),
        odd("a comment only", one("-- This is an empty migration.\n"), Ready),
        odd("a comment with semicolons", one("-- a; b\n/* c; /* d; */ */ CREATE TABLE b (id int);"), Ready),
        odd("no semicolon at the end", one("CREATE TABLE b (id int)"), Ready),
        odd("CRLF", one("CREATE TABLE b (\r\n  id int\r\n);\r\n"), Ready),
        odd("a byte order mark", own_bytes(b"\xef\xbb\xbfCREATE TABLE b (id int);\n"), Failed)
            .saying("byte order mark"),
        odd("latin-1", own_bytes(b"CREATE TABLE b (id int); -- caf\xe9\n"), Ready),
        odd("latin-1 in a value", own_bytes(b"CREATE TABLE b AS SELECT 'caf\xe9'::text AS t;\n"), Ready),
        odd(
            "truncated UTF-8",
            own_bytes(
                b"CREATE TABLE b AS SELECT 'x\xf0\x9f\xa6 \xe2\x82 \xc0\xaf \xed\xa0\x80'::text AS t;\n",
            ),
            Ready,
        ),
        odd("a zero byte", own_bytes(b"CREATE TABLE b (id int);\0\n"), Failed).saying("zero byte"),
        odd("UTF-16", own_bytes(b"\xff\xfeS\0E\0L\0E\0C\0T\0"), Failed).saying("UTF-8"),
        odd(
            "dollar quotes",
            one(
                "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $x$ BEGIN /* ; $$ */ RETURN 1; END $x$;",
            ),
            Ready,
        ),
        odd(
            "a notice",
            one("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'w'; END $$; CREATE TABLE b (id int);"),
            Ready,
        ),
        odd("rows come back", one("SELECT generate_series(1, 10000); CREATE TABLE b (id int);"), Ready),
        odd("COPY FROM STDIN", one("COPY a FROM STDIN;\n1\n\\.\n"), Failed),
    ]
}

fn transactions() -> Vec<Odd> {
    vec![
        odd("a failure undoes its file", one("CREATE TABLE b (id int);\nSELECT * FROM nope;\n"), Failed)
            .saying("nope"),
        odd("BEGIN and COMMIT", one("BEGIN; CREATE TABLE b (id int); COMMIT;"), Ready),
        odd(
            "BEGIN, an error, COMMIT",
            one("BEGIN; CREATE TABLE b (id int); SELECT * FROM nope; COMMIT;"),
            Failed,
        )
        .saying("nope"),
        odd("BEGIN without COMMIT", own(&[("2_odd", "BEGIN; CREATE TABLE b (id int);")]), Lost)
            .saying("BEGIN"),
        odd("BEGIN without COMMIT, then another", one("BEGIN; CREATE TABLE b (id int);"), Lost)
            .saying("BEGIN"),
        odd(
            "BEGIN without COMMIT in the base",
            Case::new(&[("1_init", "BEGIN; CREATE TABLE a (id int);")], &[("2", "ALTER TABLE a ADD x int;")]),
            Failed,
        )
        .saying("BEGIN"),
        odd(
            "BEGIN in one file, COMMIT in the next",
            own(&[("2", "BEGIN; CREATE TABLE b (id int);"), ("3", "COMMIT;")]),
            Ready,
        ),
        odd(
            "BEGIN without COMMIT, then an error",
            own(&[("2", "BEGIN;\nCREATE TABLE b (id int);\n"), ("3", "SELECT * FROM nope;\n")]),
            Failed,
        )
        .saying("nope"),
        odd("ROLLBACK", one("CREATE TABLE b (id int); ROLLBACK;"), Ready),
        odd(
            "COMMIT, then an error",
            one("CREATE TABLE b (id int); COMMIT; CREATE TABLE c (id int); SELECT * FROM nope;"),
            Failed,
        )
        .saying("nope"),
        odd("CONCURRENTLY alone", one("-- alone\nCREATE INDEX CONCURRENTLY i ON a (id);\n"), Ready),
        odd(
            "CONCURRENTLY beside another",
            one("CREATE INDEX CONCURRENTLY i ON a (id);\nCREATE INDEX j ON a (id);\n"),
            Failed,
        )
        .saying("migration of its own"),
        odd("VACUUM alone", one("VACUUM a;"), Ready),
        odd(
            "an enum value used where it is added",
            Case::new(
                &[("1", "CREATE TYPE e AS ENUM ('a');")],
                &[("2", "ALTER TYPE e ADD VALUE 'b'; CREATE TABLE t (v e DEFAULT 'b');")],
            ),
            Failed,
        )
        .saying("enum"),
        odd(
            "an enum value used in the next",
            Case::new(
                &[("1", "CREATE TYPE e AS ENUM ('a');")],
                &[("2", "ALTER TYPE e ADD VALUE 'b';"), ("3", "CREATE TABLE t (v e DEFAULT 'b');")],
            ),
            Ready,
        ),
    ]
}

fn sessions() -> Vec<Odd> {
    vec![
        odd(
            "a lost search_path",
            one("SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.b (id int);\n"),
            Failed,
        )
        .saying("search_path"),
        odd(
            "a lost search_path, as the last",
            own(&[("2", "CREATE SCHEMA app; SET search_path = app;")]),
            Failed,
        )
        .saying("search_path"),
        odd(
            "a lost search_path, set back",
            one("SET search_path = ''; CREATE TABLE public.b (id int); SET search_path = public;"),
            Ready,
        ),
        odd(
            "SET LOCAL search_path",
            one("SET LOCAL search_path = ''; CREATE TABLE public.b (id int);"),
            Ready,
        ),
        odd("RESET ALL", one("RESET ALL; CREATE TABLE b (id int);"), Ready),
        odd("DISCARD ALL", one("DISCARD ALL"), Ready),
        odd("SET ROLE", one("SET ROLE pg_monitor; SELECT 1;"), Failed).saying("superuser"),
        odd(
            "the right to the bookkeeping given away",
            one("REVOKE ALL ON _prisma_migrations FROM CURRENT_USER;"),
            Failed,
        ),
        odd("a read-only session", one("SET default_transaction_read_only = on;"), Failed),
        odd(
            "a timeout for the next migration",
            own(&[
                ("2", "SET statement_timeout = '50ms'; CREATE TABLE b (id int);"),
                ("3", "SELECT pg_sleep(1);"),
            ]),
            Failed,
        )
        .saying("timeout"),
        odd(
            "a timeout of the base reaches no pull request",
            Case::new(&[("1", "SET statement_timeout = '50ms';")], &[("2", "SELECT pg_sleep(0.1);")]),
            Ready,
        ),
        odd("pg_terminate_backend", one("SELECT pg_terminate_backend(pg_backend_pid());"), Failed),
        odd(
            "pg_advisory_unlock_all",
            one("SELECT pg_advisory_unlock_all(); CREATE TABLE b (id int);"),
            Ready,
        ),
        odd("it makes _prisma_migrations", one("CREATE TABLE _prisma_migrations (id int);"), Failed),
        odd(
            "it makes _prisma_migrations if there is none",
            one("CREATE TABLE IF NOT EXISTS _prisma_migrations (id int);"),
            Ready,
        ),
        odd("it drops _prisma_migrations", one("DROP TABLE _prisma_migrations;"), Failed)
            .saying("_prisma_migrations"),
        odd("it empties _prisma_migrations", one("DELETE FROM _prisma_migrations;"), Lost),
    ]
}

fn edits() -> Vec<Odd> {
    let base = [A, ("2_b", "CREATE TABLE b (id int);"), ("3_c", "CREATE TABLE c (id int);")];
    let edited = |edit: Edit, own: &[(&str, &str)]| Case { edits: vec![edit], ..Case::new(&base, own) };
    let append = |sql: &str| Edit::Append { at: 1, sql: sql.to_owned() };
    vec![
        odd(
            "an applied migration is edited",
            edited(append(" CREATE TABLE more (id int);"), &[("4", "DROP TABLE more;")]),
            Ready,
        ),
        odd("an edit that fails", edited(append(" SELECT * FROM nope;"), &[]), Failed).saying("nope"),
        odd("an applied migration is removed", edited(Edit::Remove { at: 1 }, &[]), Ready),
        odd(
            "one is removed that others need",
            edited(Edit::Remove { at: 1 }, &[("4", "DROP TABLE b;")]),
            Failed,
        ),
        odd(
            "an applied migration is renamed",
            edited(Edit::Rename { at: 1, to: "4_b".to_owned() }, &[]),
            Ready,
        ),
        odd(
            "the last one is removed",
            edited(Edit::Remove { at: 2 }, &[("4", "CREATE TABLE c (other int);")]),
            Ready,
        ),
    ]
}

async fn check(bench: &mut Bench, odd: &Odd) -> Option<String> {
    let (preview, production) = match bench.play(&odd.case).await {
        Ok(sides) => sides,
        Err(error) => return Some(format!("{}: {error:#}", odd.name)),
    };
    let failed = preview.document.migrations.failed.as_ref();
    let told =
        failed.map(|failed| format!("{} {}", failed.message, failed.hint.as_deref().unwrap_or_default()));
    match odd.case.compare(&preview, &production) {
        Err(error) => Some(format!("{}: {error:#}", odd.name)),
        Ok(verdict) if verdict != odd.verdict => {
            Some(format!("{}: {verdict:?}, not {:?}: {:?}", odd.name, odd.verdict, production.said))
        }
        Ok(_) if !told.unwrap_or_default().contains(odd.says) => {
            Some(format!("{}: nothing says {:?}: {failed:?}", odd.name, odd.says))
        }
        Ok(_) => None,
    }
}

#[tokio::test]
async fn every_oddity_of_prisma_is_ours() {
    let mut bench = Bench::start().await.unwrap();
    let mut wrong = Vec::new();
    for odd in [names(), bytes(), transactions(), sessions(), edits()].into_iter().flatten() {
        wrong.extend(check(&mut bench, &odd).await);
    }
    assert!(wrong.is_empty(), "{} oddities differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
