use super::*;
use crate::engine::inventory::measure;

#[tokio::test]
async fn a_branch_reaches_nothing_outside_its_own_database() {
    on_each_server(async |engine| {
        let (made, other) = (make(engine, Source::Empty).await, make(engine, Source::Empty).await);
        for database in ["postgres", "template1", other.names.database.as_str()] {
            let elsewhere = Access { database: database.to_owned(), ..made.access.clone() };
            let refused = connect(engine, &elsewhere).await.err().unwrap();
            let crate::postgres::ConnectError::Refused { source, .. } = refused else { panic!("{refused}") };
            assert_eq!(code(&source), "42501", "{database}");
        }
        let client = connect(engine, &made.access).await.unwrap();
        for forbidden in [
            "CREATE ROLE intruder",
            "CREATE DATABASE intruder",
            "SELECT pg_read_file('/etc/passwd')",
            "CREATE TABLE t (x text); COPY t FROM '/etc/passwd'",
            "CREATE TABLE t (x text); COPY t FROM PROGRAM 'id'",
            "SET temp_file_limit = -1",
            "SELECT rolpassword FROM pg_authid",
            "ALTER SYSTEM SET log_statement = 'all'",
            &format!("ALTER DATABASE {} RENAME TO mine", made.names.database),
            &format!("ALTER ROLE {} CONNECTION LIMIT 1000", made.names.role),
            &format!("COMMENT ON DATABASE {} IS 'mine'", made.names.database),
            &format!("SET ROLE {}", other.names.role),
        ] {
            let error = client.batch_execute(forbidden).await.unwrap_err();
            assert_eq!(code(&error), "42501", "{forbidden}: {error:?}");
        }
        let drop = format!("DROP DATABASE {}", made.names.database);
        assert!(client.batch_execute(&drop).await.is_err());
        for allowed in [
            "CREATE TABLE t (x text)",
            "CREATE SCHEMA app",
            "CREATE TEMPORARY TABLE u (x text)",
            "CREATE EXTENSION pgcrypto",
        ] {
            client.batch_execute(allowed).await.unwrap();
        }
        client.batch_execute("CREATE TABLE app.v (x text); INSERT INTO app.v VALUES ('seen')").await.unwrap();

        let reader = connect(engine, &made.reader).await.unwrap();
        let seen = reader.query_one("SELECT x FROM app.v", &[]).await.unwrap();
        assert_eq!(seen.get::<_, &str>("x"), "seen");
        for forbidden in ["INSERT INTO t VALUES ('x')", "CREATE TABLE w (x text)"] {
            let sql = format!("SET default_transaction_read_only = off; {forbidden}");
            let error = reader.batch_execute(&sql).await.unwrap_err();
            assert!(["42501", "25006"].contains(&code(&error)), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn extensions_come_from_the_allow_list() {
    on_each_server(async |engine| {
        let names = InstanceNames::new(&Uuid::new_v4().simple().to_string()).unwrap();
        let password = Secret::generate();
        let create = async |extensions: &[String]| {
            let identity = identity("x", 1);
            let (password, reader_password) = (&password, &password);
            let spec = InstanceSpec {
                names: &names,
                password,
                reader_password,
                identity: &identity,
                source: Source::Empty,
                extensions,
            };
            engine.create_instance(&spec).await
        };
        let refused = create(&["dblink".to_owned()]).await.unwrap_err();
        assert!(matches!(refused, EngineError::ExtensionNotAllowed { .. }));
        assert_eq!(engine.place(&names.database).await.unwrap(), Place::Nothing);
        create(&["hstore".to_owned()]).await.unwrap();
        let client = connect(engine, &names.access(&password)).await.unwrap();
        client.batch_execute("SELECT 'a=>1'::hstore; CREATE EXTENSION IF NOT EXISTS hstore").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn publishing_swaps_under_live_sessions() {
    on_each_server(async |engine| {
        let (first, second) = (make(engine, Source::Empty).await, make(engine, Source::Empty).await);
        let name = format!("acme_shop_pr_{}", &first.id[..8]);
        let public = InstanceNames::of(&name).unwrap();
        let trash = InstanceNames::trash(&first.id).unwrap();
        let unused = InstanceNames::trash("unused").unwrap();
        engine.publish(&first.names, &public, &unused, &identity("a", 1)).await.unwrap();
        let old = connect(engine, &public.access(&first.access.password)).await.unwrap();
        old.batch_execute("CREATE TABLE generation_1 (id int)").await.unwrap();
        let waiting = connect(engine, &second.access).await.unwrap();

        engine.publish(&second.names, &public, &trash, &identity("b", 2)).await.unwrap();
        engine.publish(&second.names, &public, &trash, &identity("b", 2)).await.unwrap();
        assert!(old.batch_execute("SELECT 1").await.is_err());
        assert!(waiting.batch_execute("SELECT 1").await.is_err());
        let new = connect(engine, &public.access(&second.access.password)).await.unwrap();
        let error = new.batch_execute("SELECT * FROM generation_1").await.unwrap_err();
        assert_eq!(code(&error), "42P01");
        assert!(connect(engine, &public.access(&first.access.password)).await.is_err());
        assert!(connect(engine, &trash.access(&first.access.password)).await.is_err());
        assert_eq!(engine.place(&public.database).await.unwrap(), Place::Ours(Some(identity("b", 2))));
        connect(engine, &public.reader_access(&second.reader.password)).await.unwrap();

        let found = engine.inventory().await.unwrap();
        let record = found.iter().find(|record| record.name == name).unwrap();
        assert!(record.size_bytes > 1_000_000 && record.identity == Some(identity("b", 2)));
        assert!(engine.roles().await.unwrap().contains(&format!("{name}_ro")));
        for instance in [&public, &trash] {
            assert!(engine.discard(instance).await.unwrap());
            assert!(!engine.discard(instance).await.unwrap());
        }
        let left = engine.inventory().await.unwrap();
        assert!(left.iter().all(|record| record.name != name && record.name != trash.database.as_str()));
        assert!(!engine.roles().await.unwrap().contains(&name));
    })
    .await;
}

/// A server that goes away while it drops a database leaves one that can only be renamed and dropped.
#[tokio::test]
async fn what_was_half_dropped_is_retired_and_dropped() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let admin = engine.client("set a test up").await.unwrap();
        let mark = "update pg_database set datconnlimit = -2 where datname = $1::text::name";
        assert_eq!(admin.execute(mark, &[&made.names.database.as_str()]).await.unwrap(), 1);
        assert!(!engine.stands(&made.names.database).await.unwrap());
        let trash = InstanceNames::trash(&made.id).unwrap();
        engine.retire(&made.names, &trash).await.unwrap();
        assert_eq!(engine.place(&made.names.database).await.unwrap(), Place::Nothing);
        assert!(engine.discard(&trash).await.unwrap());
        assert_eq!(engine.place(&trash.database).await.unwrap(), Place::Nothing);
    })
    .await;
}

#[tokio::test]
async fn a_branch_cannot_keep_another_from_being_dropped() {
    on_each_server(async |engine| {
        let (hostile, victim) = (make(engine, Source::Empty).await, make(engine, Source::Empty).await);
        let role = &victim.names.role;
        let sql = format!(
            "CREATE TABLE t (id int); GRANT ALL ON t TO {role}, {reader}; CREATE POLICY p ON t TO {role} USING (true);
             ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}; GRANT USAGE ON SCHEMA public TO {role};",
            reader = victim.names.reader
        );
        connect(engine, &hostile.access).await.unwrap().batch_execute(&sql).await.unwrap();
        engine.discard(&victim.names).await.unwrap();
        let left = engine.roles().await.unwrap();
        assert!(!left.contains(&victim.access.role) && !left.contains(&victim.reader.role));
        engine.discard(&hostile.names).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_offshoot_did_not_make_it_does_not_drop() {
    on_each_server(async |engine| {
        let name = format!("shop_{}", Uuid::new_v4().simple());
        let names = InstanceNames::of(&name).unwrap();
        let client = engine.client("set a test up").await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {}", names.database)).await.unwrap();
        client.batch_execute(&format!("CREATE ROLE {}", names.role)).await.unwrap();
        assert!(matches!(engine.discard(&names).await, Err(EngineError::NotOurs { .. })));
        assert!(matches!(engine.drop_role(&names.role).await, Err(EngineError::NotOurs { .. })));
        let made = make(engine, Source::Empty).await;
        let published =
            engine.publish(&made.names, &names, &InstanceNames::trash("x").unwrap(), &identity("a", 1)).await;
        assert!(matches!(published, Err(EngineError::NotOurs { .. })));
        assert_eq!(engine.place(&names.database).await.unwrap(), Place::Foreign);
        assert_eq!(engine.place(&Ident::new("postgres").unwrap()).await.unwrap(), Place::Foreign);
        client.batch_execute(&format!("DROP DATABASE {}", names.database)).await.unwrap();
        client.batch_execute(&format!("DROP ROLE {}", names.role)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn names_and_texts_are_quoted_as_the_server_quotes_them() {
    on_each_server(async |engine| {
        let client = engine.client("compare quotes").await.unwrap();
        for text in ["plain", "we\"ird", "it's", "back\\slash", "\\'; drop", "é\u{1F600}", " "] {
            let (ident, literal) = (Ident::new(text).unwrap(), Literal(text));
            for setting in ["on", "off"] {
                let sql = format!("SET standard_conforming_strings = {setting}; SELECT {literal} AS {ident}");
                let answer = client.simple_query(&sql).await.unwrap();
                let row = answer.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                let row = row.unwrap();
                assert_eq!((row.columns()[0].name(), row.get(0)), (text, Some(text)), "{setting}");
            }
        }
    })
    .await;
}

/// A database may be dropped between being listed and being measured: PostgreSQL 18 fails the whole query then.
#[tokio::test]
async fn a_database_that_goes_while_it_is_measured_is_passed_by() {
    on_each_server(async |engine| {
        let client = engine.client("set a test up").await.unwrap();
        match client.query("select pg_catalog.pg_database_size(4000000000::oid) as size", &[]).await {
            Ok(rows) => assert_eq!(rows[0].get::<_, Option<i64>>("size"), None),
            Err(error) => assert_eq!(code(&error), "42704"),
        }
        let goes_twice = "
            create temp sequence asked;
            create function pg_temp.size() returns bigint language plpgsql as $$ begin
                if nextval('asked') < 3 then raise undefined_object; end if;
                return 7;
            end $$";
        client.batch_execute(goes_twice).await.unwrap();
        let rows = measure(&client, "select pg_temp.size() as size", &[]).await.unwrap();
        assert_eq!(rows[0].get::<_, i64>("size"), 7);
        let error = measure(&client, "select nobody from pg_catalog.pg_database", &[]).await.unwrap_err();
        assert_eq!(code(&error), "42703", "another error is one");
    })
    .await;
}
