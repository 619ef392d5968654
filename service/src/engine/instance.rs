//! Instances: a database with the login role that owns what is in it and one that may read it.

use tokio_postgres::Client;

use super::error::EngineError;
use super::ident::{Ident, InvalidIdent, Literal};
use super::identity::{Identity, instance_name, retired_name, trash_name};
use super::layer::LayerNames;
use super::{Engine, roles, takeover};
use crate::domain::names;
use crate::secret::Secret;

/// An instance's names on the server; they change when it is published, replaced or frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceNames {
    pub database: Ident,
    pub role: Ident,
    pub reader: Ident,
}

impl InstanceNames {
    /// Database and role of one name, and its reader: how all instances are named.
    pub fn of(name: &str) -> Result<Self, InvalidIdent> {
        let reader = Ident::new(&names::reader(name))?;
        Ok(Self { database: Ident::new(name)?, role: Ident::new(name)?, reader })
    }

    /// An instance's names before it is published.
    pub fn new(id: &str) -> Result<Self, InvalidIdent> {
        Self::of(&instance_name(id))
    }

    /// An instance's names after it was replaced.
    pub fn trash(id: &str) -> Result<Self, InvalidIdent> {
        Self::of(&trash_name(id))
    }

    /// An instance's names after its branch was closed; not those of what it had replaced.
    pub fn retired(id: &str) -> Result<Self, InvalidIdent> {
        Self::of(&retired_name(id))
    }

    /// How the owning role gets in.
    pub fn access(&self, password: &Secret) -> Access {
        Access {
            database: self.database.as_str().to_owned(),
            role: self.role.as_str().to_owned(),
            password: password.clone(),
        }
    }

    /// How the reading role gets in.
    pub fn reader_access(&self, password: &Secret) -> Access {
        Access { role: self.reader.as_str().to_owned(), ..self.access(password) }
    }
}

/// A role's way into a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub database: String,
    pub role: String,
    pub password: Secret,
}

/// What a new instance begins with.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    Empty,
    Layer(&'a LayerNames),
}

#[derive(Debug, Clone, Copy)]
pub struct InstanceSpec<'a> {
    pub names: &'a InstanceNames,
    pub password: &'a Secret,
    pub reader_password: &'a Secret,
    pub identity: &'a Identity,
    pub source: Source<'a>,
    /// Created as administrator in an empty one; a layer brings its own.
    pub extensions: &'a [String],
}

impl Engine {
    /// Makes an instance that only its own roles can reach. What it made of one that failed, it removes again.
    pub async fn create_instance(&self, spec: &InstanceSpec<'_>) -> Result<(), EngineError> {
        if let Some(name) = spec.extensions.iter().find(|name| !self.allowed_extensions.contains(name)) {
            return Err(EngineError::ExtensionNotAllowed { name: name.clone() });
        }
        let made = self.make(spec).await;
        if made.is_err()
            && let Err(error) = self.discard(spec.names).await
        {
            tracing::warn!(database = spec.names.database.as_str(), %error, "a half-made instance is left to the sweep");
        }
        made
    }

    async fn make(&self, spec: &InstanceSpec<'_>) -> Result<(), EngineError> {
        let doing = format!("create the instance {}", spec.names.database);
        let refused = || EngineError::refused(doing.clone());
        let making = self.instance_lock(spec.names).await?;
        let client = making.client();
        let roles = roles::create(spec.names, spec.password, spec.reader_password, &self.limits);
        // What is committed last, in the database itself, makes all of it last.
        let roles = format!("SET synchronous_commit = off; {roles}");
        client.batch_execute(&roles).await.map_err(refused())?;
        self.create_database(client, &spec.names.database, spec.source).await?;
        client.batch_execute(&admit(spec)).await.map_err(refused())?;
        let inside = self.client_in(&spec.names.database).await?;
        let sql = match spec.source {
            Source::Empty => furnish(&spec.names.role, spec.extensions)?,
            Source::Layer(layer) => takeover::sql(&layer.owner, &spec.names.role),
        };
        let sql = format!("{}{sql}", self.lasting_later());
        inside.batch_execute(&sql).await.map_err(refused())?;
        making.end().await;
        Ok(())
    }

    /// The database's size on disk in bytes.
    pub async fn database_size(&self, database: &Ident) -> Result<i64, EngineError> {
        let doing = format!("measure the database {database}");
        let client = self.client(&doing).await?;
        let row = client
            .query_opt(
                "select pg_catalog.pg_database_size(oid) as size from pg_catalog.pg_database where datname = $1::text::name",
                &[&database.as_str()],
            )
            .await
            .map_err(EngineError::refused(doing))?;
        let missing = || EngineError::Missing { what: "database", name: database.as_str().to_owned() };
        Ok(row.ok_or_else(missing)?.get("size"))
    }
}

/// Holds the lock of an instance's making for as long as the session lasts.
pub(super) async fn lock_making(session: &Client, names: &InstanceNames) -> Result<(), EngineError> {
    let sql = "select pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 1))";
    let locked = session.execute(sql, &[&names.database.as_str()]).await;
    locked.map(drop).map_err(EngineError::refused(format!("wait for the making of {}", names.database)))
}

/// The database's identity, and who may come in.
fn admit(spec: &InstanceSpec<'_>) -> String {
    let InstanceNames { database, role, reader } = spec.names;
    format!(
        "COMMENT ON DATABASE {database} IS {};
         REVOKE ALL ON DATABASE {database} FROM PUBLIC;
         GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {database} TO {role};
         GRANT CONNECT ON DATABASE {database} TO {reader};
         ALTER DATABASE {database} CONNECTION LIMIT -1;",
        Literal(&spec.identity.comment())
    )
}

/// An empty database's schema `public`, as its owner's own, and the extensions that a plain role could not create.
fn furnish(role: &Ident, extensions: &[String]) -> Result<String, InvalidIdent> {
    let mut sql = format!(
        "ALTER SCHEMA public OWNER TO {role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC; {} SET search_path = public;",
        roles::open_to_readers(role)
    );
    for extension in extensions {
        sql += &format!(" CREATE EXTENSION IF NOT EXISTS {} CASCADE;", Ident::new(extension)?);
    }
    Ok(sql)
}
