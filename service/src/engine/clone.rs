//! Making databases: empty ones, and clones of others.

use tokio_postgres::Client;

use super::Engine;
use super::ident::Ident;
use super::instance::Source;

impl Engine {
    /// Makes a database that only an administrator gets into (`CONNECTION LIMIT 0`), until PUBLIC has lost what every new database grants it.
    pub(super) async fn create_database(
        &self,
        client: &Client,
        database: &Ident,
        source: Source<'_>,
    ) -> Result<(), tokio_postgres::Error> {
        match source {
            Source::Empty => {
                let sql = format!(
                    "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' CONNECTION LIMIT 0"
                );
                client.batch_execute(&sql).await
            }
            Source::Layer(layer) => self.clone_database(client, database, &layer.database).await,
        }
    }

    /// A clone of a database in which nobody has a session, as `create_database` makes one.
    pub(super) async fn clone_database(
        &self,
        client: &Client,
        database: &Ident,
        template: &Ident,
    ) -> Result<(), tokio_postgres::Error> {
        let size = client
            .query_one("select pg_catalog.pg_database_size($1::text::name) as size", &[&template.as_str()])
            .await?
            .get("size");
        let copies_files = self.server.copies_files(size);
        let clone = |copies_files| {
            let strategy = self.server.strategy(copies_files);
            format!("CREATE DATABASE {database} TEMPLATE {template} {strategy} CONNECTION LIMIT 0")
        };
        match client.batch_execute(&clone(copies_files)).await {
            // A file system that cannot do what `file_copy_method` asks.
            Err(error) if copies_files && is_copying_refused(&error) => {
                tracing::warn!(
                    database = database.as_str(),
                    "files cannot be cloned here; copying through the WAL"
                );
                client.batch_execute(&clone(false)).await
            }
            outcome => outcome,
        }
    }
}

/// System errors of copying, and `could not clone file` where it has no code of its own.
fn is_copying_refused(error: &tokio_postgres::Error) -> bool {
    let message = error.as_db_error().map_or("", |db| db.message());
    message.contains("could not clone") || message.contains("could not copy")
}
