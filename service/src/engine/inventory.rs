//! What Offshoot has on the branch server, for sweeps and figures.

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, ToStatement};

use super::Engine;
use super::error::EngineError;
use super::identity::{Identity, is_ours};

/// How often databases are measured anew because one of them was dropped meanwhile.
const TRIES: usize = 20;

/// A database that Offshoot made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRecord {
    pub name: String,
    /// None for one that was not finished.
    pub identity: Option<Identity>,
    /// Whether it is a complete layer.
    pub template: bool,
    /// Whether dropping it was cut off.
    pub half_dropped: bool,
    pub size_bytes: i64,
    /// Clients that are connected now.
    pub connections: i64,
    /// How many sessions it has had, by the server's statistics; it begins anew after a crash of the server.
    pub sessions: i64,
}

impl Engine {
    /// Our databases, by name.
    pub async fn inventory(&self) -> Result<Vec<DatabaseRecord>, EngineError> {
        let doing = "list the databases of the branch server";
        let client = self.client(doing).await?;
        let rows = measure(
            &client,
            "select d.datname::text as name, pg_catalog.shobj_description(d.oid, 'pg_database') as comment,
                        d.datistemplate as template, d.datconnlimit = -2 as half_dropped,
                        coalesce(pg_catalog.pg_database_size(d.oid), 0) as size,
                        (select count(*) from pg_catalog.pg_stat_activity a
                            where a.datid = d.oid and a.backend_type = 'client backend') as connections,
                        coalesce(s.sessions, 0) as sessions
                 from pg_catalog.pg_database d left join pg_catalog.pg_stat_database s on s.datid = d.oid
                 where d.datname <> all($1) and (d.datname like 'offshoot\\_%'
                    or pg_catalog.shobj_description(d.oid, 'pg_database') like '{%\"offshoot\"%')
                 order by d.datname",
            &[&self.reserved],
        )
        .await
        .map_err(EngineError::refused(doing))?;
        let ours = rows.iter().filter(|row| is_ours(row.get("name"), row.get("comment")));
        Ok(ours
            .map(|row| DatabaseRecord {
                name: row.get("name"),
                identity: row.get::<_, Option<&str>>("comment").and_then(Identity::read),
                template: row.get("template"),
                half_dropped: row.get("half_dropped"),
                size_bytes: row.get("size"),
                connections: row.get("connections"),
                sessions: row.get("sessions"),
            })
            .collect())
    }

    /// The names of our roles.
    pub async fn roles(&self) -> Result<Vec<String>, EngineError> {
        let doing = "list the roles of the branch server";
        let client = self.client(doing).await?;
        let rows = client
            .query(
                "select rolname::text as name, pg_catalog.shobj_description(oid, 'pg_authid') as comment
                 from pg_catalog.pg_authid where rolname !~ '^pg_' order by rolname",
                &[],
            )
            .await
            .map_err(EngineError::refused(doing))?;
        let ours = rows.iter().filter(|row| is_ours(row.get("name"), row.get("comment")));
        Ok(ours.map(|row| row.get("name")).collect())
    }
}

/// Runs a query that measures databases, again where one of them is dropped meanwhile: since PostgreSQL 18 its size is an error and not null.
pub(super) async fn measure(
    client: &Object,
    query: &(impl ToStatement + ?Sized + Sync),
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Error> {
    let mut tries_left = TRIES;
    loop {
        tries_left -= 1;
        match client.query(query, parameters).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) && tries_left > 0 => {}
            outcome => return outcome,
        }
    }
}
