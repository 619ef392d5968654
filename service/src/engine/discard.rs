//! Dropping what Offshoot made, and nothing else.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Engine;
use super::error::EngineError;
use super::ident::{Ident, Literal};
use super::identity::is_ours;
use super::instance::InstanceNames;
use super::publish::Place;

impl Engine {
    /// Ends an instance's sessions and drops its database and roles. What is gone already is no error; false where all of it was.
    pub async fn discard(&self, instance: &InstanceNames) -> Result<bool, EngineError> {
        // Its making may be under way although whoever asked for it is gone: the database would appear after it was looked for.
        let making = self.instance_lock(instance).await?;
        let database = self.drop_database(&instance.database).await?;
        let reader = self.drop_role(&instance.reader).await?;
        let role = self.drop_role(&instance.role).await?;
        making.end().await;
        Ok(role || reader || database)
    }

    /// Whether nobody makes or removes this instance now.
    pub async fn instance_is_unattended(&self, instance: &InstanceNames) -> Result<bool, EngineError> {
        let doing = format!("ask whether {} is being made", instance.database);
        let session = self.administrator.connect().await?;
        let row = session
            .query_one(
                "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 1)) as free",
                &[&instance.database.as_str()],
            )
            .await
            .map_err(EngineError::refused(doing))?;
        Ok(row.get("free"))
    }

    /// Drops the roles of an instance that has no database: whoever made it was killed before it came to that, or whoever dropped it
    /// after. False where it has one, or has no roles either.
    pub async fn discard_roles(&self, instance: &InstanceNames) -> Result<bool, EngineError> {
        let _lock = self.instance_lock(instance).await?;
        if self.place(&instance.database).await? != Place::Nothing {
            return Ok(false);
        }
        let reader = self.drop_role(&instance.reader).await?;
        Ok(self.drop_role(&instance.role).await? || reader)
    }

    /// False where there was none.
    pub(super) async fn drop_database(&self, database: &Ident) -> Result<bool, EngineError> {
        match self.place(database).await? {
            Place::Nothing => return Ok(false),
            Place::Ours(_) => {}
            Place::Foreign => {
                return Err(EngineError::NotOurs { what: "database", name: database.as_str().to_owned() });
            }
        }
        let doing = format!("drop the database {database}");
        let is_half_dropped = self.is_half_dropped(database).await?;
        let client = self.client(&doing).await?;
        if !is_half_dropped {
            self.roll_back_prepared(&client, database).await?;
            let shut = format!(
                "ALTER DATABASE {database} IS_TEMPLATE false; ALTER DATABASE {database} ALLOW_CONNECTIONS false"
            );
            client.batch_execute(&shut).await.map_err(EngineError::refused(doing.clone()))?;
        }
        let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        client.batch_execute(&drop).await.map_err(EngineError::refused(doing))?;
        Ok(true)
    }

    /// Whether dropping the database was cut off in the middle: it can be renamed, and dropped again.
    pub(super) async fn is_half_dropped(&self, database: &Ident) -> Result<bool, EngineError> {
        let doing = format!("ask whether {database} is half dropped");
        let client = self.client(&doing).await?;
        let sql =
            "select datconnlimit = -2 as invalid from pg_catalog.pg_database where datname = $1::text::name";
        let row = client.query_opt(sql, &[&database.as_str()]).await.map_err(EngineError::refused(doing))?;
        Ok(row.is_some_and(|row| row.get("invalid")))
    }

    /// A prepared transaction outlives its session, and no database with one can be dropped, not even by force.
    async fn roll_back_prepared(&self, client: &Client, database: &Ident) -> Result<(), EngineError> {
        let doing = format!("roll back what was prepared in {database}");
        let prepared = client
            .query(
                "select gid from pg_catalog.pg_prepared_xacts where database = $1::text::name",
                &[&database.as_str()],
            )
            .await
            .map_err(EngineError::refused(doing.clone()))?;
        if prepared.is_empty() {
            return Ok(());
        }
        self.reopen(database).await?;
        let inside = self.client_in(database).await?;
        for row in prepared {
            let roll_back = format!("ROLLBACK PREPARED {}", Literal(row.get("gid")));
            inside.batch_execute(&roll_back).await.map_err(EngineError::refused(doing.clone()))?;
        }
        Ok(())
    }

