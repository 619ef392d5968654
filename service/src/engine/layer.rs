//! Layers: frozen databases to clone from.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Engine;
use super::error::EngineError;
use super::ident::{Ident, InvalidIdent, Literal};
use super::identity::{Identity, Subject};
use super::instance::InstanceNames;
use crate::domain::layer::LayerKey;

/// A layer's names on the server: its database, and the role that owns what is in it and cannot log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerNames {
    pub database: Ident,
    pub owner: Ident,
}

impl LayerNames {
    pub fn of(key: &LayerKey) -> Result<Self, InvalidIdent> {
        Self::recorded(&key.database_name(), &key.database_name())
    }

    /// The names as they were kept.
    pub fn recorded(database: &str, owner: &str) -> Result<Self, InvalidIdent> {
        Ok(Self { database: Ident::new(database)?, owner: Ident::new(owner)? })
    }
}

/// Held while one process builds a layer. The server frees it when this is dropped, or its holder dies.
#[derive(Debug)]
pub struct LayerLock {
    _session: Client,
}

impl Engine {
    /// Waits until no other process builds this layer.
    pub async fn layer_lock(&self, key: &LayerKey) -> Result<LayerLock, EngineError> {
        let session = self.administrator.connect().await?;
        session
            .execute(
                "select pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 0))",
                &[&key.as_str()],
            )
            .await
            .map_err(EngineError::refused(format!("wait for the layer {key}")))?;
        Ok(LayerLock { _session: session })
    }

    /// Whether a layer stands: the mark is set by the transaction that makes a database one.
    pub async fn layer_is_complete(&self, layer: &LayerNames) -> Result<bool, EngineError> {
        let doing = format!("look for the layer {}", layer.database);
        let client = self.client(&doing).await?;
        let row = client
            .query_opt(
                "select datistemplate as complete from pg_catalog.pg_database where datname = $1::text::name",
                &[&layer.database.as_str()],
            )
            .await
            .map_err(EngineError::refused(doing))?;
        Ok(row.is_some_and(|row| row.get("complete")))
    }

    /// Makes an instance into a layer: nobody can connect to it, and it is only cloned. Can be repeated after a crash.
    pub async fn freeze(
        &self,
        instance: &InstanceNames,
        layer: &LayerNames,
        key: &LayerKey,
    ) -> Result<(), EngineError> {
        if self.layer_is_complete(layer).await? {
            return self.discard(instance).await.map(drop);
        }
        // What a drop left that was killed halfway.
        self.drop_layer(layer).await?;
        let doing = format!("freeze the layer {}", layer.database);
        self.strip(instance).await?;
        self.close(&instance.database).await?;
        self.drop_role(&instance.reader).await?;
        let InstanceNames { database, role, .. } = instance;
        let identity = Identity::new(Subject::Layer { layer: key.as_str().to_owned() });
        let client = self.client(&doing).await?;
        // One message is one transaction.
        let sql = format!(
            "ALTER ROLE {role} NOLOGIN PASSWORD NULL;
             ALTER ROLE {role} RENAME TO {owner};
             ALTER DATABASE {database} RENAME TO {name};
             COMMENT ON DATABASE {name} IS {comment};
             ALTER DATABASE {name} IS_TEMPLATE true;",
            owner = layer.owner,
            name = layer.database,
            comment = Literal(&identity.comment()),
        );
        client.batch_execute(&sql).await.map_err(EngineError::refused(doing))
    }

    /// Takes from the roles what ties them to the database's own entry: clones would have to take it back one by one, all at the same row.
    async fn strip(&self, instance: &InstanceNames) -> Result<(), EngineError> {
        let InstanceNames { database, role, reader } = instance;
        let doing = format!("take the roles' grants on {database} back");
        let client = self.client(&doing).await?;
        // A killed freeze may have closed it already.
        let open = format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true");
        client.batch_execute(&open).await.map_err(EngineError::refused(doing.clone()))?;
        drop(client);
        let inside = self.client_in(database).await?;
        let revoke = format!("REVOKE ALL ON DATABASE {database} FROM {role}");
        inside.batch_execute(&revoke).await.map_err(EngineError::refused(doing.clone()))?;
        match inside.batch_execute(&format!("DROP OWNED BY {reader}")).await {
            // A freeze that was killed had dropped it already.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Ok(()),
            outcome => outcome.map_err(EngineError::refused(doing)),
        }
    }

    /// Whether nobody builds the layer of this key now.
    pub async fn layer_is_unattended(&self, key: &str) -> Result<bool, EngineError> {
        let doing = format!("ask whether the layer {key} is being built");
        let session = self.administrator.connect().await?;
        let row = session
            .query_one(
                "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0)) as free",
                &[&key],
            )
            .await
            .map_err(EngineError::refused(doing))?;
        Ok(row.get("free"))
    }

    /// Drops a layer and its role. A layer that is not there is no error.
    pub async fn drop_layer(&self, layer: &LayerNames) -> Result<(), EngineError> {
        self.drop_database(&layer.database).await?;
        self.drop_role(&layer.owner).await?;
        Ok(())
    }
}
