//! Limits that SQL cannot lift for itself: looked at from outside, and enforced by ending sessions.

use std::time::Duration;

use super::error::EngineError;
use super::identity::ROLE_COMMENT;
use super::inventory::measure;
use super::{Engine, Limits};

/// How far a session may be beyond what its own settings allow, so that the server's own timeouts, which say more, come first.
const GRACE: Duration = Duration::from_secs(2);

/// The branches' sessions that are beyond a limit. A limit of the whole database ends all sessions that may write to it; one of all branches
/// ends those of the branch with the most, the idle and the youngest first.
const BEYOND: &str = "\
    with sessions as materialized (
        select a.pid, a.datid, a.datname::text as database, a.usename::text as role, a.state, a.state_change, a.query_start, a.xact_start,
               a.backend_start, coalesce(not s.setconfig @> '{default_transaction_read_only=on}', true) as writes
        from pg_catalog.pg_stat_activity a
        left join pg_catalog.pg_db_role_setting s on s.setrole = a.usesysid and s.setdatabase = 0
        where a.backend_type = 'client backend' and pg_catalog.shobj_description(a.usesysid, 'pg_authid') = $1
    ), sizes as materialized (
        select datid, pg_catalog.pg_database_size(datid) as bytes from (select distinct datid from sessions) d
    ), crowd as materialized (
        select pid from (
            select pid, row_number() over (partition by role order by state = 'idle', backend_start) as nth from sessions
        ) numbered
        order by nth desc, pid limit greatest(0, (select count(*) from sessions) - $5::bigint)
    ), beyond as (
        select s.pid, s.database, s.role, case
            when s.state like 'idle in transaction%' and s.state_change < pg_catalog.clock_timestamp() - $2::float8 * interval '1 second'
                then 'idle in a transaction'
            when s.xact_start < pg_catalog.clock_timestamp() - $3::float8 * interval '1 second' then 'a transaction without end'
            when s.state = 'active' and s.query_start < pg_catalog.clock_timestamp() - $3::float8 * interval '1 second'
                then 'a statement without end'
            when s.writes and z.bytes > $4 then 'the database is too large'
            when s.pid in (select pid from crowd) then 'too many connections of all branches together'
            end as limit
        from sessions s join sizes z using (datid)
    )
    select database, role, \"limit\", pg_catalog.pg_terminate_backend(pid) as ended from beyond where \"limit\" is not null";

/// Bytes that no server writes in a second: to measure a database takes milliseconds, which what ran for less cannot have used to outgrow it.
const FASTEST_GROWTH: f64 = 20e9;

impl Limits {
    /// Whether a database that was so large cannot be too large now, after SQL ran in it for so long.
    pub fn cannot_be_outgrown(&self, began_with_bytes: i64, wrote_for: Duration) -> bool {
        let room = i64::from(self.size_megabytes) * 1024 * 1024 - began_with_bytes;
        room as f64 > FASTEST_GROWTH * wrote_for.as_secs_f64()
    }
}

/// A session that was ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub database: String,
    pub role: String,
    pub limit: String,
}

impl Engine {
    /// Ends the sessions of branches' roles that are beyond their limits, whatever they have set for themselves.
    pub async fn enforce_limits(&self) -> Result<Vec<Ended>, EngineError> {
        let doing = "hold the branches to their limits";
        let limits = &self.limits;
        let idle = (limits.idle_in_transaction + GRACE).as_secs_f64();
        let busy = (limits.job_timeout.max(limits.idle_in_transaction).max(limits.statement_timeout) + GRACE)
            .as_secs_f64();
        let bytes = i64::from(limits.size_megabytes) * 1024 * 1024;
        let client = self.client(doing).await?;
        let statement = client.prepare_cached(BEYOND).await.map_err(EngineError::refused(doing))?;
        let connections = i64::from(self.connections);
        let rows = measure(&client, &statement, &[&ROLE_COMMENT, &idle, &busy, &bytes, &connections])
            .await
            .map_err(EngineError::refused(doing))?;
        Ok(rows
            .iter()
            .map(|row| Ended {
                database: row.get("database"),
                role: row.get("role"),
                limit: row.get("limit"),
            })
            .collect())
    }

    /// Whether a branch's database is larger than one may be.
    pub async fn has_outgrown(&self, database: &str) -> Result<bool, EngineError> {
        let database = super::Ident::new(database)?;
        let size = self.database_size(&database).await?;
        Ok(size > i64::from(self.limits.size_megabytes) * 1024 * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_had_time_is_measured() {
        let limits = Limits { size_megabytes: 1024, ..Limits::default() };
        let cannot = |bytes, ms| limits.cannot_be_outgrown(bytes, Duration::from_millis(ms));
        assert!(cannot(12 << 20, 20));
        assert!(!cannot(12 << 20, 60));
        assert!(!cannot(1000 << 20, 20));
        assert!(!cannot(2000 << 20, 0));
    }
}