    /// A role owns nothing outside its database, which is gone by now. Another branch may have granted it something, though:
    /// roles are known in every database, and such a grant would keep it from being dropped. False where there was none.
    pub(super) async fn drop_role(&self, role: &Ident) -> Result<bool, EngineError> {
        let doing = format!("drop the role {role}");
        let client = self.client(&doing).await?;
        let found = client
            .query_opt(
                "select pg_catalog.shobj_description(oid, 'pg_authid') as comment
                 from pg_catalog.pg_authid where rolname = $1::text::name",
                &[&role.as_str()],
            )
            .await
            .map_err(EngineError::refused(doing.clone()))?;
        let Some(found) = found else { return Ok(false) };
        if !is_ours(role.as_str(), found.get("comment")) {
            return Err(EngineError::NotOurs { what: "role", name: role.as_str().to_owned() });
        }
        let drop_it = format!("SET LOCAL lock_timeout = '2s'; DROP ROLE IF EXISTS {role}");
        let mut dropped = client.batch_execute(&drop_it).await;
        if dropped.as_ref().is_err_and(|error| error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)) {
            self.end_holders_of(&client, role).await?;
            dropped = client.batch_execute(&drop_it).await;
        }
        match dropped {
            Err(error) if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => {
                drop(client);
                self.revoke_everywhere(role).await?;
                let client = self.client(&doing).await?;
                client.batch_execute(&drop_it).await.map_err(EngineError::refused(doing))?;
            }
            outcome => outcome.map_err(EngineError::refused(doing))?,
        }
        Ok(true)
    }

    /// Ends the branches' sessions that hold on to a role of another: a GRANT to it in a transaction that is never ended does.
    async fn end_holders_of(&self, client: &Client, role: &Ident) -> Result<(), EngineError> {
        let doing = format!("end the sessions that hold on to the role {role}");
        let end = "select pg_catalog.pg_terminate_backend(a.pid, 500)
                   from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
                   join pg_catalog.pg_authid holder on holder.oid = a.usesysid and not holder.rolsuper
                   where l.locktype = 'object' and l.classid = 'pg_catalog.pg_authid'::pg_catalog.regclass
                     and l.objid = (select oid from pg_catalog.pg_authid where rolname = $1::text::name)";
        client.execute(end, &[&role.as_str()]).await.map(drop).map_err(EngineError::refused(doing))
    }

    /// Takes back what a role was granted in other databases of ours.
    async fn revoke_everywhere(&self, role: &Ident) -> Result<(), EngineError> {
        let doing = format!("take back what the role {role} was granted");
        let client = self.client(&doing).await?;
        let rows = client
            .query(
                "select distinct d.datname::text as name, d.datallowconn as open
                 from pg_catalog.pg_shdepend s join pg_catalog.pg_database d on d.oid = s.dbid
                 where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
                   and s.refobjid = (select oid from pg_catalog.pg_authid where rolname = $1::text::name)",
                &[&role.as_str()],
            )
            .await
            .map_err(EngineError::refused(doing.clone()))?;
        let revoke = format!("SET LOCAL lock_timeout = '10s'; DROP OWNED BY {role}");
        for row in rows {
            let (database, open) = (Ident::new(row.get("name"))?, row.get::<_, bool>("open"));
            if !matches!(self.place(&database).await?, Place::Ours(_)) {
                continue;
            }
            // Opening a layer lets nobody in but us: no role has the right to connect to it.
            let allow = |open: bool| format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {open}");
            if !open {
                client.batch_execute(&allow(true)).await.map_err(EngineError::refused(doing.clone()))?;
            }
            let inside = self.client_in(&database).await?;
            let revoked = inside.batch_execute(&revoke).await;
            if !open {
                client.batch_execute(&allow(false)).await.map_err(EngineError::refused(doing.clone()))?;
            }
            revoked.map_err(EngineError::refused(doing.clone()))?;
        }
        Ok(())
    }
}
