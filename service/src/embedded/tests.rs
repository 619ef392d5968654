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
