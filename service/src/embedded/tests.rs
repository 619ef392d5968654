use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

/// The installations to test with: the oldest and the newest that this machine has.
pub(crate) fn installations() -> Vec<PathBuf> {
    let newest = find::find(None, None).expect("a PostgreSQL to test with");
    let mut bins = vec![newest.bin];
    bins.extend([14, 15, 16, 17].into_iter().find_map(|major| {
        let other = find::find(None, Some(major)).ok()?;
        (other.major == major).then_some(other.bin)
    }));
    bins
}

/// A data directory that the server's user can reach.
fn data_dir() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("offshoot-").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[tokio::test]
async fn a_server_starts_keeps_its_secret_and_is_taken_over_after_a_kill() {
    for bin in installations() {
        let directory = data_dir();
        let settings =
            EmbeddedSettings { data_dir: directory.path().to_owned(), postgres_bin: Some(bin.clone()) };
        let server = Embedded::start(&settings).await.unwrap();
        let url = server.administrator_url();
        let client = postgres::connect(&url).await.unwrap();
        client.batch_execute("create table kept (id int)").await.unwrap();
        let durable = "select 1 from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'on'";
        assert_eq!(client.query(durable, &[]).await.unwrap().len(), 3, "the control database is here too");
        let pid = |text: String| text.lines().next().map(str::to_owned);
        let pid_file = directory.path().join("embedded/pgdata/postmaster.pid");
        let before = pid(std::fs::read_to_string(&pid_file).unwrap());

        let password = directory.path().join("embedded/password");
        assert_eq!(password.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Embedded::start(&settings).await, Err(EmbeddedError::InUse { .. })));

        // What a killed service leaves: the server runs, nobody holds the lock, nothing was dropped.
        let mut killed = server;
        killed.running = false;
        drop(killed);
        let adopted = Embedded::start(&settings).await.unwrap();
        assert_eq!(pid(std::fs::read_to_string(&pid_file).unwrap()), before);
        assert_eq!(adopted.administrator_url(), url);
        client.batch_execute("select * from kept").await.unwrap();

        adopted.stop().await.unwrap();
        assert!(!pid_file.exists());
        let again = Embedded::start(&settings).await.unwrap();
        assert_eq!(again.administrator_url(), url, "the port is kept");
        postgres::connect(&url).await.unwrap().batch_execute("select * from kept").await.unwrap();
        again.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_refused_statement_leave_no_sql_in_the_log() {
    let directory = data_dir();
    let settings = EmbeddedSettings { data_dir: directory.path().to_owned(), postgres_bin: None };
    let server = Embedded::start(&settings).await.unwrap();
    let client = postgres::connect(&server.administrator_url()).await.unwrap();
    client.batch_execute("select 'a secret of the pull request' from nowhere").await.unwrap_err();
    server.stop().await.unwrap();
    let logs = std::fs::read_dir(directory.path().join("embedded/pgdata/log")).unwrap();
    for log in logs {
        let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(!text.contains("a secret") && !text.contains("nowhere"), "{text}");
    }
}

/// Needs root and mkfs.xfs, as `make test` has them in its container.
#[tokio::test]
async fn on_a_volume_of_its_own_a_clone_shares_its_template_s_blocks() {
    let Some(mounted) = MountedVolume::make() else { return };
    let settings = EmbeddedSettings { data_dir: mounted.directory.path().to_owned(), postgres_bin: None };
    let server = Embedded::start(&settings).await.unwrap();
    if server.installation.major < 18 {
        eprintln!("SKIPPED: only PostgreSQL 18 clones files, and this is {}", server.version());
        return;
    }
    let client = postgres::connect(&server.administrator_url()).await.unwrap();
    client.batch_execute("CREATE DATABASE large").await.unwrap();
    let large = server.administrator_url().expose().replace("/postgres?", "/large?");
    let inside = postgres::connect(&Secret::new(&large)).await.unwrap();
    let fill = "CREATE TABLE t AS SELECT repeat(md5(i::text), 31) FROM generate_series(1, 64000) AS i";
    inside.batch_execute(fill).await.unwrap();
    drop(inside);

    let engine = crate::engine::Engine::connect(crate::engine::EngineSettings {
        administrator_url: server.administrator_url(),
        address: None,
        control_database: None,
        limits: crate::engine::Limits::default(),
        allowed_extensions: Vec::new(),
        floor: crate::domain::room::Floor::default(),
        pool_size: 2,
        shares_control_server: false,
    })
    .await
    .unwrap();
    // What is measured while everything else on the machine runs may be anything, for as long as that lasts.
    let mut measured = Vec::new();
    let found = loop {
        let methods = engine.calibrate_clones(&tokio_util::sync::CancellationToken::new()).await.unwrap();
        let found = methods.shares_blocks() == Some(true)
            && methods.choose(crate::engine::Extent::of_bytes(1 << 30))
                == crate::engine::CloneMethod::CloneFiles;
        measured.push(methods);
        if found || measured.len() == 32 {
            break found;
        }
    };
    assert!(found, "{measured:?}");

    client.batch_execute("CHECKPOINT").await.unwrap();
    let free = || mounted.volume.standing().unwrap().free.unwrap().0;
    let before = free();
    client.batch_execute("SET file_copy_method = clone").await.unwrap();
    client.batch_execute("CREATE DATABASE copy TEMPLATE large STRATEGY FILE_COPY").await.unwrap();
    let row = client.query_one("SELECT pg_database_size('copy') AS size", &[]).await.unwrap();
    let (size, taken) = (row.get::<_, i64>("size") as u64, before.saturating_sub(free()));
    assert!(size > 64 << 20, "{size}");
    assert!(taken < size / 4, "a clone of {size} bytes took {taken}");
    engine.end_sessions();
    drop(client);
    server.stop().await.unwrap();
}

/// A small volume in a directory that goes when this does.
struct MountedVolume {
    volume: volume::Volume,
    directory: tempfile::TempDir,
}

impl MountedVolume {
    /// None, and said so, where this machine cannot have one.
    fn make() -> Option<Self> {
        let directory = data_dir();
        let made = volume::Volume::of(directory.path()).unwrap();
        let wish = volume::Wish::Create("1G".parse().unwrap());
        match made.bring_about(wish) {
            Ok(steps) => assert_eq!(steps.len(), 3),
            Err(volume::VolumeError::Refused(
                why
                @ (volume::Refusal::NotRoot | volume::Refusal::NoTool | volume::Refusal::NotNeeded { .. }),
            )) => {
                eprintln!("SKIPPED: {why}");
                return None;
            }
            // A container without the right to mount.
            Err(volume::VolumeError::Command { command, output }) if command.starts_with("mount") => {
                eprintln!("SKIPPED: `{command}`: {output}");
                return None;
            }
            Err(error) => panic!("{error}"),
        }
        let mounted = Self { volume: made, directory };
        assert_eq!(mounted.volume.bring_about(wish).unwrap(), [], "it stands");
        let image = mounted.volume.image().metadata().unwrap();
        assert_eq!(image.permissions().mode() & 0o777, 0o600, "every database is in it");
        mounted.is_missed_when_it_is_not_mounted();
        Some(mounted)
    }

    /// A start before the mount would begin a second server in the directory below.
    fn is_missed_when_it_is_not_mounted(&self) {
        self.unmount();
        let missed = Cluster::open(self.directory.path());
        assert!(matches!(missed, Err(EmbeddedError::Unmounted { .. })), "{missed:?}");
        assert_eq!(self.volume.bring_about(volume::Wish::Mount).unwrap(), [volume::Step::Mount]);
    }

    fn unmount(&self) {
        let status = std::process::Command::new("umount").arg(self.volume.mount_point()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for MountedVolume {
    fn drop(&mut self) {
        // A server that a failed test left may still be on it: lazily, so that the directory can go.
        _ = std::process::Command::new("umount").arg("--lazy").arg(self.volume.mount_point()).status();
    }
}
