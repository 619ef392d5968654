use super::*;
use crate::engine::Resource;

/// A server with little of what all share: 30 connections, 27 of them not a superuser's, and room for a few hundred locks.
async fn small(bin: &Path) -> (TestServer, Engine) {
    let TestServer { embedded, _directory } = start(bin).await;
    let client = crate::postgres::connect(&embedded.administrator_url()).await.unwrap();
    client.batch_execute("ALTER SYSTEM SET max_connections = 30").await.unwrap();
    client.batch_execute("ALTER SYSTEM SET max_locks_per_transaction = 10").await.unwrap();
    drop(client);
    embedded.stop().await.unwrap();
    let settings =
        EmbeddedSettings { data_dir: _directory.path().to_owned(), postgres_bin: Some(bin.to_owned()) };
    let embedded = Embedded::start(&settings).await.unwrap();
    let settings = EngineSettings {
        administrator_url: embedded.administrator_url(),
        address: None,
        control_database: None,
        limits: Limits::default(),
        allowed_extensions: Vec::new(),
        shares_control_server: false,
        floor: crate::domain::room::Floor::default(),
        pool_size: 2,
    };
    let engine = Engine::connect(settings).await.unwrap();
    (TestServer { embedded, _directory }, engine)
}

async fn fill(engine: &Engine, access: &Access, most: usize) -> Vec<Client> {
    let mut held = Vec::new();
    while held.len() < most {
        match connect(engine, access).await {
            Ok(client) => held.push(client),
            Err(_) => break,
        }
    }
    held
}

fn alive(clients: &[Client]) -> usize {
    clients.iter().filter(|client| !client.is_closed()).count()
}

#[tokio::test]
async fn locks_that_others_hold_are_not_the_author_s_fault() {
    for bin in installations() {
        let (_server, engine) = small(&bin).await;
        let (victim, other) = (make(&engine, Source::Empty).await, make(&engine, Source::Empty).await);
        let holder = connect(&engine, &other.access).await.unwrap();
        holder.batch_execute("SELECT pg_advisory_lock(i) FROM generate_series(1, 250) i").await.unwrap();
        let sql = "DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE 'CREATE TABLE t' || i || ' (id int)'; END LOOP; END $$;";
        let files = [migration("1", sql)];
        let outcome = engine.replay(&victim.access, &files, &mut |_| {}).await;
        let Err(ReplayError::Engine(error)) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(error, EngineError::UsedUp { resource: Resource::Locks, .. }), "{error:?}");
        assert!(error.is_transient());

        drop(holder);
        let free = async || {
            ask(&engine, &other.names.database, "select 1 from pg_locks where locktype = 'advisory'").await
        };
        while !free().await.is_empty() {}
        let outcome = engine.replay(&victim.access, &files, &mut |_| {}).await;
        let Err(ReplayError::Author { failure, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.sqlstate.as_deref(), Some("53200"));
    }
}

#[tokio::test]
async fn branches_leave_connections_to_the_service_and_to_one_another() {
    for bin in installations() {
        let (_server, engine) = small(&bin).await;
        // A half for all branches, of that a half for one role.
        assert_eq!(engine.limits().connections, 6);
        let (greedy, modest) = (make(&engine, Source::Empty).await, make(&engine, Source::Empty).await);
        let mut crowd = fill(&engine, &greedy.access, 50).await;
        assert_eq!(crowd.len(), 6);
        crowd.extend(fill(&engine, &greedy.reader, 50).await);
        let few = fill(&engine, &modest.access, 3).await;
        crowd.extend(fill(&engine, &modest.reader, 50).await);
        assert!(alive(&crowd) + alive(&few) > 13);

        let newcomer = make(&engine, Source::Empty).await;
        let files = [migration("1", "CREATE TABLE a(id int);")];
        engine.replay(&newcomer.access, &files, &mut |_| {}).await.unwrap();
        engine.enforce_limits().await.unwrap();
        let sql = "select 1 from pg_stat_activity where usename ~ '^offshoot_instance_'";
        while ask(&engine, &newcomer.names.database, sql).await.len() > 13 {}
        assert_eq!(alive(&few), 3, "who has few loses none");
    }
}

#[tokio::test]
async fn who_takes_every_connection_again_at_once_does_not_keep_a_replay_out() {
    for bin in installations() {
        let (_server, engine) = small(&bin).await;
        let made = make(&engine, Source::Empty).await;
        let (url, stop) = (engine.url(&made.access), tokio_util::sync::CancellationToken::new());
        let greed = (0..4).map(|_| {
            let (url, stop) = (url.clone(), stop.clone());
            tokio::spawn(async move {
                let mut held: Vec<Client> = Vec::new();
                while !stop.is_cancelled() {
                    held.retain(|client| !client.is_closed());
                    held.extend(crate::postgres::connect(&url).await.ok());
                }
            })
        });
        let greed: Vec<_> = greed.collect();
        let sql = format!("select 1 from pg_stat_activity where usename = '{}'", made.access.role);
        while ask(&engine, &made.names.database, &sql).await.len() < 6 {}
        let files = [migration("1", "CREATE TABLE a(id int);")];
        engine.replay(&made.access, &files, &mut |_| {}).await.unwrap();
        stop.cancel();
        for task in greed {
            task.await.unwrap();
        }
        connect(&engine, &made.access).await.expect("its password is what it was");
    }
}
