//! The control database's own schema.

use tokio_postgres::Client;

use super::StoreError;
use crate::postgres::Endpoint;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The key of the advisory lock under which the schema is changed: "offshoot" in ASCII.
const LOCK: i64 = 0x6f66_6673_686f_6f74;

/// Brings the schema up to date. Of several replicas that start at once, one does it and the others wait.
pub(super) async fn migrate(endpoint: &Endpoint) -> Result<(), StoreError> {
    // A session of its own: the lock goes with it, whatever happens on the way.
    let mut client = connect(endpoint).await?;
    client
        .execute("select pg_advisory_lock($1)", &[&LOCK])
        .await
        .map_err(|source| StoreError::Database { doing: "lock the schema", source })?;
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

/// Whether the schema is the one that this version was built for.
pub(super) async fn is_current(endpoint: &Endpoint) -> Result<bool, StoreError> {
    let mut client = connect(endpoint).await?;
    let migrated: bool = client
        .query_one("select to_regclass('refinery_schema_history') is not null as migrated", &[])
        .await
        .and_then(|row| row.try_get("migrated"))
        .map_err(|source| StoreError::Database { doing: "look for the schema", source })?;
    if !migrated {
        return Ok(false);
    }
    let runner = embedded::migrations::runner();
    let applied = runner.get_last_applied_migration_async(&mut client).await.map_err(StoreError::Schema)?;
    let newest = runner.get_migrations().iter().max_by_key(|migration| migration.version());
    Ok(applied.map(|migration| migration.checksum()) == newest.map(|migration| migration.checksum()))
}

async fn connect(endpoint: &Endpoint) -> Result<Client, StoreError> {
    endpoint.connect().await.map_err(|error| StoreError::Connection(error.into()))
}
