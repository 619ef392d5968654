//! One server, one Prisma, and the two ways into a database.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use integration::git::{Author, Change, GitRepository, Parent};
use integration::prisma::{BookkeepingRow, Diagnosis, PrismaSession, bookkeeping_rows, schema_fingerprint};
use offshoot::embedded::{Embedded, EmbeddedSettings};
use offshoot::postgres;
use offshoot::secret::{Secret, Vault};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::case::Case;

/// Where every repository keeps its chain.
pub const MIGRATIONS: &str = "prisma/migrations";

const LOCK: (&str, &[u8]) = ("migration_lock.toml", b"provider = \"postgresql\"\n");

/// An embedded server that `offshoot preview` takes over each time it is called, and a running schema engine.
pub struct Bench {
    prisma: Mutex<PrismaSession>,
    administrator: Client,
    administrator_url: Secret,
    directory: TempDir,
    cases: usize,
}

/// What is in a database, as far as two databases can be compared by it.
#[derive(Debug, PartialEq)]
pub struct Content {
    /// None where there is no such table.
    pub bookkeeping: Option<Vec<BookkeepingRow>>,
    pub schema: Vec<String>,
    pub rows: Vec<String>,
    /// What Prisma thinks of it.
    pub diagnosis: Result<Diagnosis, Option<String>>,
    /// What the next `migrate deploy` says: the names it applied, or Prisma's code.
    pub deploy: Result<Vec<String>, Option<String>>,
}

/// How production fared.
#[derive(Debug)]
pub struct Production {
    /// What `migrate deploy` said last.
    pub said: Result<(), String>,
    pub content: Content,
}

/// The branch that `offshoot preview --json` printed.
#[derive(Debug)]
pub struct Preview {
    pub document: BranchDocument,
    pub content: Content,
}

#[derive(Debug, Deserialize)]
pub struct BranchDocument {
    pub state: String,
    pub database_url: Option<String>,
    pub migrations: Migrations,
    pub findings: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub struct Migrations {
    pub applied: Vec<Applied>,
    pub failed: Option<Failed>,
}

#[derive(Debug, Deserialize)]
pub struct Applied {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Failed {
    pub kind: String,
    pub migration: String,
    pub message: String,
    pub hint: Option<String>,
}

pub fn node_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../integration/node")
}

impl Bench {
    pub async fn start() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("offshoot-prisma-").tempdir()?;
        // The server's user has to reach it where root runs the tests.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        let settings =
            EmbeddedSettings { data_dir: directory.path().join("data"), postgres_bin: postgres_bin() };
        // The service makes its key before its server, and takes a server without one for a loss.
        std::fs::create_dir_all(&settings.data_dir)?;
        std::fs::write(settings.data_dir.join("secret.key"), Vault::generate_key().expose())?;
        let server = Embedded::start(&settings).await?;
        let administrator_url = server.administrator_url();
        let administrator = postgres::connect(&administrator_url).await?;
        server.leave_running();
        let prisma = Mutex::new(PrismaSession::start(&node_dir())?);
        Ok(Self { prisma, administrator, administrator_url, directory, cases: 0 })
    }

    /// Brings a case to both sides, at the same time.
    pub async fn play(&mut self, case: &Case) -> Result<(Preview, Production)> {
        self.cases += 1;
        // The repository's name is its directory's: each case has branches of its own.
        let place = self.directory.path().join(format!("case-{}", self.cases));
        let repository = place.join(format!("repository-{}", self.cases));
        commit(&repository, case)?;
        let (first, head) = (place.join("first"), place.join("head"));
        write(&first, &case.deployed_first())?;
        write(&head, &case.head())?;
        let (administrator, url) = self.production().await?;
        let preview = self.offshoot_preview(&repository);
        let deploys = async {
            match self.prisma.lock().await.deploy(&url, &first).await? {
                Ok(_) => {}
                refused => return Ok(refused),
            }
            self.prisma.lock().await.deploy(&url, &head).await
        };
        let (documents, said) = tokio::try_join!(preview, deploys)?;
        let production = Production {
            said: said.map(drop).map_err(|error| error.message),
            content: self.content(&url, &administrator, &head).await.context("look at production")?,
        };
        let [document] =
            <[BranchDocument; 1]>::try_from(documents).ok().context("one database was asked for")?;
        let url = document.database_url.clone().context("there is no database to look at")?;
        let content = self
            .content(&url, &self.url(database_of(&url)?, None)?, &head)
            .await
            .context("look at the branch")?;
        std::fs::remove_dir_all(&place)?;
        Ok((Preview { document, content }, production))
    }

