//! Many files at once, whose rows are written together where nothing can tell the difference.

use super::*;

/// So many that their rows are written down together, with one of them that is something else.
fn many(odd: usize, sql: &str) -> Vec<MigrationFile> {
    let plain = |number: usize| format!("CREATE TABLE t{number} (id int);");
    let file = |number: usize| if number == odd { sql.to_owned() } else { plain(number) };
    (0..20).map(|number| migration(&format!("{number:02}"), file(number))).collect()
}

fn finished(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:02} finished 1 -")).collect()
}

#[tokio::test]
async fn of_many_each_is_on_record_whatever_ends_them() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        assert_eq!(replay(engine, &made, &many(20, "")).await.unwrap(), 20);
        assert_eq!(rows(engine, &made).await, finished(20));

        let made = make(engine, Source::Empty).await;
        let failure = replay(engine, &made, &many(18, "ALTER TABLE nope ADD a int")).await.unwrap_err();
        assert_eq!((failure.migration.as_str(), failure.sqlstate.as_deref()), ("18", Some("42P01")));
        assert_eq!(rows(engine, &made).await, [finished(18), vec!["18 - 0 logs".to_owned()]].concat());

        // After one that writes, the rows go on being written together.
        let made = make(engine, Source::Empty).await;
        let mut files = many(4, "CREATE TABLE d (id int); INSERT INTO d VALUES (1)");
        files[9] = migration("09", "SELECT 1");
        files[17] = migration("17", "DROP TABLE nope");
        let failure = replay(engine, &made, &files).await.unwrap_err();
        assert_eq!(failure.migration, "17");
        assert_eq!(rows(engine, &made).await, [finished(17), vec!["17 - 0 logs".to_owned()]].concat());

        // The session is ended, and with it the chance to write in it.
        let made = make(engine, Source::Empty).await;
        let ended = many(18, "CREATE TABLE last AS SELECT pg_terminate_backend(pg_backend_pid())");
        let (applied, failure) = match engine.replay(&made.access, &ended, &mut |_| {}).await {
            Err(ReplayError::Author { applied, failure }) => (applied.len(), failure),
            other => panic!("{other:?}"),
        };
        assert_eq!((applied, failure.migration.as_str()), (18, "18"));
        assert_eq!(rows(engine, &made).await, [finished(18), vec!["18 - 0 -".to_owned()]].concat());
    })
    .await;
}

#[tokio::test]
async fn whoever_looks_at_the_rows_finds_those_before_finished() {
    on_each_server(async |engine| {
        let look = "CREATE TABLE seen AS SELECT count(*) FILTER (WHERE finished_at IS NOT NULL)::text AS finished FROM _prisma_migrations";
        let apart = [look, "BEGIN; CREATE TABLE seen AS SELECT 1::text AS finished; COMMIT; BEGIN"];
        for (sql, seen) in apart.into_iter().zip(["10", "1"]) {
            let made = make(engine, Source::Empty).await;
            let outcome = replay(engine, &made, &many(10, sql)).await;
            let recorded = rows(engine, &made).await;
            assert_eq!(recorded[..10], finished(10), "{sql}: {outcome:?}");
            if seen == "10" {
                assert_eq!((outcome.unwrap(), recorded), (20, finished(20)));
            }
            let found = ask(engine, &made.names.database, "select finished from public.seen").await;
            assert_eq!(found, [[Some(seen.to_owned())]], "{sql}");
        }
        // One that looks by a name that it does not say finds them as well, where it writes to its own tables or is in use already.
        let peek = "CREATE TABLE seen (finished text); CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            EXECUTE 'SELECT count(finished_at)::text FROM _prisma_' || 'migrations' INTO NEW.finished; RETURN NEW; END $$;
            CREATE TRIGGER peek BEFORE INSERT ON seen FOR EACH ROW EXECUTE FUNCTION peek();";
        let made = make(engine, Source::Empty).await;
        replay(engine, &made, &[migration("!", peek)]).await.unwrap();
        assert_eq!(replay(engine, &made, &many(10, "INSERT INTO seen DEFAULT VALUES")).await.unwrap(), 20);
        assert_eq!(rows(engine, &made).await[1..], finished(20));
        let found = ask(engine, &made.names.database, "select finished from public.seen").await;
        assert_eq!(found, [[Some("11".to_owned())]]);
        // What an earlier replay left on the table is heard each time.
        let made = make(engine, Source::Empty).await;
        let trigger = "CREATE TABLE heard (name text);
            CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO heard SELECT migration_name FROM _prisma_migrations
                WHERE finished_at IS NULL; RETURN NULL; END $$;
            CREATE TRIGGER hear AFTER INSERT ON _prisma_migrations FOR EACH ROW EXECUTE FUNCTION hear();";
        replay(engine, &made, &[migration("!", trigger)]).await.unwrap();
        assert_eq!(replay(engine, &made, &many(20, "")).await.unwrap(), 20);
        let heard = ask(engine, &made.names.database, "select count(*)::text from public.heard").await;
        assert_eq!(heard, [[Some("20".to_owned())]]);
    })
    .await;
}

/// Whoever is killed in the middle of it goes on from there.
#[tokio::test]
async fn a_database_in_use_has_each_row_before_its_file() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let peek = "CREATE FUNCTION peek() RETURNS text LANGUAGE plpgsql AS $$ DECLARE found text; BEGIN
            EXECUTE 'SELECT count(*) FROM _prisma_' || 'migrations' INTO found; RETURN found; END $$;";
        replay(engine, &made, &[migration("!", peek)]).await.unwrap();
        let public = InstanceNames::of(&format!("acme_shop_pr_{}", &made.id[..8])).unwrap();
        let unused = InstanceNames::trash("unused").unwrap();
        engine.publish(&made.names, &public, &unused, &identity("a", 1)).await.unwrap();
        let live = Made { access: public.access(&made.access.password), names: public, ..made };
        replay(engine, &live, &many(10, "CREATE TABLE seen AS SELECT peek() AS found")).await.unwrap();
        let found = ask(engine, &live.names.database, "select found from public.seen").await;
        assert_eq!(found, [[Some("12".to_owned())]]);
    })
    .await;
}
