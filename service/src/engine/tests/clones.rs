use tokio_util::sync::CancellationToken;

use super::*;

/// What measuring begins with, and takes long enough for to be seen.
const FILLING: &str = "CREATE TABLE public.filler%";

#[tokio::test]
async fn every_method_is_measured_with_databases_that_are_gone_afterwards() {
    on_each_server(async |engine| {
        let before = engine.clone_methods();
        assert!(before.methods().all(|method| before.cost(method).is_none()));
        for statement in [FILLING, "CREATE DATABASE %\\_b\" %", "DROP DATABASE %\\_b\" %"] {
            // One that is over too soon to be seen comes again.
            let mut seen = false;
            for _ in 0..10 {
                seen = seen || stop_at(engine, statement).await;
            }
            assert!(seen, "{statement} was never seen");
        }
        let measured = engine.calibrate_clones(&CancellationToken::new()).await.unwrap();
        for method in engine.server().clone_methods() {
            let cost = measured.cost(*method).unwrap();
            assert!(cost.of(Extent::of_bytes(7 << 20)) > 0.0, "{method}: {cost:?}");
        }
        assert_eq!(measured, engine.clone_methods(), "whoever clones next uses it");
        let chosen = measured.choose(Extent::of_bytes(1 << 30));
        assert!(engine.server().clone_methods().contains(&chosen));
        assert_eq!(scratch(engine).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_clone_by_each_method_is_the_same_database() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let client = connect(engine, &made.access).await.unwrap();
        client.batch_execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS i").await.unwrap();
        drop(client);
        let administrator = engine.client("clone").await.unwrap();
        for method in engine.server().clone_methods() {
            let copy = InstanceNames::new(&Uuid::new_v4().simple().to_string()).unwrap();
            engine
                .clone_by(&administrator, &copy.database, &made.names.database, *method, Extent::of_bytes(0))
                .await
                .unwrap_or_else(|error| panic!("{method}: {error:?}"));
            let inside = engine.client_in(&copy.database).await.unwrap();
            let sum = inside.query_one("SELECT sum(i)::int AS sum FROM public.kept", &[]).await.unwrap();
            assert_eq!(sum.get::<_, i32>("sum"), 500_500, "{method}");
            drop(inside);
            engine.discard(&copy).await.unwrap();
        }
    })
    .await;
}

/// Measuring that is told to stop during a statement is gone as well, and a sweep passes it by while it is there. Whether the statement was
/// seen.
async fn stop_at(engine: &Engine, statement: &str) -> bool {
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    let measuring = async {
        let measured = engine.calibrate_clones(&stop).await;
        over.cancel();
        measured
    };
    let watching = async {
        let client = engine.client("watch").await.unwrap();
        let seen = "select 1 from pg_catalog.pg_stat_activity where state = 'active' and query like $1";
        while client.query(seen, &[&statement]).await.unwrap().is_empty() {
            if over.is_cancelled() {
                return false;
            }
        }
        if statement == FILLING {
            for name in scratch(engine).await {
                let names = InstanceNames::of(&name).unwrap();
                assert!(!engine.instance_is_unattended(&names).await.unwrap(), "{name}");
            }
        }
        stop.cancel();
        true
    };
    let both = async { tokio::join!(measuring, watching) };
    let (measured, seen) = tokio::time::timeout(Duration::from_secs(120), both).await.unwrap();
    measured.unwrap();
    assert_eq!(scratch(engine).await, Vec::<String>::new(), "stopped at {statement}");
    seen
}

/// The databases of a measuring. Other tests' instances have no such ends.
async fn scratch(engine: &Engine) -> Vec<String> {
    let databases = engine.inventory().await.unwrap().into_iter().map(|database| database.name);
    databases.filter(|name| ["_a", "_b", "_c"].iter().any(|end| name.ends_with(end))).collect()
}
