//! Handing over: the new instance takes the stable names, the one before it goes to the trash, in one transaction.

use std::time::Duration;

use deadpool_postgres::Object;

use super::Engine;
use super::error::EngineError;
use super::ident::{Ident, Literal};
use super::identity::{Identity, is_ours};
use super::instance::InstanceNames;

const PATIENCE: Duration = Duration::from_secs(5);
/// How often is asked without a wait whether a session has ended: mostly it takes less time than the shortest that a timer knows.
const ASKED_AT_ONCE: usize = 6;
/// The first wait for a session's end; each further one is twice as long.
const POLL: Duration = Duration::from_millis(1);
const ATTEMPTS: usize = 3;

/// What stands under a database's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Nothing,
    Ours(Option<Identity>),
    /// A database that Offshoot did not make.
    Foreign,
}

impl Engine {
    /// Gives `new` the names in `public`. What has them gets the names in `trash`, and its roles can no longer log in.
    ///
    /// Roles keep their passwords, settings and grants, since all of those belong to what is renamed. To repeat it after a crash
    /// does no harm: the names change together or not at all.
    pub async fn publish(
        &self,
        new: &InstanceNames,
        public: &InstanceNames,
        trash: &InstanceNames,
        identity: &Identity,
    ) -> Result<(), EngineError> {
        // Neither waits for the other: that nobody is in the new database does no harm wherever it ends.
        let (standing, ended) =
            tokio::join!(self.place(&public.database), self.end_sessions_in(&new.database));
        ended?;
        let replaces = match standing? {
            Place::Nothing => false,
            Place::Ours(Some(standing)) if standing == *identity && !self.exists(&new.database).await? => {
                return self.reopen(&public.database).await;
            }
            Place::Ours(_) => true,
            Place::Foreign => {
                return Err(EngineError::NotOurs {
                    what: "database",
                    name: public.database.as_str().to_owned(),
                });
            }
        };
        let mut attempt = 1;
        loop {
            if attempt > 1 {
                self.end_sessions_in(&new.database).await?;
            }
            match self.swap(new, public, replaces.then_some(trash), identity).await {
                Err(error) if attempt < ATTEMPTS && error.is_transient() => attempt += 1,
                Err(error) => {
                    // The last good generation stays reachable.
                    if replaces && let Err(closed) = self.reopen(&public.database).await {
                        tracing::warn!(database = public.database.as_str(), error = %closed, "a branch stays closed");
                    }
                    return Err(error);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn swap(
        &self,
        new: &InstanceNames,
        public: &InstanceNames,
        trash: Option<&InstanceNames>,
        identity: &Identity,
    ) -> Result<(), EngineError> {
        let doing = format!("publish {} as {}", new.database, public.database);
        let mut sql = self.lasting_later().to_owned();
        if let Some(trash) = trash {
            self.close(&public.database).await?;
            sql += &rename_away(public, trash);
        }
        let client = self.client(&doing).await?;
        sql += &rename(new, public);
        sql += &format!("COMMENT ON DATABASE {} IS {};", public.database, Literal(&identity.comment()));
        client.batch_execute(&sql).await.map_err(EngineError::refused(doing))
    }

    async fn end_sessions_in(&self, database: &Ident) -> Result<(), EngineError> {
        end_sessions(&self.client("end sessions").await?, database).await
    }

    /// Takes an instance its place away: it gets the names in `trash`, and nobody gets in any more. One that has them already is left alone.
    pub async fn retire(&self, public: &InstanceNames, trash: &InstanceNames) -> Result<(), EngineError> {
        match self.place(&public.database).await? {
            Place::Nothing => return Ok(()),
            Place::Ours(_) => {}
            Place::Foreign => {
                let name = public.database.as_str().to_owned();
                return Err(EngineError::NotOurs { what: "database", name });
            }
        }
        self.close(&public.database).await?;
        let doing = format!("retire the database {}", public.database);
        let client = self.client(&doing).await?;
        client.batch_execute(&rename_away(public, trash)).await.map_err(EngineError::refused(doing))
    }

    /// Updates what a database says of itself, as when its branch moves on to another commit in place.
    pub async fn identify(&self, database: &Ident, identity: &Identity) -> Result<(), EngineError> {
        let doing = format!("write the identity of {database}");
        let client = self.client(&doing).await?;
        let sql = format!("COMMENT ON DATABASE {database} IS {}", Literal(&identity.comment()));
        client.batch_execute(&sql).await.map_err(EngineError::refused(doing))
    }

    /// Whether a database is there and whole: no drop of it was cut off.
    pub async fn stands(&self, database: &Ident) -> Result<bool, EngineError> {
        let doing = format!("look for the database {database}");
        let client = self.client(&doing).await?;
        let sql = "select from pg_catalog.pg_database where datname = $1::text::name and datconnlimit <> -2";
        let statement = client.prepare_cached(sql).await.map_err(EngineError::refused(doing.clone()))?;
        let found = client.query_opt(&statement, &[&database.as_str()]).await;
        Ok(found.map_err(EngineError::refused(doing))?.is_some())
    }

    /// What is under a name.
    pub async fn place(&self, database: &Ident) -> Result<Place, EngineError> {
        let doing = format!("look for the database {database}");
        let client = self.client(&doing).await?;
        let statement = client
            .prepare_cached(
                "select pg_catalog.shobj_description(oid, 'pg_database') as comment
                 from pg_catalog.pg_database where datname = $1::text::name",
            )
            .await
            .map_err(EngineError::refused(doing.clone()))?;
        let row =
            client.query_opt(&statement, &[&database.as_str()]).await.map_err(EngineError::refused(doing))?;
        let Some(row) = row else { return Ok(Place::Nothing) };
        let comment: Option<&str> = row.get("comment");
        if self.is_reserved(database) || !is_ours(database.as_str(), comment) {
            return Ok(Place::Foreign);
        }
        Ok(Place::Ours(comment.and_then(Identity::read)))
    }

    async fn exists(&self, database: &Ident) -> Result<bool, EngineError> {
        Ok(self.place(database).await? != Place::Nothing)
    }

    pub(super) fn is_reserved(&self, database: &Ident) -> bool {
        self.reserved.iter().any(|name| name == database.as_str())
    }

    /// Lets nobody in any more, and ends the sessions of those who are.
    pub(super) async fn close(&self, database: &Ident) -> Result<(), EngineError> {
        let doing = format!("close the database {database}");
        let client = self.client(&doing).await?;
        let sql = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false");
        if let Err(error) = client.batch_execute(&sql).await {
            // What is dropped already but for the rest cannot be altered, and lets nobody in. The refusal ended the session, which the pool may not
            // know yet.
            drop(Object::take(client));
            return match self.is_half_dropped(database).await? {
                true => Ok(()),
                false => Err(EngineError::refused(doing)(error)),
            };
        }
        end_sessions(&client, database).await
    }

    /// Lets a branch's roles in again.
    pub async fn reopen(&self, database: &Ident) -> Result<(), EngineError> {
        let doing = format!("open the database {database}");
        let client = self.client(&doing).await?;
        let sql = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true");
        client.batch_execute(&sql).await.map_err(EngineError::refused(doing))
    }
}

fn rename(from: &InstanceNames, to: &InstanceNames) -> String {
    format!(
        "ALTER DATABASE {} RENAME TO {}; ALTER ROLE {} RENAME TO {}; ALTER ROLE {} RENAME TO {};",
        from.database, to.database, from.role, to.role, from.reader, to.reader
    )
}

fn rename_away(from: &InstanceNames, trash: &InstanceNames) -> String {
    let renamed = rename(from, trash);
    format!("{renamed} ALTER ROLE {} NOLOGIN; ALTER ROLE {} NOLOGIN;", trash.role, trash.reader)
}

/// Ends every session in a database and waits until they are gone: renaming it would wait for them a tenth of a second at a time.
async fn end_sessions(client: &Object, database: &Ident) -> Result<(), EngineError> {
    let doing = format!("end the sessions in {database}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let (mut asked, mut pause) = (0, POLL);
    let statement = client
        .prepare_cached(
            "select count(pg_catalog.pg_terminate_backend(pid)) as sessions from pg_catalog.pg_stat_activity
             where datname = $1::text::name and pid <> pg_catalog.pg_backend_pid()",
        )
        .await
        .map_err(EngineError::refused(doing.clone()))?;
    loop {
        let row = client
            .query_one(&statement, &[&database.as_str()])
            .await
            .map_err(EngineError::refused(doing.clone()))?;
        match row.get::<_, i64>("sessions") {
            0 => return Ok(()),
            _ if tokio::time::Instant::now() > deadline => return Err(EngineError::TimedOut { doing }),
            _ if asked < ASKED_AT_ONCE => asked += 1,
            _ => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
    }
}
