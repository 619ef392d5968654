mod many;

use super::*;
use crate::domain::bookkeeping::{AppliedState, applied_chain, verify};
use crate::domain::chain::Chain;
use crate::domain::failure::{Failure, FailureKind};

async fn replay(engine: &Engine, made: &Made, files: &[MigrationFile]) -> Result<usize, Failure> {
    match engine.replay(&made.access, files, &mut |_| {}).await {
        Ok(applied) => Ok(applied.len()),
        Err(ReplayError::Author { failure, .. }) => Err(*failure),
        Err(error) => panic!("{error:?}"),
    }
}

/// `name finished steps logs`, as the observations of the real command line write them.
async fn rows(engine: &Engine, made: &Made) -> Vec<String> {
    let rows = engine.bookkeeping(&made.access).await.unwrap();
    let flag = |yes: bool, text: &'static str| if yes { text } else { "-" };
    rows.iter()
        .map(|row| {
            let (finished, logs) = (flag(row.finished, "finished"), flag(row.has_logs, "logs"));
            format!("{} {finished} {} {logs}", row.migration.name, row.steps)
        })
        .collect()
}

async fn tables(engine: &Engine, made: &Made) -> Vec<String> {
    let sql = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1";
    ask(engine, &made.names.database, sql).await.into_iter().filter_map(|mut row| row.remove(0)).collect()
}

#[tokio::test]
async fn what_applies_is_recorded_as_prisma_records_it() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let files = [
            migration("1_init", "-- a table\nCREATE TABLE a (id int);\r\nCREATE TABLE b (id int)"),
            migration("2 'odd' \\ naïve", "ALTER TABLE a ADD COLUMN t text DEFAULT ';';"),
            migration("3_empty", ""),
            migration("4_rows", "SELECT generate_series(1, 1000); DO $$ BEGIN RAISE NOTICE 'hello'; END $$;"),
        ];
        let mut seen = Vec::new();
        let mut observe = |step: Step<'_>| {
            if let Step::Applied(applied) = step {
                assert!(applied.duration_ms.unwrap() > 0.0);
                seen.push(applied.name.clone());
            }
        };
        let applied = engine.replay(&made.access, &files, &mut observe).await.unwrap();
        assert_eq!(seen, applied.iter().map(|applied| applied.name.clone()).collect::<Vec<_>>());

        let rows = engine.bookkeeping(&made.access).await.unwrap();
        verify(&rows, &Chain::of(&files)).unwrap();
        let raw = "select length(id) = 36 and id ~ '^.{14}4', checksum, finished_at >= started_at, logs, rolled_back_at,
                          applied_steps_count from _prisma_migrations where migration_name = '1_init'";
        let text = |text: &str| Some(text.to_owned());
        let checksum = text(files[0].migration.checksum.as_str());
        let public = raw.replace("_prisma", "public._prisma");
        assert_eq!(
            ask(engine, &made.names.database, &public).await,
            [[text("t"), checksum, text("t"), None, None, text("1")]]
        );
        assert_eq!(replay(engine, &made, &[]).await, Ok(0));
    })
    .await;
}

#[tokio::test]
async fn a_failure_undoes_its_file_and_says_where_and_why() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let files = [
            migration("1_init", "CREATE TABLE a (id int PRIMARY KEY);"),
            migration("2_bad", "CREATE TABLE b (id int);\n-- then\n  SELECT *\n  FROM nowhere;\n"),
            migration("3_never", "CREATE TABLE c (id int);"),
        ];
        let failure = replay(engine, &made, &files).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Migration);
        assert_eq!(
            (failure.file.as_str(), failure.line, failure.column),
            ("m/2_bad/migration.sql", Some(4), Some(8))
        );
        assert_eq!(failure.statement.as_deref(), Some("SELECT *\n  FROM nowhere"));
        assert_eq!(failure.sqlstate.as_deref(), Some("42P01"));
        assert!(failure.hint.is_some());
        assert_eq!(rows(engine, &made).await, ["1_init finished 1 -", "2_bad - 0 logs"]);
        assert_eq!(tables(engine, &made).await, ["_prisma_migrations", "a"]);
        let state = applied_chain(&engine.bookkeeping(&made.access).await.unwrap());
        assert!(matches!(state, AppliedState::Unfinished { migration, .. } if migration.name == "2_bad"));

        // No position from the server: the statement is found by counting those that completed.
        let text = "INSERT INTO a VALUES (1);; SELECT 1;\n/* again */ INSERT INTO a VALUES (1);";
        let failure = replay(engine, &made, &[migration("4", text)]).await.unwrap_err();
        assert_eq!(
            (failure.line, failure.column, failure.sqlstate.as_deref()),
            (Some(2), Some(13), Some("23505"))
        );
        assert_eq!(failure.detail.as_deref(), Some("Key (id)=(1) already exists."));
    })
    .await;
}

