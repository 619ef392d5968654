//! A PostgreSQL server for the tests of this process, and a database for each test.
//!
//! `OFFSHOOT_TEST_DATABASE_URL` names a server to use; else one is started, as user `postgres` where root runs the tests.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::Store;
use crate::postgres::{self, Endpoint};
use crate::secret::{Secret, Vault};

/// A store with a database of its own.
pub(crate) struct TestStore {
    pub store: Store,
    pub endpoint: Endpoint,
    key: Secret,
}

impl TestStore {
    pub(crate) async fn new() -> Self {
        let test = Self::empty().await;
        test.store.migrate().await.unwrap();
        test
    }

    /// One whose database has no schema yet.
    pub(crate) async fn empty() -> Self {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        static SERVER: OnceCell<Secret> = OnceCell::const_new();
        let server = SERVER.get_or_init(server).await;
        let name = format!("store_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
        let client = postgres::connect(server).await.unwrap();
        client.batch_execute(&format!("create database {name}")).await.unwrap();
        let mut url: url::Url = server.expose().parse().unwrap();
        url.set_path(&name);
        let url = Secret::new(url);
        let key = Vault::generate_key();
        let vault = Vault::new(&key).unwrap();
        Self { store: Store::connect(&url, vault).unwrap(), endpoint: Endpoint::parse(&url).unwrap(), key }
    }

    /// A vault under a new key that still knows the store's.
    pub(crate) fn rotating(&self, to: &Secret) -> Vault {
        Vault::new(to).unwrap().with_previous(std::slice::from_ref(&self.key)).unwrap()
    }
}

async fn server() -> Secret {
    if let Ok(url) = std::env::var("OFFSHOOT_TEST_DATABASE_URL") {
        return Secret::new(url);
    }
    let directory = start();
    let url = Secret::new(format!("postgres://postgres@{}/postgres", encode(&directory)));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match postgres::connect(&url).await {
            Ok(_) => return url,
            Err(error) if Instant::now() > deadline => panic!("the tests' server does not start: {error:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Starts a server that ends with this process, in the first directory that no other process of tests uses; returns where its
/// socket is. What an earlier process left there is removed.
fn start() -> PathBuf {
    let (directory, lock) = (0..)
        .find_map(|slot| {
            let directory = std::env::temp_dir().join(format!("offshoot-store-tests-{slot}"));
            fs::create_dir_all(&directory).unwrap();
            fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
            let lock = File::create(directory.join("lock")).unwrap();
            lock.try_lock().ok().map(|()| (directory, lock))
        })
        .unwrap();
    let data = directory.join("data");
    _ = fs::remove_dir_all(&data);
    let initdb = as_postgres("initdb")
        .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
    let mut postgres = as_postgres("postgres");
    postgres.arg("-D").arg(&data).arg("-k").arg(&directory).args([
        "-clisten_addresses=",
        "-cfsync=off",
        "-cmax_connections=400",
        "-clogging_collector=on",
    ]);
    // The server's end is tied to the thread that started it, so that thread must last; with it, the lock.
    std::thread::spawn(move || {
        let mut server = postgres.spawn().unwrap();
        _ = server.wait();
        drop(lock);
    });
    directory
}

/// A program of PostgreSQL that stops when the thread that runs it ends, and that root runs as `postgres`.
fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=INT").current_dir("/").stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg(binaries().join(program));
    command
}

fn binaries() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/postgresql/18/bin");
    let found =
        std::env::var("OFFSHOOT_POSTGRES_BIN").map(PathBuf::from).into_iter().chain([own]).chain(
            ["18", "17", "16", "15", "14"].map(|major| format!("/usr/lib/postgresql/{major}/bin").into()),
        );
    found
        .into_iter()
        .find(|directory| directory.join("initdb").exists())
        .expect("no PostgreSQL here: set OFFSHOOT_POSTGRES_BIN to the directory that holds initdb")
}

/// A path as the host of a URL.
fn encode(path: &Path) -> String {
    path.to_str().unwrap().replace('/', "%2F")
}

/// What tests put into a store before they begin.
pub(crate) mod fixtures {
    use chrono::DateTime;
    use deadpool_postgres::Client;

    use super::super::branches::{self, NewBranch};
    use super::super::{pulls, repositories};
    use super::TestStore;
    use crate::domain::branch::Branch;
    use crate::domain::ids::{DatabaseLabel, Oid, PullId};
    use crate::domain::pull::PullRequest;
    use crate::domain::repository::RepositoryFacts;
    use crate::domain::state::BranchState;

    pub(crate) fn oid(digit: char) -> Oid {
        digit.to_string().repeat(40).parse().unwrap()
    }

    pub(crate) fn facts(github_id: i64, name: &str) -> RepositoryFacts {
        let name = name.parse().unwrap();
        RepositoryFacts { github_id, name, installation: Some(5), default_branch: "main".into() }
    }

    pub(crate) fn pull(repository: i64, number: i32) -> PullRequest {
        PullRequest {
            id: PullId { repository, number },
            open: true,
            merged: false,
            draft: false,
            title: "Add tags".into(),
            author: "ada".into(),
            head_sha: oid('a'),
            head_ref: "tags".into(),
            head_repository: Some("ada/shop".parse().unwrap()),
            from_fork: true,
            base_ref: "main".into(),
            base_sha: oid('b'),
            updated_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        }
    }

    /// A pull request of a repository that goes by `name`, stored.
    pub(crate) async fn stored_pull(client: &Client, name: &str, repository: i64, number: i32) -> PullId {
        repositories::upsert(client, &facts(repository, name)).await.unwrap();
        let pull = pull(repository, number);
        pulls::save(client, &pull).await.unwrap();
        pull.id
    }

    /// A branch of that pull request.
    pub(crate) async fn branch(test: &TestStore, client: &Client, name: &str, pull: PullId) -> Branch {
        let new = NewBranch {
            pull,
            repository: &name.parse().unwrap(),
            database: &DatabaseLabel::main(),
            head_sha: &oid('a'),
            base_ref: "main",
            state: BranchState::Pending,
            expires_at: None,
        };
        branches::create(client, test.store.vault(), &new).await.unwrap().branch
    }
}
