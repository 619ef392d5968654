//! The control schema's migrations on data: a database that lived through every version up to one, with rows of each, is brought to the newest.
//! Nothing is lost, and the service starts on it and comes to rest.
//!
//! `upgrades/v8.sql` holds what a database of that version has more than one of the version before: whoever adds a migration adds its file.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::github::{NewPullRequest, SimulatedGitHub};
use integration::local_server::LocalServer;
use integration::offshoot::{BranchRef, Server, connect};
use offshoot::secret::{Secret, Vault};
use offshoot::store::Store;
use refinery::Target;
use tokio_postgres::Client;

use crate::shop::{SHOP, base, column};
use crate::world::World;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// What the samples speak of.
const OPEN: std::ops::RangeInclusive<u64> = 1..=6;
const CLOSED: u64 = 7;
const PASSWORD: &str = "a-password-of-an-earlier-version-00";
const TOKEN: &str = "a-token-of-an-earlier-version";
/// What is said of a branch server that was lost, of heads that GitHub no longer has, and of what others left.
const EXPECTED: [&str; 7] = [
    "took jobs back",
    "is gone",
    "nothing stands for",
    "a stored delivery cannot be read",
    "offshoot_layer_11111111111111111111111111111111",
    "compare/main...aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn versions() -> Vec<i32> {
    let migrations = embedded::migrations::runner();
    let versions: BTreeSet<_> =
        migrations.get_migrations().iter().map(refinery::Migration::version).collect();
    versions.into_iter().collect()
}

/// Brings an empty database to a version, with the rows of each on the way.
async fn load(client: &mut Client, version: i32) -> Result<()> {
    for step in versions().into_iter().filter(|step| *step <= version) {
        embedded::migrations::runner().set_target(Target::Version(step)).run_async(client).await?;
        let file = format!("../integration/tests/operate/upgrades/v{step}.sql");
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let sample = std::fs::read_to_string(&sample)
            .with_context(|| format!("no sample data: {}", sample.display()))?;
        client.batch_execute(&sample).await.with_context(|| format!("load the sample of version {step}"))?;
    }
    Ok(())
}

