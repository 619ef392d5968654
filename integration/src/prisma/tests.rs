use std::fs;

use tokio_postgres::NoTls;

use super::*;
use crate::containers::PostgresContainer;
use crate::samples::{self, Files};

/// A database of a server of its own, and a chain of migrations on disk.
struct Bench {
    cli: PrismaCli,
    url: String,
    client: tokio_postgres::Client,
    directory: tempfile::TempDir,
    /// Gone with the bench.
    _server: PostgresContainer,
}

impl Bench {
    async fn new(database: &str) -> Self {
        let container = PostgresContainer::start(18).await.unwrap();
        let server = container.url();
        let (admin, connection) = tokio_postgres::connect(&server, NoTls).await.unwrap();
        tokio::spawn(connection);
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await.unwrap();
        admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        let url = format!("{}/{database}", server.rsplit_once('/').unwrap().0);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let directory = tempfile::tempdir().unwrap();
        let bench =
            Self { _server: container, cli: PrismaCli::of_this_crate().unwrap(), url, client, directory };
        let datasource = "datasource db {\n  provider = \"postgresql\"\n  url = env(\"DATABASE_URL\")\n}\n";
        bench.put("schema.prisma", datasource);
        bench.put("migrations/migration_lock.toml", "provider = \"postgresql\"\n");
        bench
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn deploy(&self) -> CliOutcome {
        let root = self.directory.path();
        self.cli
            .migrate_deploy(&self.url, &root.join("migrations"), &root.join("schema.prisma"))
            .await
            .unwrap()
    }

    async fn status(&self) -> CliOutcome {
        let root = self.directory.path();
        self.cli
            .migrate_status(&self.url, &root.join("migrations"), &root.join("schema.prisma"))
            .await
            .unwrap()
    }
}

#[test]
fn a_directory_without_the_cli_says_what_to_run() {
    let directory = tempfile::tempdir().unwrap();
    let error = PrismaCli::new(directory.path()).unwrap_err().to_string();
    assert!(error.contains("npm ci"), "{error}");
}

#[tokio::test]
async fn deploy_applies_the_base_of_every_sample() {
    for sample in samples::all().unwrap() {
        let bench = Bench::new(&format!("deploy_{}", sample.name.replace('-', "_"))).await;
        let mut base = Files::default();
        base.apply(&sample.base).unwrap();
        for (path, bytes) in base.below(&sample.migrations) {
            bench.put(&format!("migrations/{path}"), bytes);
        }
        let deployed = bench.deploy().await;
        assert!(deployed.success, "{}: {deployed:?}", sample.name);
        let status = bench.status().await;
        assert!(status.stdout.contains("Database schema is up to date!"), "{}: {status:?}", sample.name);
        let rows = bookkeeping_rows(&bench.client).await.unwrap();
        let names: Vec<_> = rows.iter().map(|row| row.migration_name.as_str()).collect();
        let expected: Vec<_> = base
            .below(&sample.migrations)
            .filter_map(|(path, _)| path.strip_suffix("/migration.sql"))
            .collect();
        assert_eq!(names, expected);
        assert!(rows.iter().all(|row| row.finished && row.applied_steps_count == 1 && !row.has_logs));
        assert!(schema_fingerprint(&bench.client).await.unwrap().len() > 20);
    }
}

#[tokio::test]
async fn a_failure_stops_deploy_until_it_is_resolved() {
    let bench = Bench::new("prisma_failure").await;
    bench.put("migrations/1_init/migration.sql", "CREATE TABLE a (id int);\n");
    bench.put("migrations/2_bad/migration.sql", "CREATE TABLE b (id int);\nTABLE missing;\n");
    bench.put("migrations/3_after/migration.sql", "CREATE TABLE c (id int);\n");
    assert_eq!(bench.deploy().await.code, Some(1));
    let fingerprint = schema_fingerprint(&bench.client).await.unwrap().join("\n");
    assert!(fingerprint.contains("relation public.a ") && !fingerprint.contains("relation public.b "));

    let blocked = bench.deploy().await;
    assert!(blocked.stderr.contains("P3009"), "{blocked:?}");
    let root = bench.directory.path();
    let (migrations, schema) = (root.join("migrations"), root.join("schema.prisma"));
    let resolved = bench.cli.resolve_rolled_back("2_bad", &bench.url, &migrations, &schema).await.unwrap();
    assert!(resolved.success, "{resolved:?}");
    bench.put("migrations/2_bad/migration.sql", "CREATE TABLE b (id int);\n");
    assert!(bench.deploy().await.success);

    let rows = bookkeeping_rows(&bench.client).await.unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.migration_name.as_str(),
                row.finished,
                row.rolled_back,
                row.applied_steps_count,
                row.has_logs,
            )
        })
        .collect();
    let expected = [
        ("1_init", true, false, 1, false),
        ("2_bad", false, true, 0, true),
        ("2_bad", true, false, 1, false),
        ("3_after", true, false, 1, false),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_lost_search_path_loses_the_bookkeeping() {
    let bench = Bench::new("prisma_search_path").await;
    let dump = "SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.a (id int);\n";
    bench.put("migrations/1_dump/migration.sql", dump);
    let outcome = bench.deploy().await;
    assert!(outcome.stderr.contains("P1014"), "{outcome:?}");
    let rows = bookkeeping_rows(&bench.client).await.unwrap();
    assert!(!rows[0].finished && !rows[0].has_logs && rows[0].applied_steps_count == 0, "{rows:?}");
}

/// The engine by itself leaves what the CLI leaves, refuses what it refuses, and serves one database after another.
#[tokio::test]
async fn the_engine_alone_agrees_with_the_cli() {
    let (by_cli, by_engine) = (Bench::new("prisma_by_cli").await, Bench::new("prisma_by_engine").await);
    for bench in [&by_cli, &by_engine] {
        bench.put("migrations/2 b/migration.sql", "CREATE TABLE second (id int PRIMARY KEY);\n");
        bench.put("migrations/1_a/migration.sql", "CREATE TYPE kind AS ENUM ('x', 'y');\n");
        bench.put("migrations/Zz/migration.sql", "ALTER TABLE missing ADD COLUMN k kind;\n");
    }
    assert!(!by_cli.deploy().await.success);
    let node_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    let mut session = PrismaSession::start(&node_dir).unwrap();
    let migrations = by_engine.directory.path().join("migrations");
    let failed = session.deploy(&by_engine.url, &migrations).await.unwrap().unwrap_err();
    assert!(failed.message.contains("missing"), "{failed}");
    let refused = session.deploy(&by_engine.url, &migrations).await.unwrap().unwrap_err();
    assert_eq!(refused.code.as_deref(), Some("P3009"));
    let diagnosis = session.diagnose(&by_engine.url, &migrations).await.unwrap().unwrap();
    assert_eq!(diagnosis.failed_migration_names, ["Zz"]);

    let rows = bookkeeping_rows(&by_engine.client).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows, bookkeeping_rows(&by_cli.client).await.unwrap());
    let schema = schema_fingerprint(&by_engine.client).await.unwrap();
    assert_eq!(schema, schema_fingerprint(&by_cli.client).await.unwrap());
}
