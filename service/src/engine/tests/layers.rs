use std::time::Duration;

use super::*;
use crate::domain::layer::LayerKey;

/// One of everything that a plain role can make.
pub(super) const OBJECTS: &str = "
    CREATE SCHEMA app;
    CREATE TABLE app.users (id serial PRIMARY KEY, name text);
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE VIEW names AS SELECT name FROM app.users;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM app.users;
    CREATE FUNCTION two() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 2 END; END;
    CREATE SEQUENCE numbers;
    CREATE PUBLICATION news FOR TABLE app.users;
    CREATE STATISTICS stats ON id, name FROM app.users;
    CREATE EXTENSION pgcrypto;
    SELECT lo_create(0);
    REVOKE ALL ON app.users FROM PUBLIC;
    GRANT SELECT ON app.users TO PUBLIC;
    ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON app.users TO CURRENT_USER USING (true);
    ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    INSERT INTO app.users (name) VALUES ('Ann');";

/// Whatever still depends on a role in a database.
fn dependencies(role: &Ident) -> String {
    format!(
        "SELECT classid::regclass, objid, deptype FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
         AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = {})
         AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
        Literal(role.as_str())
    )
}

pub(super) async fn layer(engine: &Engine) -> (LayerNames, LayerKey) {
    layer_of(engine, &[OBJECTS]).await
}

async fn layer_of(engine: &Engine, scripts: &[&str]) -> (LayerNames, LayerKey) {
    let made = make(engine, Source::Empty).await;
    for (number, script) in (1_usize..).zip(scripts) {
        engine.replay(&made.access, &[migration(&number.to_string(), script)], &mut |_| {}).await.unwrap();
    }
    let key = LayerKey::recorded(Uuid::new_v4().simple().to_string().repeat(2));
    let layer = LayerNames::of(&key).unwrap();
    assert!(!engine.layer_is_complete(&layer).await.unwrap());
    let _session = connect(engine, &made.access).await.unwrap();
    engine.freeze(&made.names, &layer, &key).await.unwrap();
    assert!(engine.layer_is_complete(&layer).await.unwrap());
    engine.freeze(&made.names, &layer, &key).await.unwrap();
    let access = Access {
        database: layer.database.as_str().to_owned(),
        role: layer.owner.as_str().to_owned(),
        ..made.access
    };
    assert!(connect(engine, &access).await.is_err(), "a layer takes no sessions");
    (layer, key)
}

#[tokio::test]
async fn a_clone_of_a_layer_is_wholly_its_new_owner_s() {
    on_each_server(async |engine| {
        let (layer, _) = layer(engine).await;
        let (made, twin) = tokio::join!(make(engine, Source::Layer(&layer)), make(engine, Source::Layer(&layer)));
        assert_eq!(ask(engine, &made.names.database, &dependencies(&layer.owner)).await, [[]; 0] as [[Option<String>; 0]; 0]);

        let client = connect(engine, &made.access).await.unwrap();
        let row = client.query_one("SELECT name, two() AS two FROM app.users", &[]).await.unwrap();
        assert_eq!((row.get::<_, &str>("name"), row.get::<_, i32>("two")), ("Ann", 2));
        for owned in [
            "ALTER TABLE app.users ADD COLUMN age positive",
            "ALTER TYPE mood ADD VALUE 'calm'",
            "ALTER DOMAIN positive DROP NOT NULL",
            "DROP VIEW names",
            "REFRESH MATERIALIZED VIEW counted",
            "CREATE OR REPLACE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 3'",
            "ALTER SEQUENCE numbers RESTART",
            "SELECT nextval('app.users_id_seq')",
            "ALTER PUBLICATION news SET (publish = 'insert')",
            "DROP STATISTICS stats",
            "DROP EXTENSION pgcrypto",
            "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
            "DROP POLICY own ON app.users",
            "CREATE TABLE fresh (id int)",
            "CREATE TABLE app.fresh (id int); CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP SCHEMA app CASCADE",
        ] {
            client.batch_execute(owned).await.unwrap_or_else(|error| panic!("{owned}: {error:?}"));
        }
        let privileges = "SELECT has_table_privilege('public', 'app.fresh', 'SELECT'),
                                 has_function_privilege('public', 'fresh()', 'EXECUTE')";
        let other = connect(engine, &twin.access).await.unwrap();
        other.batch_execute("CREATE TABLE app.fresh (id int); CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'").await.unwrap();
        let row = other.query_one(privileges, &[]).await.unwrap();
        assert_eq!((row.get::<_, bool>(0), row.get::<_, bool>(1)), (true, false), "default privileges are kept");

        engine.drop_layer(&layer).await.unwrap();
        engine.drop_layer(&layer).await.unwrap();
        other.batch_execute("SELECT * FROM app.users").await.unwrap();
    })
    .await;
}

