//! The branch server: what it is, and what is closed on it before a pull request's SQL comes near.

use tokio_postgres::Client;

use super::clone::CloneMethod;
use super::error::EngineError;
use super::ident::Ident;
use super::roles::READERS;

const OLDEST: i32 = 140_000;
const FIRST_WITH_STRATEGIES: i32 = 150_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `server_version_num`: 180006.
    pub version_num: i32,
    /// Collation, character type and their provider, as new databases get them.
    locale: String,
    /// Whether it can be asked for clones of files. Whether its file system then shares blocks is another matter.
    clones_files: bool,
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
                        coalesce((select 'clone' = any(s.enumvals) from pg_catalog.pg_settings s
                                  where s.name = 'file_copy_method'), false) as clones_files,
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
        Ok(Self { version_num, locale: facts.get("locale"), clones_files: facts.get("clones_files") })
    }

    /// The ways in which it can be told to clone a database.
    pub(super) fn clone_methods(&self) -> &'static [CloneMethod] {
        match (self.version_num >= FIRST_WITH_STRATEGIES, self.clones_files) {
            (false, _) => &[CloneMethod::CopyFiles],
            (true, false) => &[CloneMethod::WalLog, CloneMethod::CopyFiles],
            (true, true) => &[CloneMethod::WalLog, CloneMethod::CopyFiles, CloneMethod::CloneFiles],
        }
    }

    /// The `STRATEGY` of a clone; none before 15, which only knows how to copy files.
    pub(super) fn strategy(&self, method: CloneMethod) -> &'static str {
        match (self.version_num >= FIRST_WITH_STRATEGIES, method) {
            (false, _) => "",
            (true, CloneMethod::WalLog) => "STRATEGY WAL_LOG",
            (true, CloneMethod::CopyFiles | CloneMethod::CloneFiles) => "STRATEGY FILE_COPY",
        }
    }

    /// What the session's `file_copy_method` has to be, where it matters and the server has it (18).
    pub(super) fn file_copy_method(&self, method: CloneMethod) -> Option<&'static str> {
        match method {
            CloneMethod::CopyFiles if self.clones_files => Some("copy"),
            CloneMethod::CloneFiles => Some("clone"),
            CloneMethod::CopyFiles | CloneMethod::WalLog => None,
        }
    }
}

/// Makes the group of readers, which may nothing by itself.
pub(super) async fn found_readers(client: &Client) -> Result<(), EngineError> {
    // Another process of ours may be doing the same.
    let sql = format!(
        "DO $readers$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{READERS}') THEN
                CREATE ROLE {READERS} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
            END IF;
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $readers$"
    );
    client.batch_execute(&sql).await.map_err(EngineError::refused("make the group of the branches' readers"))
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
    fn each_version_is_told_what_it_understands() {
        let server = |version_num, clones_files| Server { version_num, locale: "C".to_owned(), clones_files };
        let told = |server: Server| {
            let methods = server.clone_methods().iter();
            methods
                .map(|&method| (server.strategy(method), server.file_copy_method(method)))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(server(140_010, false)), [("", None)]);
        assert_eq!(told(server(170_011, false)), [("STRATEGY WAL_LOG", None), ("STRATEGY FILE_COPY", None)]);
        assert_eq!(
            told(server(180_006, true)),
            [
                ("STRATEGY WAL_LOG", None),
                ("STRATEGY FILE_COPY", Some("copy")),
                ("STRATEGY FILE_COPY", Some("clone"))
            ]
        );
        assert_eq!(server(180_006, true).fingerprint(), "180006 C");
    }
}
