//! What must be the same before and after, seen from outside by an administrator.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use integration::offshoot::{Offshoot, connect};

use super::server::CANARY;

/// Each answers lines of text. Nothing of them may change, whatever the branches run; what speaks of branches leaves
/// those out that come and go with them.
const FACTS: [(&str, &str); 9] = [
    ("when the server was started", "select pg_postmaster_start_time()::text"),
    (
        "roles that may more than a branch's",
        "select format('%s %s', rolname, array[rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls]) from pg_roles
         where rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls",
    ),
    (
        "memberships in the server's own roles",
        "select format('%s in %s', m.rolname, g.rolname) from pg_auth_members a join pg_roles m on m.oid = a.member
         join pg_roles g on g.oid = a.roleid where g.rolname ~ '^pg_' or g.rolsuper or a.admin_option",
    ),
    ("settings of the server", "select format('%s=%s', name, setting) from pg_settings where source <> 'session' and source <> 'client'"),
    ("settings of databases", "select format('%s %s', setdatabase, setconfig) from pg_db_role_setting where setrole = 0"),
    (
        "who owns databases, and who may connect to those that are no branch's",
        "select format('%s %s %s', datname, pg_get_userbyid(datdba), case when datname in ('postgres', 'template0', 'template1') then datacl::text end)
         from pg_database where datname in ('postgres', 'template0', 'template1') or pg_get_userbyid(datdba) <> current_user",
    ),
    ("tablespaces, replication and subscriptions", "select spcname::text from pg_tablespace union all select slot_name::text from pg_replication_slots union all select subname::text from pg_subscription union all select roname from pg_replication_origin"),
    (
        "what the control database is made of",
        "select format('%s %s %s', relname, relkind, pg_get_userbyid(relowner)) from pg_class where relnamespace = 'public'::regnamespace
         union all select format('%s %s', proname, pg_get_userbyid(proowner)) from pg_proc where pronamespace = 'public'::regnamespace",
    ),
    ("prepared transactions", "select gid from pg_prepared_xacts"),
];

/// The server as it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Census(Vec<(&'static str, BTreeSet<String>)>);

impl Census {
    pub async fn take(offshoot: &Offshoot) -> Result<Self> {
        let client = offshoot.administrator().await?;
        let mut facts = Vec::new();
        for (what, sql) in FACTS {
            let rows = client.query(sql, &[]).await.context(what)?;
            let lines = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
            facts.push((what, lines));
        }
        Ok(Self(facts))
    }

    /// Fails with the first fact that differs.
    pub fn ensure_unchanged(&self, now: &Self) -> Result<()> {
        for ((what, before), (_, after)) in self.0.iter().zip(&now.0) {
            let (gone, come) = (before - after, after - before);
            ensure!(gone.is_empty() && come.is_empty(), "{what}: gone {gone:?}, come {come:?}");
        }
        ensure!(!std::path::Path::new(CANARY).exists(), "{CANARY} was written");
        Ok(())
    }
}

/// Every branch's role, by the catalogue: it may no more than it was given, and belongs to nobody.
pub async fn ensure_roles_are_plain(offshoot: &Offshoot) -> Result<()> {
    let client = offshoot.administrator().await?;
    let sql = "select format('%s: superuser %s, connections %s, temporary files %s', r.rolname, r.rolsuper, r.rolconnlimit, s.setconfig)
               from pg_roles r left join pg_db_role_setting s on s.setrole = r.oid and s.setdatabase = 0
               where r.rolcanlogin and not r.rolsuper
                 and (r.rolconnlimit < 1 or r.rolvaliduntil is not null or not 'temp_file_limit=16MB' = any (coalesce(s.setconfig, '{}')))";
    let rows = client.query(sql, &[]).await?;
    let odd: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    ensure!(odd.is_empty(), "roles that are not as they were made: {odd:?}");
    Ok(())
}

/// A branch's data as one text, and how much of it there is.
pub async fn contents(url: &str) -> Result<String> {
    let client = connect(url).await?;
    let row = client
        .query_one(
            "select count(*) || ' ' || md5(string_agg((id, name, color)::text, ',' order by id)) from items",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}