#[tokio::test]
async fn an_index_is_built_concurrently_alone_in_its_file() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let files = [
            migration("1", "CREATE TABLE a (id int);"),
            migration("2", "-- alone\nCREATE INDEX CONCURRENTLY i ON a(id);\n"),
            migration("3", "CREATE INDEX CONCURRENTLY j ON a(id);\nCREATE INDEX k ON a(id);\n"),
        ];
        let failure = replay(engine, &made, &files).await.unwrap_err();
        assert_eq!((failure.migration.as_str(), failure.sqlstate.as_deref()), ("3", Some("25001")));
        assert_eq!(rows(engine, &made).await, ["1 finished 1 -", "2 finished 1 -", "3 - 0 logs"]);
    })
    .await;
}

#[tokio::test]
async fn odd_files_end_as_they_end_with_prisma() {
    // What the file says; the failure's SQLSTATE; the rows afterwards. From runs of the real command line.
    let cases: [(&[u8], Option<&str>, &str); 14] = [
        (b"CREATE TABLE a(id int); SET search_path = '';", Some("42P01"), "x - 0 -"),
        (b"SELECT pg_catalog.set_config('search_path','',false);", Some("42P01"), "x - 0 -"),
        (b"SET LOCAL search_path = ''; CREATE TABLE public.a (id int);", None, "x finished 1 -"),
        (b"BEGIN; CREATE TABLE a(id int); COMMIT;", None, "x finished 1 -"),
        (b"BEGIN; SELECT 1/0; COMMIT;", Some("22012"), "x - 0 -"),
        (b"CREATE TABLE a(id int); ROLLBACK;", None, "x finished 1 -"),
        (b"CREATE TABLE a(id int); COMMIT; SELECT 1/0;", Some("22012"), "x - 0 logs"),
        (b"SELECT pg_advisory_unlock_all();", None, "x finished 1 -"),
        (b"SELECT pg_terminate_backend(pg_backend_pid());", Some("57P01"), "x - 0 -"),
        (b"CREATE TABLE _prisma_migrations (id int);", Some("42P07"), "x - 0 logs"),
        (b"\xef\xbb\xbfCREATE TABLE a(id int);", Some("42601"), "x - 0 logs"),
        (b"SELECT 'caf\xe9';", None, "x finished 1 -"),
        (b"SELECT 1;\nSELECT '\0';", Some("08P01"), "x - 0 logs"),
        (b"CREATE TABLE a(id int);\nCOPY a FROM STDIN;\n1\n\\.\n", Some("42601"), "x - 0 logs"),
    ];
    on_each_server(async |engine| {
        for (sql, sqlstate, row) in cases {
            let made = make(engine, Source::Empty).await;
            let shown = String::from_utf8_lossy(sql);
            let outcome = replay(engine, &made, &[migration("x", sql)]).await;
            let got = outcome.as_ref().err().map(|failure| failure.sqlstate.as_deref().unwrap_or("none"));
            assert_eq!(got, sqlstate, "{shown} {outcome:?}");
            assert_eq!(rows(engine, &made).await, [row], "{shown}");
            if let Err(failure) = outcome {
                assert!(
                    failure.hint.is_some() || ["22012", "42601"].contains(&sqlstate.unwrap()),
                    "{failure:?}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_statement_that_asks_for_data_fails_and_does_not_hang() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let files = [migration("1", "CREATE TABLE a(id int);\nCOPY a FROM STDIN;\n")];
        let failure = replay(engine, &made, &files).await.unwrap_err();
        assert_eq!((failure.line, failure.statement.as_deref()), (Some(2), Some("COPY a FROM STDIN")));
        assert_eq!(tables(engine, &made).await, ["_prisma_migrations"]);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_left_open_is_found_out() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let files = [
            migration("1", "CREATE TABLE a(id int);"),
            migration("2", "BEGIN; CREATE TABLE b(id int);"),
            migration("3", ""),
        ];
        assert_eq!(replay(engine, &made, &files).await, Ok(3), "Prisma believes it too");
        let failure =
            verify(&engine.bookkeeping(&made.access).await.unwrap(), &Chain::of(&files)).unwrap_err();
        assert_eq!((failure.kind, failure.migration.as_str()), (FailureKind::Verification, "2"));
        assert_eq!(tables(engine, &made).await, ["_prisma_migrations", "a"]);
    })
    .await;
}

#[tokio::test]
async fn a_forged_bookkeeping_is_not_believed() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let forged = "ALTER TABLE _prisma_migrations RENAME TO hidden; CREATE VIEW _prisma_migrations AS SELECT * FROM hidden;";
        assert_eq!(replay(engine, &made, &[migration("1", forged)]).await, Ok(1));
        let error = engine.bookkeeping(&made.access).await.unwrap_err();
        assert!(matches!(&error, ReplayError::Author { failure, .. } if failure.kind == FailureKind::Verification), "{error}");
    })
    .await;
}

