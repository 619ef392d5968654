use super::*;
use crate::engine::making::Making;

async fn process(making: &Making) -> i32 {
    making.client().query_one("SELECT pg_backend_pid() AS pid", &[]).await.unwrap().get("pid")
}

/// Waits until the lock of an instance's making went with its session.
async fn until_unattended(engine: &Engine, names: &InstanceNames) {
    for _ in 0..500 {
        if engine.instance_is_unattended(names).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the lock of {} is still held", names.database);
}

#[tokio::test]
async fn a_session_that_came_to_its_end_makes_the_next_instance_and_one_given_up_ends() {
    on_each_server(async |engine| {
        let names = || InstanceNames::new(&Uuid::new_v4().simple().to_string()).unwrap();
        let (first, second) = (names(), names());
        let making = engine.instance_lock(&first).await.unwrap();
        let kept = process(&making).await;
        assert!(!engine.instance_is_unattended(&first).await.unwrap());
        making.end().await;
        assert!(engine.instance_is_unattended(&first).await.unwrap());

        let making = engine.instance_lock(&second).await.unwrap();
        assert_eq!(process(&making).await, kept);
        let beside = engine.instance_lock(&first).await.unwrap();
        assert_ne!(process(&beside).await, kept, "two instances at once are two sessions'");
        drop((making, beside));
        until_unattended(engine, &first).await;
        until_unattended(engine, &second).await;
        let making = engine.instance_lock(&first).await.unwrap();
        assert_ne!(process(&making).await, kept, "what was given up is not used again");
    })
    .await;
}

#[tokio::test]
async fn a_kept_session_that_was_cut_off_costs_no_instance() {
    on_each_server(async |engine| {
        let names = InstanceNames::new(&Uuid::new_v4().simple().to_string()).unwrap();
        let making = engine.instance_lock(&names).await.unwrap();
        let kept = process(&making).await;
        making.end().await;
        let client = engine.client("cut a session off").await.unwrap();
        client.execute("SELECT pg_terminate_backend($1, 5000)", &[&kept]).await.unwrap();
        let making = engine.instance_lock(&names).await.unwrap();
        assert_ne!(process(&making).await, kept);
    })
    .await;
}
