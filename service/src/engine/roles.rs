//! The roles of an instance: one that owns what is in its database, and one that may only read.

use std::time::Duration;

use postgres_protocol::password::scram_sha_256;

use super::ident::{Ident, Literal};
use super::identity::ROLE_COMMENT;
use super::instance::InstanceNames;
use super::{Engine, Limits};
use crate::secret::Secret;

/// What no role of a pull request may ever have.
const UNPRIVILEGED: &str = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";

/// Both roles, with passwords that reach the server as verifiers only.
pub(super) fn create(
    names: &InstanceNames,
    password: &Secret,
    reader_password: &Secret,
    limits: &Limits,
) -> String {
    let InstanceNames { role, reader, .. } = names;
    let comment = Literal(ROLE_COMMENT);
    let connections = limits.connections;
    format!(
        "CREATE ROLE {role} {UNPRIVILEGED} CONNECTION LIMIT {connections}; {}
         CREATE ROLE {reader} {UNPRIVILEGED} CONNECTION LIMIT {connections}; {}
         ALTER ROLE {reader} SET default_transaction_read_only = on;
         GRANT pg_read_all_data TO {reader};
         COMMENT ON ROLE {role} IS {comment};
         COMMENT ON ROLE {reader} IS {comment};",
        login(role, password, limits),
        login(reader, reader_password, limits),
    )
}

/// Sets what a role can change of itself, its password and its limits, to what they are to be.
pub(super) fn login(role: &Ident, password: &Secret, limits: &Limits) -> String {
    let verifier = scram_sha_256(password.expose().as_bytes());
    let settings = [
        ("statement_timeout", milliseconds(limits.statement_timeout)),
        ("lock_timeout", milliseconds(limits.lock_timeout.unwrap_or_default())),
        ("idle_in_transaction_session_timeout", milliseconds(limits.idle_in_transaction)),
        ("temp_file_limit", format!("'{}MB'", limits.temp_file_megabytes)),
        // A branch can be rebuilt; waiting for the disk at every commit cannot be had back.
        ("synchronous_commit", "off".to_owned()),
    ];
    let settings = settings.map(|(name, value)| format!("ALTER ROLE {role} SET {name} = {value};")).join(" ");
    format!("ALTER ROLE {role} LOGIN PASSWORD {}; {settings}", Literal(&verifier))
}

fn milliseconds(duration: Duration) -> String {
    format!("'{}ms'", duration.as_millis())
}

impl Engine {
    /// Gives an instance's two roles other passwords.
    pub async fn set_passwords(
        &self,
        names: &InstanceNames,
        password: &Secret,
        reader_password: &Secret,
    ) -> Result<(), super::EngineError> {
        let doing = format!("set the passwords of the roles of {}", names.database);
        let sql = [(&names.role, password), (&names.reader, reader_password)].map(|(role, password)| {
            let verifier = scram_sha_256(password.expose().as_bytes());
            format!("ALTER ROLE {role} PASSWORD {};", Literal(&verifier))
        });
        let client = self.client(&doing).await?;
        client.batch_execute(&sql.concat()).await.map_err(super::EngineError::refused(doing))
    }

    /// Undoes what SQL that ran as the role may have done to its own login.
    pub(super) async fn restore_login(&self, access: &super::Access) -> Result<(), super::EngineError> {
        let doing = format!("restore the login of the role {:?}", access.role);
        let role = Ident::new(&access.role)?;
        let client = self.client(&doing).await?;
        let sql = login(&role, &access.password, &self.limits);
        client.batch_execute(&sql).await.map_err(super::EngineError::refused(doing))
    }
}