#[tokio::test]
async fn rows_stay_in_order_after_the_clock_jumps_back() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let files: Vec<_> = (1..=5).map(|number| migration(&number.to_string(), "SELECT 1;")).collect();
        assert_eq!(replay(engine, &made, &files[..2]).await, Ok(2));
        let later = "update _prisma_migrations set started_at = started_at + interval '1 day', finished_at = finished_at + interval '1 day'";
        connect(engine, &made.access).await.unwrap().batch_execute(later).await.unwrap();
        assert_eq!(replay(engine, &made, &files[2..]).await, Ok(3));
        verify(&engine.bookkeeping(&made.access).await.unwrap(), &Chain::of(&files)).unwrap();
    })
    .await;
}

/// A trigger of the bookkeeping's, with when it fires and what it does.
fn on_a_row(kind: &str, when: &str, body: &str) -> String {
    format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
         CREATE {kind} TRIGGER refuse {when} FOR EACH ROW EXECUTE FUNCTION refuse();"
    )
}

#[tokio::test]
async fn what_closes_the_bookkeeping_is_named_and_nothing_after_it_is_run() {
    let refuse_rows = on_a_row("", "BEFORE INSERT ON _prisma_migrations", "RAISE 'no more';");
    let refuse_late = on_a_row(
        "CONSTRAINT",
        "AFTER INSERT ON _prisma_migrations DEFERRABLE INITIALLY DEFERRED",
        "RAISE 'no more';",
    );
    let end = on_a_row(
        "",
        "BEFORE INSERT ON _prisma_migrations",
        "PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid());",
    );
    on_each_server(async |engine| {
        for (sql, blamed, sqlstate) in [
            ("SET search_path = '';", "1", "42P01"),
            (&refuse_rows, "2", "P0001"),
            (&refuse_late, "2", "P0001"),
            (&end, "1", "57P01"),
        ] {
            for next in [
                "CREATE TABLE public.after (id int);",
                "ROLLBACK; CREATE TABLE public.after (id int);",
                "CREATE TABLE public.after (id int); no SQL;",
            ] {
                let made = make(engine, Source::Empty).await;
                let files = [migration("1", sql), migration("2", next)];
                let failure = replay(engine, &made, &files).await.unwrap_err();
                assert_eq!(
                    (failure.migration.as_str(), failure.sqlstate.as_deref()),
                    (blamed, Some(sqlstate)),
                    "{sql}"
                );
                assert_eq!(tables(engine, &made).await, ["_prisma_migrations"], "{sql} {next}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_bookkeeping_that_talks_keeps_nobody_waiting() {
    let talk = on_a_row("", "BEFORE INSERT OR UPDATE ON _prisma_migrations", "RAISE WARNING 'a row';");
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let more = (2..10)
            .map(|number| migration(&number.to_string(), "DO $$ BEGIN RAISE WARNING 'a file'; END $$;"));
        let files: Vec<_> = std::iter::once(migration("1", &talk)).chain(more).collect();
        let replaying = replay(engine, &made, &files);
        let replayed = tokio::time::timeout(Duration::from_secs(30), replaying).await;
        assert_eq!(replayed.expect("nothing hangs"), Ok(9));
    })
    .await;
}

#[tokio::test]
async fn what_was_refused_with_its_row_is_run_once_when_the_row_is_taken() {
    let refuse_once = on_a_row(
        "",
        "BEFORE INSERT ON _prisma_migrations",
        "IF pg_catalog.nextval('tries') = 1 THEN RAISE 'once'; END IF;",
    );
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let files = [
            migration("1", format!("CREATE SEQUENCE tries; CREATE TABLE runs (id int); {refuse_once}")),
            migration("2", "INSERT INTO runs VALUES (2);"),
            migration("3", "INSERT INTO runs VALUES (3);"),
        ];
        assert_eq!(replay(engine, &made, &files).await, Ok(3));
        verify(&engine.bookkeeping(&made.access).await.unwrap(), &Chain::of(&files)).unwrap();
        let runs = ask(
            engine,
            &made.names.database,
            "select string_agg(id::text, ' ' order by id) from public.runs",
        )
        .await;
        assert_eq!(runs, [[Some("2 3".to_owned())]]);
    })
    .await;
}

#[tokio::test]
async fn what_runs_too_long_is_ended_and_named() {
    let limits = Limits { job_timeout: std::time::Duration::from_secs(1), ..Limits::default() };
    with_limits(limits, async |engine| {
        let made = make(engine, Source::Empty).await;
        let sql = "SET statement_timeout = 0;\nCREATE TABLE a(id int);\nSELECT pg_sleep(600);\nSELECT 1;";
        let failure = replay(engine, &made, &[migration("1", sql)]).await.unwrap_err();
        assert_eq!((failure.line, failure.statement.as_deref()), (Some(3), Some("SELECT pg_sleep(600)")));
        assert!(failure.message.contains("1s"), "{}", failure.message);
        assert_eq!(tables(engine, &made).await, ["_prisma_migrations"]);
    })
    .await;
}

#[tokio::test]
async fn a_role_that_changes_its_own_login_gets_it_back() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let sql = "ALTER ROLE CURRENT_USER PASSWORD NULL; ALTER ROLE CURRENT_USER SET statement_timeout = 0;";
        let files = [migration("1", sql), migration("2", "SELECT 1/0")];
        replay(engine, &made, &files).await.unwrap_err();
        assert_eq!(rows(engine, &made).await, ["1 finished 1 -", "2 - 0 logs"]);
        let client = connect(engine, &made.access).await.unwrap();
        let timeout = client.query_one("show statement_timeout", &[]).await.unwrap();
        assert_eq!(timeout.get::<_, &str>(0), "1min");
    })
    .await;
}

