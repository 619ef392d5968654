use super::layers::OBJECTS;
use super::*;
use crate::domain::fingerprint::Fingerprint;

/// Changes, one after the other, of a database that has [`OBJECTS`]; each must show.
const CHANGES: [&str; 41] = [
    "CREATE TABLE fresh (id int)",
    "ALTER TABLE app.users ADD COLUMN age int",
    "ALTER TABLE app.users ALTER COLUMN age TYPE bigint",
    "ALTER TABLE app.users ALTER COLUMN name SET NOT NULL",
    "ALTER TABLE app.users ALTER COLUMN name SET DEFAULT 'x'",
    "ALTER TABLE app.users ALTER COLUMN name SET STORAGE PLAIN",
    "ALTER TABLE app.users ALTER COLUMN name SET STATISTICS 7",
    "ALTER TABLE app.users ADD CONSTRAINT short CHECK (length(name) < 9)",
    "ALTER TABLE app.users ADD CONSTRAINT unproven CHECK (length(name) < 9) NOT VALID",
    "ALTER TABLE app.users ADD CONSTRAINT self FOREIGN KEY (id) REFERENCES app.users DEFERRABLE",
    "ALTER TABLE app.users DROP CONSTRAINT users_pkey CASCADE",
    "ALTER TABLE app.users SET (fillfactor = 50)",
    "CREATE UNLOGGED TABLE quick (id int)",
    "ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE app.users REPLICA IDENTITY FULL",
    "CREATE INDEX by_name ON app.users (name)",
    "CREATE UNIQUE INDEX some_by_name ON app.users (name) WHERE id > 3",
    "ALTER TYPE mood ADD VALUE 'calm' BEFORE 'happy'",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    "ALTER DOMAIN positive SET DEFAULT 3",
    "ALTER DOMAIN positive ADD CHECK (VALUE < 9)",
    "CREATE TYPE pair AS (a int, b int)",
    "CREATE TYPE span AS RANGE (subtype = int4)",
    "CREATE OR REPLACE VIEW names AS SELECT upper(name) AS name FROM app.users",
    "CREATE OR REPLACE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 3'",
    "ALTER FUNCTION two() STABLE",
    "CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)",
    "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
     CREATE TRIGGER told AFTER INSERT ON app.users EXECUTE FUNCTION tell()",
    "CREATE RULE quiet AS ON DELETE TO app.users DO INSTEAD NOTHING",
    "ALTER POLICY own ON app.users USING (id > 0)",
    "ALTER SEQUENCE numbers INCREMENT 5",
    "ALTER SEQUENCE app.users_id_seq OWNED BY NONE",
    "GRANT UPDATE ON app.users TO PUBLIC",
    "GRANT UPDATE (name) ON app.users TO PUBLIC",
    "REVOKE EXECUTE ON FUNCTION two() FROM PUBLIC",
    "ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO PUBLIC",
    "COMMENT ON COLUMN app.users.name IS 'as on the passport'",
    "DROP EXTENSION pgcrypto",
    "ALTER PUBLICATION news SET (publish = 'insert')",
    "DROP TABLE app.users CASCADE",
    "ALTER ROLE CURRENT_USER SET search_path = app",
];

async fn print(engine: &Engine, made: &Made) -> Fingerprint {
    engine.fingerprint(&made.names, &made.access).await.unwrap()
}

#[tokio::test]
async fn equal_databases_have_equal_fingerprints_and_every_change_shows() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let twin = make(engine, Source::Empty).await;
        for made in [&made, &twin] {
            engine.replay(&made.access, &[migration("1", OBJECTS)], &mut |_| {}).await.unwrap();
        }
        let before = print(engine, &made).await;
        assert_eq!(before, print(engine, &twin).await, "two replays");
        assert!(before.lines().count() > 60, "{before:#?}");
        let mut last = before;
        for change in CHANGES {
            let client = connect(engine, &twin.access).await.unwrap();
            client.batch_execute(change).await.unwrap_or_else(|error| panic!("{change}: {error:?}"));
            let now = print(engine, &twin).await;
            assert_ne!(last, now, "{change}");
            assert_ne!(last.digest(), now.digest(), "{change}");
            last = now;
        }
    })
    .await;
}

#[tokio::test]
async fn a_clone_has_the_fingerprint_of_what_it_was_made_from() {
    on_each_server(async |engine| {
        let (layer, _) = super::layers::layer(engine).await;
        let clone = make(engine, Source::Layer(&layer)).await;
        let replayed = make(engine, Source::Empty).await;
        engine.replay(&replayed.access, &[migration("1", OBJECTS)], &mut |_| {}).await.unwrap();
        let (cached, fresh) = (print(engine, &clone).await, print(engine, &replayed).await);
        let only = |a: &Fingerprint, b: &Fingerprint| {
            let known: Vec<&str> = b.lines().collect();
            a.lines().filter(|line| !known.contains(line)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((only(&cached, &fresh), only(&fresh, &cached)), (vec![], vec![]));
        engine.drop_layer(&layer).await.unwrap();
    })
    .await;
}
