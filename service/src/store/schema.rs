//! The control database's own schema.

#[cfg(test)]
mod expansion;

use refinery::Migration;
use tokio_postgres::Client;

use super::StoreError;
use crate::postgres::Endpoint;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The key of the advisory lock under which the schema is changed: "offshoot" in ASCII.
const LOCK: i64 = 0x6f66_6673_686f_6f74;

/// Brings the schema up to date. Of several replicas that start at once, one does it and the others wait. A schema that a newer version of
/// Offshoot has migrated is left as it is: versions run side by side during a deployment, and schemas only grow.
pub(super) async fn migrate(endpoint: &Endpoint) -> Result<(), StoreError> {
    // A session of its own: the lock goes with it, whatever happens on the way.
    let mut client = connect(endpoint).await?;
    client
        .execute("select pg_advisory_lock($1)", &[&LOCK])
        .await
        .map_err(|source| StoreError::Database { doing: "lock the schema", source })?;
    if let Some(applied) = last_applied(&mut client).await?
        && applied.version() > newest().version()
    {
        tracing::warn!(
            version = applied.version(),
            "a newer version of Offshoot has migrated the control database; it is left as it is"
        );
        return Ok(());
    }
    let report = embedded::migrations::runner().run_async(&mut client).await.map_err(StoreError::Schema)?;
    for migration in report.applied_migrations() {
        tracing::info!(
            version = migration.version(),
            name = migration.name(),
            "migrated the control database"
        );
    }
    Ok(())
}

/// Whether the schema is the one that this version was built for, or a newer one.
pub(super) async fn is_current(endpoint: &Endpoint) -> Result<bool, StoreError> {
    let mut client = connect(endpoint).await?;
    let (applied, newest) = (last_applied(&mut client).await?, newest());
    Ok(applied.is_some_and(|applied| {
        applied.version() > newest.version() || applied.checksum() == newest.checksum()
    }))
}

/// The last migration that the database has seen; none of an empty one.
async fn last_applied(client: &mut Client) -> Result<Option<Migration>, StoreError> {
    let migrated: bool = client
        .query_one("select to_regclass('refinery_schema_history') is not null as migrated", &[])
        .await
        .and_then(|row| row.try_get("migrated"))
        .map_err(|source| StoreError::Database { doing: "look for the schema", source })?;
    if !migrated {
        return Ok(None);
    }
    let runner = embedded::migrations::runner();
    runner.get_last_applied_migration_async(client).await.map_err(StoreError::Schema)
}

/// The last migration that this version knows.
fn newest() -> Migration {
    let runner = embedded::migrations::runner();
    let newest = runner.get_migrations().iter().max_by_key(|migration| migration.version());
    newest.expect("migrations are embedded").clone()
}

async fn connect(endpoint: &Endpoint) -> Result<Client, StoreError> {
    endpoint.connect().await.map_err(|error| StoreError::Connection(error.into()))
}

#[cfg(test)]
mod tests {
    use super::super::test_support::TestStore;

    /// A deployment in which the old version starts again after the new one has migrated.
    #[tokio::test]
    async fn an_older_version_goes_on_beside_a_newer_schema() {
        let test = TestStore::new().await;
        let client = test.store.client().await.unwrap();
        assert!(test.store.schema_is_current().await.unwrap());
        client
            .batch_execute(
                "insert into refinery_schema_history (version, name, applied_on, checksum)
                 select max(version) + 1, 'of_tomorrow', '2030-01-01T00:00:00Z', '1' from refinery_schema_history",
            )
            .await
            .unwrap();
        test.store.migrate().await.unwrap();
        assert!(test.store.schema_is_current().await.unwrap());

        client.batch_execute("delete from refinery_schema_history").await.unwrap();
        assert!(!test.store.schema_is_current().await.unwrap());
    }
}
