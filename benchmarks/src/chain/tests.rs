use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use offshoot::embedded::{Embedded, EmbeddedSettings};
use offshoot::postgres;

use super::*;

fn sizes(chain: &Chain) -> Vec<usize> {
    let mut sizes: Vec<usize> = chain.migrations.iter().map(|migration| migration.sql.len()).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn it_has_the_size_of_a_real_one() {
    let sizes = sizes(&Chain::generate(0));
    assert_eq!(sizes.len(), 434);
    let total: usize = sizes.iter().sum();
    assert!((245_000..=255_000).contains(&total), "{total} bytes");
    let median = sizes[217];
    assert!((190..=210).contains(&median), "a median of {median} bytes");
    let above = sizes.iter().filter(|size| **size > 1_300).count();
    assert!((42..=45).contains(&above), "{above} files above 1.3 kB");
    assert!((15_900..=16_900).contains(&sizes[433]), "the largest has {} bytes", sizes[433]);
    assert!(sizes[432] < 5_000, "the next has {} bytes", sizes[432]);
}

#[test]
fn an_index_that_is_built_concurrently_is_alone_in_its_file() {
    let chain = Chain::generate(0);
    let concurrent: Vec<_> = chain.migrations.iter().filter(|m| m.sql.contains("CONCURRENTLY")).collect();
    assert_eq!(concurrent.len(), 99);
    assert!(concurrent.iter().all(|migration| migration.sql.matches(';').count() == 1));
}

#[test]
fn names_rise_and_variants_differ_in_the_first_file_alone() {
    let (one, other) = (Chain::generate(1), Chain::generate(2));
    assert!(one.migrations.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(one.migrations[433].name < Chain::one_more(0).name);
    assert_ne!(one.migrations[0], other.migrations[0]);
    assert_eq!(one.migrations[1..], other.migrations[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_replays_and_ends_at_72_tables() {
    let directory = tempfile::tempdir().unwrap();
    // The server's user has to reach it where root runs the tests.
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let settings = EmbeddedSettings { data_dir: directory.path().to_owned(), postgres_bin: postgres_bin() };
    let server = Embedded::start(&settings).await.unwrap();
    let client = postgres::connect(&server.administrator_url()).await.unwrap();
    for migration in Chain::generate(0).migrations.iter().chain([&Chain::one_more(0), &Chain::one_more(1)]) {
        if let Err(error) = client.batch_execute(&migration.sql).await {
            panic!("{}: {error:?}\n{}", migration.name, migration.sql);
        }
    }
    let sql = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 72);
    let sql = "select count(*) from pg_type where typtype = 'e'";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 30);
    server.stop().await.unwrap();
}

fn postgres_bin() -> Option<PathBuf> {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/postgresql/18/bin");
    std::env::var_os("OFFSHOOT_POSTGRES_BIN")
        .map_or_else(|| Some(installed()).filter(|bin| bin.is_dir()), |bin| Some(bin.into()))
}
