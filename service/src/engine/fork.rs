//! Forks: clones of a branch's frozen ready state, each with a login role of its own.
//!
//! What is in a fork stays the snapshot's role's, to which the fork's role belongs and as which its sessions act: so nothing in the clone has to
//! be touched, and no session in it is needed. All forks of one snapshot share that role. They are kept apart by who may connect.

use tokio_postgres::Client;

use super::ident::{Ident, Literal};
use super::identity::{Identity, ROLE_COMMENT};
use super::layer::LayerNames;
use super::making::unlock;
use super::roles::{UNPRIVILEGED, login};
use super::{Engine, EngineError, LASTING_WITH_NEXT, Limits};
use crate::secret::Secret;

#[derive(Debug, Clone, Copy)]
pub struct ForkSpec<'a> {
    /// Of the database and of its login role.
    pub name: &'a Ident,
    pub password: &'a Secret,
    pub identity: &'a Identity,
    pub snapshot: &'a LayerNames,
}

/// An administrator's session in which forks are made, one after the other. One that is given up in the middle goes on on the server, and
/// holds the lock of what it was making until that is done.
#[derive(Debug)]
pub struct ForkSession<'e> {
    engine: &'e Engine,
    client: Client,
}

impl Engine {
    /// Connects a session for making forks.
    pub async fn fork_session(&self) -> Result<ForkSession<'_>, EngineError> {
        Ok(ForkSession { engine: self, client: self.administrator.connect().await? })
    }
}

impl ForkSession<'_> {
    /// Holds the lock of a fork's making. Whoever drops the fork condemns it first and waits for the lock then: so look between this and
    /// [`ForkSession::make`] whether it is still to be made.
    pub async fn begin(&self, name: &Ident) -> Result<(), EngineError> {
        let lock = "select pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 1))";
        let locked = self.client.execute(lock, &[&name.as_str()]).await;
        locked.map(drop).map_err(EngineError::refused(format!("wait for the making of {name}")))
    }

    /// Ends what was begun without making it.
    pub async fn leave(&self, name: &Ident) -> Result<(), EngineError> {
        let left = self.client.batch_execute(&unlock(name)).await;
        left.map_err(EngineError::refused(format!("leave the making of {name}")))
    }

    /// Makes the fork that was begun. Nobody gets in before it is done; what is left of one that failed is for whoever drops it.
    pub async fn make(&self, spec: &ForkSpec<'_>) -> Result<(), EngineError> {
        let refused = || EngineError::refused(format!("create the fork {}", spec.name));
        // CREATE DATABASE waits for the disk in any case, and what was committed before it lasts with it.
        let role = [LASTING_WITH_NEXT, &role(spec, &self.engine.limits)].concat();
        self.client.batch_execute(&role).await.map_err(refused())?;
        let template = &spec.snapshot.database;
        self.engine.clone_database(&self.client, spec.name, template).await?;
        let admit = [self.engine.lasting_later(), &admit(spec), &unlock(spec.name)].concat();
        self.client.batch_execute(&admit).await.map_err(refused())
    }
}

/// A login role that acts as the snapshot's role, whose member it is without a say in who else becomes one.
fn role(spec: &ForkSpec<'_>, limits: &Limits) -> String {
    let ForkSpec { name, password, snapshot, .. } = spec;
    format!(
        "CREATE ROLE {name} {UNPRIVILEGED} INHERIT; {}
         GRANT {owner} TO {name};
         ALTER ROLE {name} SET role = {};
         COMMENT ON ROLE {name} IS {};",
        login(name, password, limits),
        Literal(snapshot.owner.as_str()),
        Literal(ROLE_COMMENT),
        owner = snapshot.owner,
    )
}

/// The fork's identity, and who may come in. What its sessions may do there is PUBLIC's, not their common role's: in one fork,
/// `DROP OWNED BY CURRENT_USER` would take that from the others.
fn admit(spec: &ForkSpec<'_>) -> String {
    let ForkSpec { name, identity, .. } = spec;
    format!(
        "COMMENT ON DATABASE {name} IS {};
         REVOKE ALL ON DATABASE {name} FROM PUBLIC;
         GRANT CREATE, TEMPORARY ON DATABASE {name} TO PUBLIC;
         GRANT CONNECT ON DATABASE {name} TO {name};
         ALTER DATABASE {name} CONNECTION LIMIT -1;",
        Literal(&identity.comment())
    )
}
