//! What the control database and the branch server say, read in one go.

use anyhow::{Context, Result};
use tokio_postgres::{Client, Row};

/// A row of `branches`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BranchFact {
    pub id: i64,
    pub repository: i64,
    pub pull_request: i32,
    pub database: String,
    pub state: String,
    pub generation: i32,
    pub head_sha: String,
    pub database_name: String,
    pub has_credentials: bool,
}

impl BranchFact {
    pub fn is_live(&self) -> bool {
        self.state != "deleted"
    }

    pub fn is_of(&self, repository: i64, number: u64) -> bool {
        self.repository == repository && u64::try_from(self.pull_request) == Ok(number)
    }
}

impl std::fmt::Display for BranchFact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "branch {} ({}, {})", self.id, self.database_name, self.state)
    }
}

/// A row of `instances`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InstanceFact {
    pub branch: Option<i64>,
    /// The key of the layer that a spare was made from.
    pub layer: Option<String>,
    pub state: String,
    pub database_name: String,
    pub role_name: String,
}

/// A row of `layers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayerFact {
    pub key: String,
    pub database_name: String,
    pub owner_role: String,
    pub complete: bool,
}

/// A row of `forks` that has a database, or had: its role is called as that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForkFact {
    pub state: String,
    pub database_name: String,
}

/// A row of `deliveries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeliveryFact {
    pub id: String,
    /// Nobody took it up, although a job was to.
    pub waits: bool,
}

/// A row of `checks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckFact {
    /// `REPOSITORY#NUMBER`, as check runs are known by.
    pub pull: String,
    pub sha: String,
    pub run: Option<i64>,
    pub ended: bool,
}

/// A database of the branch server that is not the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseFact {
    pub name: String,
    pub comment: Option<String>,
    pub is_template: bool,
    pub is_open: bool,
    pub sessions: i64,
    /// Those of them that are not of the role that is called like the database.
    pub strangers: i64,
}

/// A role that is neither the server's own nor an administrator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleFact {
    pub name: String,
    pub can_log_in: bool,
    /// May make databases or roles, replicate, or pass row security by.
    pub is_privileged: bool,
}

/// Everything that the two servers say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    pub branches: Vec<BranchFact>,
    pub instances: Vec<InstanceFact>,
    pub layers: Vec<LayerFact>,
    /// Frozen as layers are, and known by what branch they are of rather than by their content.
    pub snapshots: Vec<LayerFact>,
    pub forks: Vec<ForkFact>,
    pub deliveries: Vec<DeliveryFact>,
    pub checks: Vec<CheckFact>,
    /// Kind and subject of what is still to be done.
    pub jobs: Vec<String>,
    pub databases: Vec<DatabaseFact>,
    pub roles: Vec<RoleFact>,
}

impl Facts {
    /// Reads them through an administrator's session on the control database, which is on the branch server too.
    pub async fn read(client: &Client) -> Result<Self> {
        Ok(Self {
            branches: all(client, BRANCHES, branch).await?,
            instances: all(client, INSTANCES, instance).await?,
            layers: all(client, LAYERS, layer).await?,
            snapshots: all(client, SNAPSHOTS, layer).await?,
            forks: all(client, FORKS, fork).await?,
            deliveries: all(client, DELIVERIES, delivery).await?,
            checks: all(client, CHECKS, check).await?,
            jobs: all(client, JOBS, |row| Ok(row.try_get("job")?)).await?,
            databases: all(client, DATABASES, database).await?,
            roles: all(client, ROLES, role).await?,
        })
    }
}

const BRANCHES: &str = "select id, repository, pull_request, database, state, generation, head_sha, database_name, \
    password is not null or reader_password is not null as has_credentials from branches order by id";
const INSTANCES: &str = "select branch, layer, state, database_name, role_name from instances order by id";
const LAYERS: &str = "select key, database_name, owner_role, complete from layers order by key";
const SNAPSHOTS: &str = "select key, database_name, owner_role, complete from snapshots order by key";
const FORKS: &str =
    "select state, database_name from forks where state not in ('wanted', 'dropped') order by id";