async fn names(client: &Client, sql: &str) -> Result<BTreeSet<String>> {
    client.query(sql, &[]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

const TABLES: &str = "select tablename::text from pg_tables where schemaname = 'public' and tablename <> 'refinery_schema_history'";

/// Every table has rows, and every word that a constraint allows in a column is in one of them.
async fn ensure_complete(client: &Client) -> Result<()> {
    for table in names(client, TABLES).await? {
        let rows: i64 = client.query_one(&format!("select count(*) from {table}"), &[]).await?.try_get(0)?;
        ensure!(rows > 0, "the samples have no row of {table}");
    }
    let words = "select conrelid::regclass::text, attname::text,
            array(select match[1] from regexp_matches(pg_get_constraintdef(con.oid), '''(\\w+)''::text', 'g') as match)
        from pg_constraint con join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where contype = 'c' and cardinality(conkey) = 1 and pg_get_constraintdef(con.oid) like '%= ANY%'
            and connamespace = 'public'::regnamespace";
    for row in client.query(words, &[]).await? {
        let (table, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let allowed: BTreeSet<String> = row.try_get::<_, Vec<String>>(2)?.into_iter().collect();
        let used = names(client, &format!("select distinct {column}::text from {table}")).await?;
        ensure!(used == allowed, "of {table}.{column} the samples have {used:?}, allowed are {allowed:?}");
    }
    Ok(())
}

/// Keeps each table's rows, as they are now, in the schema `before`.
async fn remember(client: &Client) -> Result<()> {
    client.batch_execute("create schema before").await?;
    for table in names(client, TABLES).await? {
        let sql = format!("create table before.{table} as select to_jsonb(it) as row from {table} it");
        client.batch_execute(&sql).await?;
    }
    Ok(())
}

/// Every row that was remembered is there with all that it held, and there are no others.
async fn ensure_kept(client: &Client) -> Result<()> {
    let remembered = "select tablename::text from pg_tables where schemaname = 'before'";
    for table in names(client, remembered).await? {
        let sql = format!(
            "select (select count(*) from {table}) = (select count(*) from before.{table}),
                 (select string_agg(row::text, ', ') from before.{table}
                     where not exists (select from {table} it where to_jsonb(it) @> row))"
        );
        let row = client.query_one(&sql, &[]).await?;
        let changed: Option<String> = row.try_get(1)?;
        ensure!(changed.is_none(), "not in {table} any more: {}", changed.unwrap_or_default());
        ensure!(row.try_get::<_, bool>(0)?, "{table} has another number of rows");
    }
    Ok(())
}

/// What the catalog says of tables, columns, constraints, indexes and triggers.
const SCHEMA: &str = "
    select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || coalesce(' default ' || column_default, '')
        from information_schema.columns where table_schema = 'public'
    union select conrelid::regclass || ' ' || pg_get_constraintdef(oid) || case when convalidated then '' else ' not valid' end
        from pg_constraint where connamespace = 'public'::regnamespace
    union select indexdef from pg_indexes where schemaname = 'public'
    union select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal";

#[tokio::test]
async fn each_earlier_schema_is_migrated_and_nothing_is_lost() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = LocalServer::create(directory.path()).await?;
    let administrator = connect(&server.url()).await?;
    let mut schemas = BTreeSet::new();
    for version in versions() {
        administrator.batch_execute(&format!("create database v{version}")).await?;
        let url = format!("{}/v{version}", server.url().trim_end_matches("/postgres"));
        let mut client = connect(&url).await?;
        load(&mut client, version).await?;
        ensure_complete(&client).await.with_context(|| format!("version {version}"))?;
        remember(&client).await?;
        let store = Store::connect(&Secret::new(&url), Vault::new(&Vault::generate_key())?)?;
        store.migrate().await?;
        ensure!(store.schema_is_current().await?, "version {version} is not brought to the newest");
        ensure_kept(&client).await.with_context(|| format!("version {version}"))?;
        client.batch_execute("drop schema before cascade").await?;
        schemas.insert(names(&client, SCHEMA).await?);
    }
    ensure!(schemas.len() == 1, "the way to the newest schema decides what it is: {schemas:#?}");
    Ok(())
}

/// The service on a database of that version, whose branch server was lost meanwhile but for what nobody remembers.
async fn starts_on(version: i32) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = LocalServer::create(directory.path()).await?;
    let mut client = connect(&server.url()).await?;
    load(&mut client, version).await?;
    client.batch_execute("create database offshoot_instance_forgotten").await?;
    let identity = r#"{"offshoot":1,"repository":"acme/shop","pull_request":8,"database":"main","generation":1,"sha":"aaaa"}"#;
    client.batch_execute(&format!("comment on database offshoot_instance_forgotten is '{identity}'")).await?;
    let mut heads = Vec::new();
    let mut world = World::start_between(
        |options| {
            options.server = Server::At(server.url());
            options.expected_trouble.extend(EXPECTED.map(str::to_owned));
        },
        |github| {
            heads = shop_of_the_samples(github)?;
            Ok(())
        },
    )
    .await?;
    world.offshoot.secrets().add(TOKEN);
    world.settle().await?;
    world
        .until("select count(*) = 2 from repositories")
        .await
        .context("the shop has another number than in the samples")?;
    world.until("select count(*) = 0 from pg_database where datname = 'offshoot_instance_forgotten'").await?;
    for (number, sha) in OPEN.zip(&heads) {
        let ready = world.offshoot.ready(&BranchRef::new(SHOP, number), sha).await?;
        ensure!(ready.database_url()?.contains(PASSWORD), "#{number} has another URL than before");
        connect(ready.database_url()?).await?.query(&format!("select c{number} from items"), &[]).await?;
    }
    world.until("select count(*) = 2 from branches where state = 'deleted'").await?;
    let branch = BranchRef::new(SHOP, 1).path();
    let by_token = world.offshoot.call_as(Some(TOKEN), Method::GET, &branch, None).await?;
    ensure!(by_token.status == 200, "a token of before: {by_token:?}");
    // What the clock asks for in the first minutes, and after two weeks without use; then a second start finds nothing.
    let samples = r"update layer_uses set last_used_at = '2026-01-02' where key ~ '^(.)\1*$'";
    world.offshoot.administrator().await?.batch_execute(samples).await?;
    for kind in ["empty_trash", "trim_layers", "sweep"] {
        world.run(kind).await?;
    }
    world.offshoot.terminate().await?;
    world.offshoot.restart().await?;
    world.finish().await
}

/// The repository of which the samples know earlier heads; the present ones of the open pull requests.
fn shop_of_the_samples(github: &SimulatedGitHub) -> Result<Vec<String>> {
    github.create_repository("acme", "shop", "main", &base())?;
    let mut heads = Vec::new();
    for number in *OPEN.start()..=CLOSED {
        let head = format!("change-{number}");
        heads.push(github.push(SHOP, &head, &[column(&format!("c{number}"))])?.to_string());
        let opened = github.open_pull_request(&NewPullRequest::new(SHOP, "main", &head))?;
        ensure!(opened == number, "#{opened} was to be #{number}");
    }
    github.close(SHOP, CLOSED)?;
    Ok(heads)
}

/// A test for each version before the newest, so that they run side by side.
macro_rules! starts_on {
    ($($name:ident: $version:literal),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() -> Result<()> {
                starts_on($version).await
            }
        )*

        #[test]
        fn a_start_is_tried_on_every_earlier_version() {
            assert_eq!(versions()[..versions().len() - 1], [$($version),*]);
        }
    };
}

starts_on! {
    the_service_starts_on_schema_1: 1,
    the_service_starts_on_schema_2: 2,
    the_service_starts_on_schema_3: 3,
    the_service_starts_on_schema_4: 4,
    the_service_starts_on_schema_5: 5,
    the_service_starts_on_schema_7: 7,
    the_service_starts_on_schema_8: 8,
    the_service_starts_on_schema_9: 9,
    the_service_starts_on_schema_10: 10,
    the_service_starts_on_schema_11: 11,
}
