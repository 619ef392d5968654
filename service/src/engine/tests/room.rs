//! No database is begun for which there is no room.

use std::time::{Duration, Instant};

use super::*;
use crate::domain::room::{Disk, Floor};
use crate::domain::size::ByteSize;
use crate::engine::EngineError;
use crate::engine::clone::{LARGE_CLONES, LARGE_CLONES_END};
use crate::engine::room::Room;

#[tokio::test]
async fn what_would_go_below_the_floor_leaves_nothing_behind() {
    on_each_server(async |engine| {
        let disk = engine.disk().await.unwrap().expect("this machine has df");
        assert!(disk.free_bytes > 0 && disk.free_bytes < disk.size_bytes, "{disk:?}");
        let mut full = engine.clone();
        full.room = Room::new(Floor::Bytes(ByteSize(1 << 52)));

        let names = InstanceNames::new(&Uuid::new_v4().simple().to_string()).unwrap();
        let password = Secret::generate();
        let spec = InstanceSpec {
            names: &names,
            password: &password,
            reader_password: &password,
            identity: &Identity::new(Subject::Spare { spare: "none".to_owned() }),
            source: Source::Empty,
            extensions: &[],
        };
        let refused = full.create_instance(&spec).await.unwrap_err();
        assert!(matches!(refused, EngineError::NoRoom(_)) && refused.is_transient(), "{refused:?}");
        assert!(!full.has_room_to_spare().await.unwrap());
        assert_eq!(engine.place(&names.database).await.unwrap(), Place::Nothing);
        let roles = engine.roles().await.unwrap();
        assert!(!roles.iter().any(|role| role.starts_with(names.role.as_str())), "{roles:?}");
        engine.create_instance(&spec).await.unwrap();
        engine.discard(&names).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_large_clone_waits_for_another_replica_s_and_then_looks_at_the_disk_anew() {
    on_each_server(async |engine| {
        let made = make(engine, Source::Empty).await;
        let mut replica = engine.clone();
        // Beside so small a floor, every clone is a large one.
        replica.room = Room::new(Floor::Bytes(ByteSize(4 << 20)));
        let copy = InstanceNames::new(&Uuid::new_v4().simple().to_string()).unwrap();
        let other = engine.client("be another replica").await.unwrap();
        other.execute(LARGE_CLONES, &[]).await.unwrap();
        let session = replica.client("clone").await.unwrap();
        let mut cloned = Box::pin(replica.clone_database(&session, &copy.database, &made.names.database));
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut cloned).await.is_err());
        assert_eq!(engine.place(&copy.database).await.unwrap(), Place::Nothing);
        // As this replica knows the disk, there is no room.
        let full = Disk { free_bytes: 0, size_bytes: 100 << 30 };
        replica.room.ledger().measured(Some(full), Instant::now());
        other.execute(LARGE_CLONES_END, &[]).await.unwrap();
        (&mut cloned).await.unwrap();
        drop(cloned);
        assert_ne!(engine.place(&copy.database).await.unwrap(), Place::Nothing);

        replica.room = Room::new(Floor::Bytes(ByteSize(1 << 52)));
        let none = Ident::new("never_made").unwrap();
        replica.clone_database(&session, &none, &made.names.database).await.unwrap_err();
        let held = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
        assert_eq!(
            session.query_one(held, &[]).await.unwrap().get::<_, i64>(0),
            0,
            "a refusal keeps no lock"
        );
        engine.discard(&copy).await.unwrap();
    })
    .await;
}
