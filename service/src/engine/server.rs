//! The branch server: what it is, and what is closed on it before a pull request's SQL comes near.

use tokio_postgres::Client;

use super::error::EngineError;
use super::ident::Ident;

const OLDEST: i32 = 140_000;
const FIRST_WITH_STRATEGIES: i32 = 150_000;

/// Below this, copying blocks through the WAL beats copying files with the two checkpoints that takes: 32 ms against
/// 45 ms for 12 MB, 1,450 ms against 560 ms for 595 MB.
const WAL_COPY_LIMIT: i64 = 32 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `server_version_num`: 180006.
    pub version_num: i32,
    /// Collation, character type and their provider, as new databases get them.
    locale: String,
}

impl Server {
    /// What of the server decides what a layer holds.
    pub fn fingerprint(&self) -> String {
        format!("{} {}", self.version_num, self.locale)
    }

    pub(super) async fn read(client: &Client) -> Result<Self, EngineError> {
        let facts = client
            .query_one(
                "select current_setting('server_version_num')::int as version_num,
                        current_setting('server_version') as version, current_user::text as role,
                        (select rolsuper from pg_catalog.pg_roles where rolname = current_user) as superuser,
                        concat_ws(' ', d.datcollate, d.datctype, row_to_json(d)->>'datlocprovider',
                                  row_to_json(d)->>'daticulocale', row_to_json(d)->>'datlocale') as locale
                 from pg_catalog.pg_database d where d.datname = 'template0'",
                &[],
            )
            .await
            .map_err(EngineError::refused("read the branch server's version"))?;
        let version_num: i32 = facts.get("version_num");
        if version_num < OLDEST {
            return Err(EngineError::TooOld { found: facts.get("version") });
        }
        if !facts.get::<_, bool>("superuser") {
            return Err(EngineError::NotSuperuser { role: facts.get("role") });
        }
        Ok(Self { version_num, locale: facts.get("locale") })
    }

    pub(super) fn copies_files(&self, template_bytes: i64) -> bool {
        self.version_num >= FIRST_WITH_STRATEGIES && template_bytes > WAL_COPY_LIMIT
    }

    /// The `STRATEGY` of a clone; none before 15, which only knows how to copy files.
    pub(super) fn strategy(&self, copies_files: bool) -> &'static str {
        match (self.version_num >= FIRST_WITH_STRATEGIES, copies_files) {
            (false, _) => "",
            (true, true) => "STRATEGY FILE_COPY",
            (true, false) => "STRATEGY WAL_LOG",
        }
    }
}

/// Takes from PUBLIC the right to connect to databases that are not branches: a fresh server grants it on every one.
/// Says nothing about other people's databases on the server; those are the operator's to close.
pub(super) async fn harden(client: &Client, control: Option<&str>) -> Result<(), EngineError> {
    let names = ["postgres", "template1"].into_iter().chain(control).collect::<Vec<_>>();
    let doing = || EngineError::refused("close the branch server's own databases to branches");
    let open = client
        .query(
            "select d.datname::text as name from pg_catalog.pg_database d
             where d.datname = any($1) and exists (
                select from pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
                where a.grantee = 0)",
            &[&names],
        )
        .await
        .map_err(doing())?;
    for row in open {
        let name = Ident::new(row.get("name"))?;
        let revoked = client.batch_execute(&format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await;
        // Another process of ours may be doing the same.
        if let Err(error) = revoked
            && !error.as_db_error().is_some_and(|db| db.message().contains("concurrently updated"))
        {
            return Err(doing()(error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_templates_are_copied_by_file_where_the_server_can() {
        let server = |version_num| Server { version_num, locale: "C".to_owned() };
        let strategy = |version_num, bytes| {
            let server = server(version_num);
            server.strategy(server.copies_files(bytes))
        };
        assert_eq!(strategy(180_006, 12 << 20), "STRATEGY WAL_LOG");
        assert_eq!(strategy(180_006, 595 << 20), "STRATEGY FILE_COPY");
        assert_eq!(strategy(140_010, 595 << 20), "");
        assert_eq!(server(180_006).fingerprint(), "180006 C");
    }
}