const DELIVERIES: &str =
    "select id, subject is not null and absorbed_at is null as waits from deliveries order by sequence";
const CHECKS: &str =
    "select repository || '#' || pull_request as pull, sha, github_id as run, ended from checks order by sha";
/// A tick of the clock may just have asked for work that has no subject; it is nobody's unfinished business.
const JOBS: &str = "select kind || ' ' || subject as job from jobs where state in ('available', 'running') and subject <> ''";
const DATABASES: &str = "select datname::text as name, shobj_description(oid, 'pg_database') as comment, datistemplate, \
    datallowconn, (select count(*) from pg_stat_activity where datid = pg_database.oid and backend_type = 'client backend') \
    as sessions, (select count(*) from pg_stat_activity where datid = pg_database.oid and backend_type = 'client backend' \
    and usename <> datname) as strangers from pg_database where datname not in ('postgres', 'template0', 'template1') order by datname";
/// The group of all readers stands for the whole service.
const ROLES: &str = "select rolname::text as name, rolcanlogin, \
    rolcreatedb or rolcreaterole or rolreplication or rolbypassrls as is_privileged \
    from pg_roles where rolname !~ '^pg_' and not rolsuper and rolname <> 'offshoot_readers' order by rolname";

async fn all<T>(client: &Client, sql: &str, read: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
    let rows = client.query(sql, &[]).await.with_context(|| sql.to_owned())?;
    rows.iter().map(read).collect()
}

fn branch(row: &Row) -> Result<BranchFact> {
    Ok(BranchFact {
        id: row.try_get("id")?,
        repository: row.try_get("repository")?,
        pull_request: row.try_get("pull_request")?,
        database: row.try_get("database")?,
        state: row.try_get("state")?,
        generation: row.try_get("generation")?,
        head_sha: row.try_get("head_sha")?,
        database_name: row.try_get("database_name")?,
        has_credentials: row.try_get("has_credentials")?,
    })
}

fn instance(row: &Row) -> Result<InstanceFact> {
    Ok(InstanceFact {
        branch: row.try_get("branch")?,
        layer: row.try_get("layer")?,
        state: row.try_get("state")?,
        database_name: row.try_get("database_name")?,
        role_name: row.try_get("role_name")?,
    })
}

fn layer(row: &Row) -> Result<LayerFact> {
    Ok(LayerFact {
        key: row.try_get("key")?,
        database_name: row.try_get("database_name")?,
        owner_role: row.try_get("owner_role")?,
        complete: row.try_get("complete")?,
    })
}

fn fork(row: &Row) -> Result<ForkFact> {
    Ok(ForkFact { state: row.try_get("state")?, database_name: row.try_get("database_name")? })
}

fn delivery(row: &Row) -> Result<DeliveryFact> {
    Ok(DeliveryFact { id: row.try_get("id")?, waits: row.try_get("waits")? })
}

fn check(row: &Row) -> Result<CheckFact> {
    Ok(CheckFact {
        pull: row.try_get("pull")?,
        sha: row.try_get("sha")?,
        run: row.try_get("run")?,
        ended: row.try_get("ended")?,
    })
}

fn database(row: &Row) -> Result<DatabaseFact> {
    Ok(DatabaseFact {
        name: row.try_get("name")?,
        comment: row.try_get("comment")?,
        is_template: row.try_get("datistemplate")?,
        is_open: row.try_get("datallowconn")?,
        sessions: row.try_get("sessions")?,
        strangers: row.try_get("strangers")?,
    })
}

fn role(row: &Row) -> Result<RoleFact> {
    Ok(RoleFact {
        name: row.try_get("name")?,
        can_log_in: row.try_get("rolcanlogin")?,
        is_privileged: row.try_get("is_privileged")?,
    })
}
