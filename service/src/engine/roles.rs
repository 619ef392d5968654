//! The roles of an instance: one that owns what is in its database, and one that may only read.

use std::time::Duration;

use postgres_protocol::password::scram_sha_256;
use tokio_postgres::error::SqlState;

use super::ident::{Ident, Literal};
use super::identity::ROLE_COMMENT;
use super::instance::InstanceNames;
use super::{Engine, Limits};
use crate::secret::Secret;

/// What no role of a pull request may ever have.
pub(super) const UNPRIVILEGED: &str = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";

/// The group of all readers: what a branch's role makes, they may read, and none of them can connect to another's database.
/// Not `pg_read_all_data`, which reads the server's passwords as well.
pub(super) const READERS: &str = "offshoot_readers";

/// How long an administrator waits for a role's own transaction before it is ended.
const PATIENCE: &str = "SET LOCAL lock_timeout = '2s';";

/// How long sessions that were told to end are given to be gone.
const GOING: Duration = Duration::from_millis(200);

/// Lets readers read what a role is going to make.
pub(super) fn open_to_readers(role: &Ident) -> String {
    format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON TABLES TO {READERS};
         ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON SEQUENCES TO {READERS};
         ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT USAGE ON SCHEMAS TO {READERS};"
    )
}

/// Both roles, with passwords that reach the server as verifiers only.
pub(super) fn create(
    names: &InstanceNames,
    password: &Secret,
    reader_password: &Secret,
    limits: &Limits,
) -> String {
    let InstanceNames { role, reader, .. } = names;
    let comment = Literal(ROLE_COMMENT);
    format!(
        "CREATE ROLE {role} {UNPRIVILEGED}; {}
         CREATE ROLE {reader} {UNPRIVILEGED}; {}
         ALTER ROLE {reader} SET default_transaction_read_only = on;
         GRANT {READERS} TO {reader};
         COMMENT ON ROLE {role} IS {comment};
         COMMENT ON ROLE {reader} IS {comment};",
        login(role, password, limits),
        login(reader, reader_password, limits),
    )
}

/// Sets a role's password and limits, most of which it can change itself, to what they are to be.
pub(super) fn login(role: &Ident, password: &Secret, limits: &Limits) -> String {
    let verifier = scram_sha_256(password.expose().as_bytes());
    let settings = settings(limits);
    let settings =
        settings.map(|(name, value)| format!("ALTER ROLE {role} SET {name} = '{value}';")).join(" ");
    let connections = limits.connections;
    format!(
        "ALTER ROLE {role} LOGIN CONNECTION LIMIT {connections} PASSWORD {}; {settings}",
        Literal(&verifier)
    )
}

/// Takes every setting from a role that it may have given itself, in whatever database: any of them could keep it from connecting.
fn forget_settings(role: &Ident) -> String {
    format!(
        "DO $forget$ DECLARE place name; BEGIN
            FOR place IN SELECT d.datname FROM pg_catalog.pg_db_role_setting s
                JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
                JOIN pg_catalog.pg_authid r ON r.oid = s.setrole WHERE r.rolname = {name}
            LOOP
                EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', {name}, place);
            END LOOP;
         END $forget$;
         ALTER ROLE {role} RESET ALL;",
        name = Literal(role.as_str())
    )
}