#[tokio::test]
async fn nobody_with_a_url_keeps_the_next_push_from_being_replayed() {
    // Shorter than a replay itself waits for Prisma's lock.
    let limits = Limits { lock_timeout: Some(Duration::from_millis(200)), ..Limits::default() };
    with_limits(limits, async |engine| {
        let made = make(engine, Source::Empty).await;
        let reader = connect(engine, &made.reader).await.unwrap();
        reader.batch_execute("SELECT pg_advisory_lock(72707369)").await.unwrap();
        assert_eq!(replay(engine, &made, &[migration("1", "CREATE TABLE a(id int);")]).await, Ok(1));
        assert!(reader.batch_execute("SELECT 1").await.is_err(), "it was ended");

        let holder = connect(engine, &made.access).await.unwrap();
        let settings = "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on; ALTER ROLE CURRENT_USER SET statement_timeout = 1;";
        holder.batch_execute(settings).await.unwrap();
        let files = [migration("2", "CREATE TABLE b AS SELECT 1 AS x FROM pg_sleep(0.01);")];
        assert_eq!(replay(engine, &made, &files).await, Ok(1));
        holder.batch_execute("SELECT 1").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle_is_not_the_author_s_fault() {
    for bin in installations() {
        let server = start(&bin).await;
        let settings = EngineSettings {
            administrator_url: server.embedded.administrator_url(),
            address: None,
            control_database: None,
            limits: Limits::default(),
            allowed_extensions: Vec::new(),
            floor: crate::domain::room::Floor::default(),
            pool_size: 2,
            shares_control_server: false,
        };
        let engine = Engine::connect(settings).await.unwrap();
        let made = make(&engine, Source::Empty).await;
        let files = [migration("1", "SELECT pg_sleep(600);")];
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let mut begun = Some(begun);
        let mut observe = |_: Step<'_>| {
            begun.take().map(|begun| begun.send(()));
        };
        let replaying = engine.replay(&made.access, &files, &mut observe);
        let stopping = async {
            has_begun.await.unwrap();
            server.embedded.stop().await.unwrap();
        };
        let (outcome, ()) = tokio::join!(replaying, stopping);
        let Err(ReplayError::Engine(error)) = outcome else { panic!("{outcome:?}") };
        assert!(error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn the_server_completes_as_many_statements_as_are_counted() {
    let files = [
        "SELECT 1;; /* ; */ SELECT ';' -- ;\n; SELECT $$;$$, $a$;$$;$a$, E'\\';', U&'\\003B', \"x;\" FROM (SELECT 1 AS \"x;\") t",
        "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 2 ELSE 3 END; SELECT a; END; SELECT f(1);",
        "CREATE PROCEDURE begin_p() LANGUAGE sql BEGIN ATOMIC END; CREATE TABLE t (\"end\" int, atomic int); CALL begin_p();",
        "CREATE TABLE u (a int); CREATE RULE r AS ON INSERT TO u DO ALSO (SELECT 1; SELECT 2); INSERT INTO u VALUES (1); SELECT 3;",
        "BEGIN; SELECT CASE WHEN true THEN 1 END; END; SELECT 1; -- the end;",
        "DO $$ BEGIN PERFORM 1; END $$; SELECT /* /* ; */ ; */ 1;",
    ];
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let client = connect(engine, &made.access).await.unwrap();
        for sql in files {
            let answer = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            let completed = answer
                .iter()
                .filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::CommandComplete(_)))
                .count();
            assert_eq!(crate::domain::sql::statements(sql).len(), completed, "{sql}");
        }
    })
    .await;
}
