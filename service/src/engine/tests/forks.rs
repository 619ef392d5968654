use super::layers::layer;
use super::*;

/// A fork and what it takes to use it.
struct Forked {
    name: Ident,
    access: Access,
}

impl Forked {
    fn names(&self) -> InstanceNames {
        InstanceNames::of(self.name.as_str()).unwrap()
    }
}

async fn fork(engine: &Engine, session: &ForkSession<'_>, snapshot: &LayerNames) -> Forked {
    let id = Uuid::new_v4().simple().to_string();
    let name = Ident::new(&fork_name(&id)).unwrap();
    let password = Secret::generate();
    let spec = ForkSpec { name: &name, password: &password, identity: &identity(&id, 1), snapshot };
    session.begin(&name).await.unwrap();
    session.make(&spec).await.unwrap();
    let role = name.as_str().to_owned();
    assert_eq!(engine.place(&name).await.unwrap(), Place::Ours(Some(identity(&id, 1))));
    Forked { access: Access { database: role.clone(), role, password }, name }
}

#[tokio::test]
async fn a_fork_holds_what_its_snapshot_holds_and_may_do_what_a_branch_may() {
    on_each_server(async |engine| {
        let (snapshot, _) = layer(engine).await;
        let session = engine.fork_session().await.unwrap();
        let fork = fork(engine, &session, &snapshot).await;
        let client = connect(engine, &fork.access).await.unwrap();
        let who = client.query_one("SELECT current_user::text, session_user::text", &[]).await.unwrap();
        assert_eq!(who.get::<_, &str>(0), snapshot.owner.as_str());
        assert_eq!(who.get::<_, &str>(1), fork.access.role);
        for allowed in [
            "INSERT INTO app.users (name) VALUES ('Bob')",
            "ALTER TABLE app.users ADD COLUMN age positive",
            "DROP VIEW names",
            "CREATE SCHEMA more; CREATE TABLE more.t (x mood)",
            "CREATE TEMPORARY TABLE u (x text)",
            "CREATE EXTENSION citext",
            "REFRESH MATERIALIZED VIEW counted",
            "TRUNCATE app.users",
            // A pool of connections does this between two borrowers; the role is its own then, and still a member.
            "DISCARD ALL",
            "INSERT INTO app.users (name) VALUES ('Cid'); ALTER TABLE app.users DROP COLUMN age; CREATE TABLE own (x text)",
        ] {
            client.batch_execute(allowed).await.unwrap_or_else(|error| panic!("{allowed}: {error:?}"));
        }
        let limits = client.query_one("SELECT current_setting('statement_timeout'), current_setting('temp_file_limit')", &[]);
        let limits = limits.await.unwrap();
        assert_eq!((limits.get::<_, &str>(0), limits.get::<_, &str>(1)), ("1min", "1GB"));
        drop(client);
        engine.discard(&fork.names()).await.unwrap();
        assert_eq!(engine.place(&fork.name).await.unwrap(), Place::Nothing);
        assert!(!engine.roles().await.unwrap().contains(&fork.access.role));
        engine.drop_layer(&snapshot).await.unwrap();
        assert!(!engine.roles().await.unwrap().contains(&snapshot.owner.as_str().to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_fork_reaches_nothing_but_itself() {
    on_each_server(async |engine| {
        let (snapshot, _) = layer(engine).await;
        let session = engine.fork_session().await.unwrap();
        let (hostile, victim) =
            (fork(engine, &session, &snapshot).await, fork(engine, &session, &snapshot).await);
        let branch = make(engine, Source::Empty).await;
        for database in ["postgres", "template1", victim.name.as_str(), branch.names.database.as_str()] {
            let elsewhere = Access { database: database.to_owned(), ..hostile.access.clone() };
            let refused = connect(engine, &elsewhere).await.err().unwrap();
            let crate::postgres::ConnectError::Refused { source, .. } = refused else { panic!("{refused}") };
            assert_eq!(code(&source), "42501", "{database}");
        }
        let frozen = Access { database: snapshot.database.as_str().to_owned(), ..hostile.access.clone() };
        assert!(connect(engine, &frozen).await.is_err(), "a snapshot takes no sessions");
        let client = connect(engine, &hostile.access).await.unwrap();
        let (owner, mine, theirs) = (&snapshot.owner, &hostile.name, &victim.name);
        // As the common role, and as the login role that RESET and SET ROLE NONE lead back to.
        for become_ in ["RESET ROLE", "SET ROLE NONE"] {
            for forbidden in [
                "CREATE ROLE intruder".to_owned(),
                "CREATE DATABASE intruder".to_owned(),
                format!("GRANT {owner} TO {}", branch.names.role),
                format!("GRANT {mine} TO {owner}"),
                format!("SET ROLE {theirs}"),
                format!("SET SESSION AUTHORIZATION {owner}"),
                format!("ALTER ROLE {theirs} PASSWORD 'known'"),
                format!("ALTER ROLE {owner} LOGIN"),
                format!("ALTER ROLE {mine} CONNECTION LIMIT 1000"),
                format!("COMMENT ON DATABASE {mine} IS 'mine'"),
                format!("COMMENT ON ROLE {owner} IS 'mine'"),
                format!("ALTER DATABASE {mine} RENAME TO mine"),
                format!("DROP ROLE {theirs}"),
                "COPY app.users TO '/tmp/x'".to_owned(),
                "SET temp_file_limit = -1".to_owned(),
            ] {
                client.batch_execute(become_).await.unwrap();
                let error = client.batch_execute(&forbidden).await.expect_err(&forbidden);
                let refusals = ["42501", "0LP01", "0A000"];
                assert!(refusals.contains(&code(&error)), "{become_}; {forbidden}: {error:?}");
            }
        }
        // Of these the server only warns.
        for granted in [format!("{mine} TO PUBLIC"), format!("{theirs} TO {mine}")] {
            client.batch_execute(&format!("GRANT CONNECT ON DATABASE {granted}")).await.unwrap();
        }
        for (fork, other) in [(&hostile, &victim), (&victim, &hostile)] {
            let elsewhere = Access { database: other.access.database.clone(), ..fork.access.clone() };
            assert!(connect(engine, &elsewhere).await.is_err(), "a fork let another in");
        }
        for database in [theirs, &snapshot.database] {
            assert!(client.batch_execute(&format!("DROP DATABASE {database}")).await.is_err());
        }
        let theirs = connect(engine, &victim.access).await.unwrap();
        let process: i32 = theirs.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let kill = format!("SELECT pg_terminate_backend({process})");
        assert_eq!(code(&client.batch_execute(&kill).await.unwrap_err()), "42501");
        let seen = format!("SELECT query FROM pg_stat_activity WHERE pid = {process}");
        let seen = client.query_one(&seen, &[]).await.unwrap();
        assert_eq!(seen.get::<_, Option<&str>>(0), Some("<insufficient privilege>"));

        // What it can do to the common role is done in its own database alone.
        let sql = "SELECT set_config('role', session_user, false)";
        client
            .batch_execute(&format!("SET ROLE {owner}; DROP OWNED BY CURRENT_USER CASCADE; {sql}"))
            .await
            .unwrap();
        theirs
            .batch_execute(
                "CREATE SCHEMA still; CREATE TEMPORARY TABLE t (x text); INSERT INTO app.users VALUES (7)",
            )
            .await
            .unwrap();
        drop((client, theirs));
        connect(engine, &victim.access).await.unwrap();
    })
    .await;
}

/// What one fork granted to another's role does not keep that one from being dropped, and costs nobody else anything.
#[tokio::test]
async fn a_fork_cannot_keep_another_from_being_dropped() {
    on_each_server(async |engine| {
        let (snapshot, _) = layer(engine).await;
        let session = engine.fork_session().await.unwrap();
        let (hostile, victim) =
            (fork(engine, &session, &snapshot).await, fork(engine, &session, &snapshot).await);
        let client = connect(engine, &hostile.access).await.unwrap();
        let sql = format!(
            "GRANT ALL ON app.users TO {0}; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {0}",
            victim.name
        );
        client.batch_execute(&sql).await.unwrap();
        engine.discard(&victim.names()).await.unwrap();
        assert!(!engine.roles().await.unwrap().contains(&victim.access.role));
        client.query_one("SELECT name FROM app.users", &[]).await.unwrap();
        engine.discard(&hostile.names()).await.unwrap();
    })
    .await;
}

/// Whoever drops a fork waits until it is made, although whoever made it is gone.
#[tokio::test]
async fn a_fork_given_up_in_its_making_is_dropped() {
    on_each_server(async |engine| {
        let (snapshot, _) = layer(engine).await;
        let name = Ident::new(&fork_name(&Uuid::new_v4().simple().to_string())).unwrap();
        let (password, identity) = (Secret::generate(), identity("x", 1));
        let spec = ForkSpec { name: &name, password: &password, identity: &identity, snapshot: &snapshot };
        let session = engine.fork_session().await.unwrap();
        session.begin(&name).await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(4), session.make(&spec)).await;
        drop(session);
        engine.discard(&InstanceNames::of(name.as_str()).unwrap()).await.unwrap();
        assert_eq!(engine.place(&name).await.unwrap(), Place::Nothing, "given up: {}", given_up.is_err());
        assert!(!engine.roles().await.unwrap().contains(&name.as_str().to_owned()));
    })
    .await;
}
