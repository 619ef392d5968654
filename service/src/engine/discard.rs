//! Dropping what Offshoot made, and nothing else.

use super::Engine;
use super::error::EngineError;
use super::ident::Ident;
use super::identity::is_ours;
use super::instance::InstanceNames;
use super::publish::Place;

impl Engine {
    /// Ends an instance's sessions and drops its database and roles. What is gone already is no error.
    pub async fn discard(&self, instance: &InstanceNames) -> Result<(), EngineError> {
        self.drop_database(&instance.database).await?;
        self.drop_role(&instance.reader).await?;
        self.drop_role(&instance.role).await
    }

    pub(super) async fn drop_database(&self, database: &Ident) -> Result<(), EngineError> {
        match self.place(database).await? {
            Place::Nothing => return Ok(()),
            Place::Ours(_) => {}
            Place::Foreign => {
                return Err(EngineError::NotOurs { what: "database", name: database.as_str().to_owned() });
            }
        }
        let doing = format!("drop the database {database}");
        let client = self.client(&doing).await?;
        let shut = format!(
            "ALTER DATABASE {database} IS_TEMPLATE false; ALTER DATABASE {database} ALLOW_CONNECTIONS false"
        );
        client.batch_execute(&shut).await.map_err(EngineError::refused(doing.clone()))?;
        let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        client.batch_execute(&drop).await.map_err(EngineError::refused(doing))
    }

    /// A role owns nothing outside its database, which is gone by now.
    pub(super) async fn drop_role(&self, role: &Ident) -> Result<(), EngineError> {
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
        let Some(found) = found else { return Ok(()) };
        if !is_ours(role.as_str(), found.get("comment")) {
            return Err(EngineError::NotOurs { what: "role", name: role.as_str().to_owned() });
        }
        client
            .batch_execute(&format!("DROP ROLE IF EXISTS {role}"))
            .await
            .map_err(EngineError::refused(doing))
    }
}
