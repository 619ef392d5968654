//! No database is begun for which there is no room.

use super::*;
use crate::domain::room::Floor;
use crate::domain::size::ByteSize;
use crate::engine::EngineError;

#[tokio::test]
async fn what_would_go_below_the_floor_leaves_nothing_behind() {
    on_each_server(async |engine| {
        let disk = engine.disk().await.unwrap().expect("this machine has df");
        assert!(disk.free_bytes > 0 && disk.free_bytes < disk.size_bytes, "{disk:?}");
        let mut full = engine.clone();
        full.room = super::super::room::Room::new(Floor::Bytes(ByteSize(1 << 52)));

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