/// What else a plain role can own, grant or be granted.
const MORE_OBJECTS: &str = "
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE span AS RANGE (subtype = int);
    CREATE TABLE parts (id int) PARTITION BY RANGE (id);
    CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9);
    CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
    CREATE COLLATION plain FROM \"C\";
    CREATE CONVERSION narrow FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
    CREATE TEXT SEARCH DICTIONARY simply (TEMPLATE = simple);
    CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
    CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int);
    CREATE PROCEDURE nothing() LANGUAGE sql AS '';
    GRANT SELECT (name), UPDATE (name) ON app.users TO PUBLIC;
    GRANT SELECT (name) ON app.users TO CURRENT_USER WITH GRANT OPTION;
    GRANT USAGE ON SCHEMA app TO offshoot_readers WITH GRANT OPTION;
    GRANT EXECUTE ON FUNCTION two() TO CURRENT_USER WITH GRANT OPTION;
    REVOKE USAGE ON TYPE mood FROM PUBLIC;
    SELECT lo_create(77);
    GRANT SELECT ON LARGE OBJECT 77 TO offshoot_readers;
    ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO CURRENT_USER WITH GRANT OPTION;";

/// What depends on which role in a database, its owner called `OWNER`.
fn ownership(owner: &Ident) -> String {
    format!(
        "SELECT replace(pg_describe_object(classid, objid, objsubid), {0}, 'OWNER'), deptype::text, replace(refobjid::regrole::text, {0}, 'OWNER')
         FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
         AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND refobjid::regrole::text !~ '^pg_'
         ORDER BY 1, 2, 3",
        Literal(owner.as_str())
    )
}

/// Every column of the catalogues that could speak of a role, as a question whether it speaks of this one.
const MENTIONS: &str = "
    SELECT format('SELECT %L, count(*)::text FROM pg_catalog.%I WHERE %s HAVING count(*) > 0', c.relname || '.' || a.attname, c.relname,
        CASE a.atttypid
            WHEN 'oid'::regtype THEN format('%I = (SELECT oid FROM pg_roles WHERE rolname = %L)', a.attname, $1::text)
            WHEN 'oid[]'::regtype THEN format('(SELECT oid FROM pg_roles WHERE rolname = %L) = ANY (%I)', $1::text, a.attname)
            ELSE format('strpos(%I::text, %L) > 0', a.attname, $1::text) END)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND NOT c.relisshared AND a.attnum > 0
        AND (a.atttypid = 'aclitem[]'::regtype OR a.atttypid = 'oid'::regtype AND a.attname ~ '(owner|role|user)$'
             OR a.attname = 'polroles')";

#[tokio::test]
async fn nothing_in_a_clone_speaks_of_the_layer_s_owner() {
    on_each_server(async |engine| {
        let (layer, _) = layer_of(engine, &[OBJECTS, MORE_OBJECTS]).await;
        engine.reopen(&layer.database).await.unwrap();
        let before = ask(engine, &layer.database, &ownership(&layer.owner)).await;
        engine.close(&layer.database).await.unwrap();
        let made = make(engine, Source::Layer(&layer)).await;
        let client = engine.client_in(&made.names.database).await.unwrap();
        let questions = client.query(MENTIONS, &[&layer.owner.as_str()]).await.unwrap();
        assert!(questions.len() > 20, "{}", questions.len());
        for question in questions {
            let found = client.query(question.get::<_, &str>(0), &[]).await.unwrap();
            let found: Vec<(&str, &str)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
            assert_eq!(found, [], "the layer's owner is still mentioned");
        }
        let after = ask(engine, &made.names.database, &ownership(&made.names.role)).await;
        assert!(before.len() > 40, "{before:?}");
        assert_eq!(after, before);
        let own = connect(engine, &made.access).await.unwrap();
        for allowed in [
            "DROP OPERATOR === (int, int); DROP COLLATION plain; DROP CONVERSION narrow; DROP AGGREGATE total (int)",
            "DROP TEXT SEARCH CONFIGURATION words; DROP TEXT SEARCH DICTIONARY simply; DROP TYPE pair, span; DROP TABLE parts",
            "REVOKE ALL ON app.users FROM PUBLIC, offshoot_readers; GRANT EXECUTE ON FUNCTION two() TO offshoot_readers",
            "SELECT lo_unlink(77); DROP PROCEDURE nothing()",
        ] {
            own.batch_execute(allowed).await.unwrap_or_else(|error| panic!("{allowed}: {error:?}"));
        }
        engine.discard(&made.names).await.unwrap();
        engine.drop_layer(&layer).await.unwrap();
        assert!(!engine.roles().await.unwrap().contains(&layer.owner.as_str().to_owned()));
    })
    .await;
}

#[tokio::test]
async fn one_process_at_a_time_builds_a_layer() {
    on_each_server(async |engine| {
        let key = LayerKey::recorded(Uuid::new_v4().simple().to_string().repeat(2));
        let held = engine.layer_lock(&key).await.unwrap();
        let second = engine.layer_lock(&key);
        tokio::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut second).await.is_err(), "it waits");
        drop(held);
        tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
    })
    .await;
}