/// What each session of a branch's role begins with.
fn settings(limits: &Limits) -> [(&'static str, String); 5] {
    [
        ("statement_timeout", milliseconds(limits.statement_timeout)),
        ("lock_timeout", milliseconds(limits.lock_timeout.unwrap_or_default())),
        ("idle_in_transaction_session_timeout", milliseconds(limits.idle_in_transaction)),
        ("temp_file_limit", format!("{}MB", limits.temp_file_megabytes)),
        // A branch can be rebuilt; waiting for the disk at every commit cannot be had back.
        ("synchronous_commit", "off".to_owned()),
    ]
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// What a role's login is at one moment, as the server keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    may_log_in: bool,
    connections: i32,
    verifier: Option<String>,
    settings: Vec<String>,
}

impl Login {
    /// Whether it is as Offshoot makes it, password aside.
    pub(super) fn is_as_made(&self, limits: &Limits) -> bool {
        let mut expected = settings(limits).map(|(name, value)| format!("0 {name}={value}"));
        expected.sort_unstable();
        let mut settings = self.settings.clone();
        settings.sort_unstable();
        self.may_log_in
            && i64::from(self.connections) == i64::from(limits.connections)
            && settings == expected
    }
}

impl Engine {
    /// Reads a role's login.
    pub(super) async fn login(&self, access: &super::Access) -> Result<Login, super::EngineError> {
        let doing = format!("look at the login of the role {:?}", access.role);
        let client = self.client(&doing).await?;
        let statement = client
            .prepare_cached(
                "select rolcanlogin as may_log_in, rolconnlimit as connections, rolpassword as verifier,
                    coalesce((select array_agg(setting order by setting) from (
                        select s.setdatabase || ' ' || unnest(s.setconfig) as setting
                        from pg_catalog.pg_db_role_setting s where s.setrole = r.oid) as kept), '{}') as settings
                 from pg_catalog.pg_authid r where rolname = $1::text::name",
            )
            .await
            .map_err(super::EngineError::refused(doing.clone()))?;
        let row = client.query_opt(&statement, &[&access.role]).await;
        let row = row.map_err(super::EngineError::refused(doing))?;
        let missing = || super::EngineError::Missing { what: "role", name: access.role.clone() };
        let row = row.ok_or_else(missing)?;
        Ok(Login {
            may_log_in: row.get("may_log_in"),
            connections: row.get("connections"),
            verifier: row.get("verifier"),
            settings: row.get("settings"),
        })
    }

    /// Undoes what SQL that ran as the role did to its own login: to its password since it was read, to the rest whenever.
    pub(super) async fn restore_login_unless(
        &self,
        access: &super::Access,
        before: &Login,
    ) -> Result<(), super::EngineError> {
        let now = self.login(access).await?;
        if now.verifier == before.verifier && now.is_as_made(&self.limits) {
            return Ok(());
        }
        self.restore_login(access).await
    }

    /// Gives an instance's two roles other passwords.
    pub async fn set_passwords(
        &self,
        names: &InstanceNames,
        password: &Secret,
        reader_password: &Secret,
    ) -> Result<(), super::EngineError> {
        let doing = format!("set the passwords of the roles of {}", names.database);
        self.warm.forget(names.database.as_str());
        let sql = [(&names.role, password), (&names.reader, reader_password)].map(|(role, password)| {
            let verifier = scram_sha_256(password.expose().as_bytes());
            format!("ALTER ROLE {role} PASSWORD {};", Literal(&verifier))
        });
        let client = self.client(&doing).await?;
        client.batch_execute(&sql.concat()).await.map_err(super::EngineError::refused(doing))
    }

    /// Undoes what SQL that ran as the role may have done to its own login. A session of the role that holds on to its entry is ended.
    pub(super) async fn restore_login(&self, access: &super::Access) -> Result<(), super::EngineError> {
        let doing = format!("restore the login of the role {:?}", access.role);
        let role = Ident::new(&access.role)?;
        let client = self.client(&doing).await?;
        let login = login(&role, &access.password, &self.limits);
        let sql = format!("{PATIENCE} {} {login}", forget_settings(&role));
        let Err(error) = client.batch_execute(&sql).await else { return Ok(()) };
        if !is_contended(&error) {
            return Err(super::EngineError::refused(doing)(error));
        }
        self.end_sessions_of(access).await?;
        client.batch_execute(&sql).await.map_err(super::EngineError::refused(doing))
    }

    /// Ends the role's sessions: those who have its URL may hold all its connections, or a lock that a replay needs.
    pub(super) async fn end_sessions_of(&self, access: &super::Access) -> Result<(), super::EngineError> {
        let doing = format!("end the sessions of the role {:?}", access.role);
        let client = self.client(&doing).await?;
        // Waits for each of them to be gone, half a second at most.
        let end = "select pg_catalog.pg_terminate_backend(pid, 500) from pg_catalog.pg_stat_activity
                   where usename = $1::text::name";
        client.execute(end, &[&access.role]).await.map(drop).map_err(super::EngineError::refused(doing))
    }

    /// Gives a role its way in back, where the server's refusal may be the role's own doing.
    pub(super) async fn make_way(
        &self,
        access: &super::Access,
        refusal: &SqlState,
    ) -> Result<(), super::EngineError> {
        if *refusal == SqlState::TOO_MANY_CONNECTIONS {
            // All of the server's are in use, this role's not.
            self.enforce_limits().await?;
            tokio::time::sleep(GOING).await;
            return Ok(());
        }
        self.restore_login(access).await
    }

    /// Whether a role has all the sessions that it may have.
    pub(super) async fn is_at_its_limit(&self, access: &super::Access) -> Result<bool, super::EngineError> {
        let doing = format!("count the sessions of the role {:?}", access.role);
        let client = self.client(&doing).await?;
        let sql = "select count(*) >= (select rolconnlimit from pg_catalog.pg_roles where rolname = $1::text::name) as full
                   from pg_catalog.pg_stat_activity where usename = $1::text::name";
        let row = client.query_one(sql, &[&access.role]).await.map_err(super::EngineError::refused(doing))?;
        Ok(row.get::<_, Option<bool>>("full").unwrap_or_default())
    }
}

/// Whether a connection may have been refused for what the role did: another password, a setting that no session can begin with, all its
/// connections in use.
pub(super) fn may_be_own_doing(code: &SqlState) -> bool {
    let server_s = ["08", "57P", "3D", "XX"].iter().any(|class| code.code().starts_with(class));
    *code == SqlState::TOO_MANY_CONNECTIONS || !(server_s || code.code().starts_with("53"))
}

/// Whether a role's entry was being changed by the role itself.
fn is_contended(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        *db.code() == SqlState::LOCK_NOT_AVAILABLE || db.message().contains("concurrently updated")
    })
}