    /// `offshoot preview --json` of `main` and `pull` in a repository.
    pub async fn offshoot_preview(&self, repository: &Path) -> Result<Vec<BranchDocument>> {
        let mut preview = self.offshoot();
        preview.args(["--base", "main", "--head", "pull", "--json"]).arg(repository);
        let output = preview.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(matches!(output.status.code(), Some(0 | 1)), "offshoot preview: {}: {said}", output.status);
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("offshoot preview printed no documents: {said}"))
    }

    fn offshoot(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offshoot"));
        command.arg("preview").arg("--data-dir").arg(self.directory.path().join("data"));
        if let Some(bin) = postgres_bin() {
            command.arg("--postgres-bin").arg(bin);
        }
        command
    }

    /// An empty database as a provider gives it: its owner is a plain role. Its URLs for the administrator and for that role.
    async fn production(&self) -> Result<(String, String)> {
        let name = format!("production_{}", self.cases);
        for sql in [
            format!("CREATE ROLE {name} LOGIN PASSWORD 'production'"),
            format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0"),
        ] {
            self.administrator.batch_execute(&sql).await?;
        }
        Ok((self.url(&name, None)?, self.url(&name, Some(&name))?))
    }

    /// Reads a database as the administrator, then lets Prisma judge it as the role that owns it.
    async fn content(&self, url: &str, administrator: &str, head: &Path) -> Result<Content> {
        let client = postgres::connect(&Secret::new(administrator)).await?;
        let kept = "select to_regclass('public._prisma_migrations') is not null";
        let bookkeeping = match client.query_one(kept, &[]).await?.get(0) {
            true => Some(bookkeeping_rows(&client).await?),
            false => None,
        };
        let schema = schema_fingerprint(&client).await?;
        let rows = table_rows(&client).await?;
        drop(client);
        let mut prisma = self.prisma.lock().await;
        let diagnosis = prisma.diagnose(url, head).await?.map_err(|error| error.code);
        let deploy = prisma.deploy(url, head).await?.map_err(|error| error.code);
        Ok(Content { bookkeeping, schema, rows, diagnosis, deploy })
    }

    /// The URL of a database for one of production's roles, or for the administrator.
    fn url(&self, database: &str, role: Option<&str>) -> Result<String> {
        let mut url: url::Url = self.administrator_url.expose().parse()?;
        url.set_path(database);
        if let Some(role) = role {
            url.set_query(None);
            let set = url.set_username(role).and_then(|()| url.set_password(Some("production")));
            set.ok().context("the server's URL takes credentials")?;
        }
        Ok(url.into())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let mut stop = self.offshoot();
        if let Err(error) = stop.arg("--stop").as_std_mut().output() {
            eprintln!("the embedded server of {} was left running: {error}", self.directory.path().display());
        }
    }
}

fn database_of(url: &str) -> Result<&str> {
    Ok(url.rsplit_once('/').context("a URL names a database")?.1)
}

fn postgres_bin() -> Option<PathBuf> {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/postgresql/18/bin");
    std::env::var_os("OFFSHOOT_POSTGRES_BIN")
        .map_or_else(|| Some(installed()).filter(|bin| bin.is_dir()), |bin| Some(bin.into()))
}

/// A repository whose `main` is the case's base, and whose `pull` is its head.
fn commit(repository: &Path, case: &Case) -> Result<()> {
    let git = GitRepository::init(repository, "main")?;
    let author = Author::named("ada");
    let put = |(path, bytes): (String, Vec<u8>)| Change::write(format!("{MIGRATIONS}/{path}"), bytes);
    let base: Vec<Change> = with_lock(&case.base()).map(put).collect();
    let tip = git.commit("refs/heads/main", Parent::None, "base", &author, &base)?;
    let mut head = vec![Change::remove(MIGRATIONS)];
    head.extend(with_lock(&case.head()).map(put));
    git.commit("refs/heads/pull", Parent::Commit(tip), "head", &author, &head)?;
    Ok(())
}

fn with_lock(files: &[(String, Vec<u8>)]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let (path, bytes) = LOCK;
    files.iter().cloned().chain([(path.to_owned(), bytes.to_vec())])
}

fn write(directory: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    for (path, bytes) in with_lock(files) {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
        std::fs::write(&path, bytes)?;
    }
    Ok(())
}

/// What is in the tables, as text.
async fn table_rows(client: &Client) -> Result<Vec<String>> {
    let tables = "select oid::regclass::text from pg_class
                  where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_prisma_migrations' order by 1";
    let mut rows = Vec::new();
    for table in client.query(tables, &[]).await? {
        let table: String = table.get(0);
        let sql = format!(
            "select format('%s %s', '{}', t) from only {table} t order by 1",
            table.replace('\'', "''")
        );
        rows.extend(client.query(&sql, &[]).await?.into_iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(rows)
}
