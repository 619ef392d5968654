//! Against real servers: the newest and the oldest PostgreSQL that this machine has, shared by the tests that run at the same time.

mod clones;
mod fingerprints;
mod forks;
mod instances;
mod layers;
mod making;
mod replays;
mod room;
mod scarcity;
mod seeds;
mod warm;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::*;
use crate::domain::chain::MigrationFile;
use crate::domain::content::Content;
use crate::embedded::tests::installations;
use crate::embedded::{Embedded, EmbeddedSettings};

/// Stopped when the last test that uses it is through.
struct TestServer {
    embedded: Embedded,
    _directory: tempfile::TempDir,
}

static RUNNING: Mutex<Vec<Weak<TestServer>>> = Mutex::const_new(Vec::new());

async fn servers() -> Vec<Arc<TestServer>> {
    let mut running = RUNNING.lock().await;
    let bins = installations();
    let mut servers: Vec<_> = running.iter().filter_map(Weak::upgrade).collect();
    if servers.len() < bins.len() {
        servers.clear();
        for bin in &bins {
            servers.push(Arc::new(start(bin).await));
        }
        *running = servers.iter().map(Arc::downgrade).collect();
    }
    servers
}

async fn start(bin: &Path) -> TestServer {
    let directory = tempfile::Builder::new().prefix("offshoot-").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data_dir = directory.path().to_owned();
    let settings = EmbeddedSettings { data_dir, postgres_bin: Some(bin.to_owned()) };
    let embedded = Embedded::start(&settings).await.unwrap();
    // Nothing here outlives a crash, and dropping a database waits for a checkpoint.
    let client = crate::postgres::connect(&embedded.administrator_url()).await.unwrap();
    client.batch_execute("ALTER SYSTEM SET fsync = off").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    TestServer { embedded, _directory: directory }
}

/// Runs a test on each server, one after the other.
async fn on_each_server(test: impl AsyncFn(&Engine)) {
    with_limits(Limits::default(), test).await;
}

async fn with_limits(limits: Limits, test: impl AsyncFn(&Engine)) {
    for server in servers().await {
        let settings = EngineSettings {
            administrator_url: server.embedded.administrator_url(),
            address: None,
            control_database: None,
            limits: limits.clone(),
            allowed_extensions: vec!["hstore".to_owned()],
            floor: crate::domain::room::Floor::default(),
            pool_size: 4,
            shares_control_server: false,
        };
        test(&Engine::connect(settings).await.unwrap()).await;
    }
}

/// An instance and what it takes to use it.
struct Made {
    id: String,
    names: InstanceNames,
    access: Access,
    reader: Access,
}

async fn make(engine: &Engine, source: Source<'_>) -> Made {
    let id = Uuid::new_v4().simple().to_string();
    let names = InstanceNames::new(&id).unwrap();
    let (password, reader_password) = (Secret::generate(), Secret::generate());
    let spec = InstanceSpec {
        names: &names,
        password: &password,
        reader_password: &reader_password,
        identity: &identity(&id, 1),
        source,
        extensions: &[],
    };
    engine.create_instance(&spec).await.unwrap();
    Made { access: names.access(&password), reader: names.reader_access(&reader_password), id, names }
}

fn identity(sha: &str, generation: i32) -> Identity {
    Identity::new(Subject::Branch {
        repository: "acme/shop".to_owned(),
        pull_request: 42,
        database: "main".to_owned(),
        generation,
        sha: sha.to_owned(),
        fork: None,
    })
}

fn migration(name: &str, sql: impl AsRef<[u8]>) -> MigrationFile {
    let oid = "ab".repeat(20).parse().unwrap();
    MigrationFile::new(
        name,
        format!("m/{name}/migration.sql"),
        oid,
        &Content::new(Bytes::copy_from_slice(sql.as_ref())),
    )
}

async fn connect(engine: &Engine, access: &Access) -> Result<Client, crate::postgres::ConnectError> {
    crate::postgres::connect(&engine.url(access)).await
}

/// One row's text columns, seen by an administrator.
async fn ask(engine: &Engine, database: &Ident, sql: &str) -> Vec<Vec<Option<String>>> {
    let client = engine.client_in(database).await.unwrap();
    let answer = client.simple_query(sql).await.unwrap();
    let rows = answer.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        _ => None,
    });
    rows.collect()
}

/// The SQLSTATE with which a statement or a connection was refused.
fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("no code", |code| code.code())
}
