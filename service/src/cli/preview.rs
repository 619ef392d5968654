//! `offshoot preview`: the pipeline of a pull request over two git refs of a repository on this machine.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use chrono::Utc;
use indicatif::{ProgressBar, ProgressDrawTarget};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{Exit, Stop};
use crate::config::DatabaseArgs;
use crate::domain::branch::Branch;
use crate::domain::ids::PullId;
use crate::domain::pull::PullRequest;
use crate::domain::report::{self, Notice};
use crate::domain::repository::RepositoryFacts;
use crate::domain::state::BranchState;
use crate::embedded::{Embedded, EmbeddedError, EmbeddedSettings};
use crate::jobs::prepare::{Clock, Order, Preparer};
use crate::jobs::reading::{ReadError, Reader, Reading};
use crate::local_git::LocalGit;
use crate::service::Servers;
use crate::store::{branches, pulls, repositories};
use crate::telemetry;
use crate::web::api::{BranchDocument, Urls};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The repository, or any directory in it
    #[arg(default_value = ".", value_name = "REPO")]
    repo: PathBuf,

    /// Where the pull request would go
    #[arg(long, default_value = "main", value_name = "REF")]
    base: String,

    /// What it would bring; what is not committed is not seen
    #[arg(long, default_value = "HEAD", value_name = "REF")]
    head: String,

    /// Build the database anew although its history is the same
    #[arg(long)]
    reset: bool,

    /// Print branch documents
    #[arg(long)]
    json: bool,

    /// Stop the embedded PostgreSQL that an earlier preview left running, and end
    #[arg(long)]
    stop: bool,

    /// Where the embedded PostgreSQL lives [default: the user's cache directory]
    #[arg(long, env = "OFFSHOOT_PREVIEW_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Directory with `postgres`, `initdb` and `pg_ctl` [default: found]
    #[arg(long, env = "OFFSHOOT_POSTGRES_BIN", value_name = "DIR")]
    postgres_bin: Option<PathBuf>,
}

/// How long one preview waits for another, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);

/// Wide enough that a preview's rows are never taken for one of GitHub's repositories.
const LOCAL: i64 = i64::MIN;

pub(super) async fn run(args: Args) -> Result<Exit, Stop> {
    telemetry::log(true);
    let databases = DatabaseArgs::embedded(data_dir(&args)?, args.postgres_bin.clone());
    if args.stop {
        return stop(&databases).await;
    }
    let git = LocalGit::open(&args.repo).map_err(Stop::usage)?;
    let head = git.resolve(&args.head).await.map_err(Stop::usage)?;
    let base = git.resolve(&args.base).await.map_err(Stop::usage)?;

    let progress = Progress::start("starting PostgreSQL");
    let servers = connect(&databases, &progress).await?;
    let facts = RepositoryFacts {
        github_id: local_number(git.git_dir()),
        name: git.name().clone(),
        installation: None,
        default_branch: args.base.clone(),
    };
    let pull = PullRequest {
        id: PullId { repository: facts.github_id, number: pull_number(&args, git.git_dir()) },
        open: true,
        merged: false,
        draft: false,
        title: format!("{} onto {}", args.head, args.base),
        author: String::new(),
        head_sha: head,
        head_ref: args.head.clone(),
        head_repository: Some(facts.name.clone()),
        from_fork: false,
        base_ref: args.base.clone(),
        base_sha: base,
        updated_at: Utc::now(),
    };
    let preview = Preview {
        args: &args,
        git: &git,
        servers: &servers,
        facts: &facts,
        pull: &pull,
        progress: &progress,
    };
    let shown = preview.run().await;
    if let Some(embedded) = servers.embedded {
        // The URL that was printed should work.
        embedded.leave_running();
    }
    shown
}

/// Stops what an earlier preview left running. Its data need not be readable for that.
async fn stop(databases: &DatabaseArgs) -> Result<Exit, Stop> {
    let settings = EmbeddedSettings {
        data_dir: databases.data_dir.clone(),
        postgres_bin: databases.postgres_bin.clone(),
    };
    let stopped = Embedded::stop_left_running(&settings).await;
    if !stopped.map_err(|error| in_use(error.into(), databases))? {
        eprintln!("no PostgreSQL of a preview runs in {}", databases.data_dir.display());
    }
    Ok(Exit::Done)
}

/// The servers, once another preview on the same directory has had its turn.
async fn connect(databases: &DatabaseArgs, progress: &Progress) -> Result<Servers, Stop> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Servers::connect(databases).await {
            Err(error) if is_in_use(&error) && Instant::now() < deadline => {
                progress.say_once("waiting for another preview to end");
                tokio::time::sleep(PAUSE).await;
            }
            connected => return Ok(connected.map_err(|error| in_use(error, databases))?),
        }
    }
}

fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EmbeddedError::InUse { .. }))
}

/// The same error, with the setting that a preview has for it.
fn in_use(error: anyhow::Error, databases: &DatabaseArgs) -> anyhow::Error {
    if !is_in_use(&error) {
        return error;
    }
    anyhow!(
        "{} is used by another preview, or by a service; wait for it, or choose another directory with --data-dir (OFFSHOOT_PREVIEW_DATA_DIR)",
        databases.data_dir.display()
    )
}

struct Preview<'a> {
    args: &'a Args,
    git: &'a LocalGit,
    servers: &'a Servers,
    facts: &'a RepositoryFacts,
    pull: &'a PullRequest,
    progress: &'a Progress,
}

impl Preview<'_> {
    async fn run(&self) -> Result<Exit, Stop> {
        let store = &self.servers.store;
        let client = store.client().await?;
        repositories::upsert(&client, self.facts).await?;
        pulls::save(&client, self.pull).await?;
        drop(client);
        self.progress.say("reading both chains");
        let started = Instant::now();
        let reader = Reader { store, source: self.git, repository: self.facts.github_id };
        let reading = match reader.pull(self.pull).await {
            Ok(reading) => reading,
            Err(ReadError::Notice(notice)) => return self.settled_by_people(&notice),
            Err(error) => return Err(error.into()),
        };
        self.reset(&reading).await?;
        let clock = Clock { asked_at: Utc::now(), queued: Duration::ZERO, read: started.elapsed() };
        let stop = CancellationToken::new();
        let preparer =
            Preparer { store, engine: &self.servers.engine, stop: &stop, held_by: None, turn: None };
        let mut prepared = Vec::new();
        for database in &reading.databases {
            let label = &database.layout.label;
            self.progress.say(&format!("{label}: {} migrations", database.head.migrations.len()));
            let order =
                Order { repository: &self.facts.name, pull: self.pull, reading: &reading, database, clock };
            let branch = preparer.prepare(&order).await.map_err(|error| anyhow!(error))?;
            prepared.push(branch);
        }
        self.progress.end();
        self.show(&prepared).await
    }

    async fn reset(&self, reading: &Reading) -> Result<(), Stop> {
        let client = self.servers.store.client().await?;
        for database in reading.databases.iter().filter(|_| self.args.reset) {
            if let Some(branch) = branches::find(&client, self.pull.id, &database.layout.label).await? {
                branches::request_reset(&client, branch.id).await?;
            }
        }
        Ok(())
    }

    fn settled_by_people(&self, notice: &Notice) -> Result<Exit, Stop> {
        self.progress.end();
        let error = match notice {
            Notice::NoChain => anyhow!(
                "no Prisma migrations were found at {} or {}: no directory holds a `migration_lock.toml`",
                self.args.base,
                self.args.head
            ),
            Notice::Configuration { failure } => {
                let hint = failure.hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
                anyhow!("{}: {}.{hint}", failure.file, failure.message)
            }
            Notice::Errored { message } => anyhow!("{message}"),
        };
        Err(Stop { exit: Exit::Failed, error })
    }

    async fn show(&self, prepared: &[Branch]) -> Result<Exit, Stop> {
        let mut documents = Vec::new();
        for branch in prepared {
            let document = self.document(branch).await?;
            if !self.args.json {
                println!("{}", report::description(branch, prepared.len() > 1).trim_end());
                if let Some(url) = &document.database_url {
                    println!("\n{url}\n");
                }
            }
            documents.push(document);
        }
        if self.args.json {
            println!("{}", serde_json::to_string_pretty(&documents)?);
        }
        let is = |state| prepared.iter().any(|branch| branch.state == state);
        // No room on the disk is not the migrations' fault.
        Ok(match () {
            () if is(BranchState::Blocked) => Exit::Service,
            () if is(BranchState::Failed) => Exit::Failed,
            () => Exit::Done,
        })
    }

    async fn document(&self, branch: &Branch) -> Result<BranchDocument, Stop> {
        let store = &self.servers.store;
        let client = store.client().await?;
        let credentials = branches::credentials(&client, store.vault(), branch.id).await?;
        let urls = || Urls::of(&self.servers.engine, &branch.database_name, &credentials);
        let urls = branch.is_reachable().then(urls);
        Ok(BranchDocument::new(&self.facts.name, branch, "", urls))
    }
}

/// A directory that outlives the command, and that the server's user can reach.
fn data_dir(args: &Args) -> Result<PathBuf, Stop> {
    if let Some(directory) = &args.data_dir {
        return Ok(directory.clone());
    }
    if nix::unistd::Uid::effective().is_root() {
        return Ok(PathBuf::from("/var/cache/offshoot/preview"));
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set; say --data-dir DIR");
    Ok(cache.map_err(Stop::usage)?.join("offshoot/preview"))
}

/// A number for a repository that GitHub does not know, the same each time.
fn local_number(git_dir: &Path) -> i64 {
    let digest = Sha256::digest(git_dir.as_os_str().as_bytes());
    let bytes = digest.first_chunk::<8>().expect("a digest is longer");
    LOCAL | i64::from_be_bytes(*bytes)
}

/// One branch for each pair of refs: pushing to the head moves it on.
fn pull_number(args: &Args, git_dir: &Path) -> i32 {
    let refs = format!("\0{}\0{}", args.base, args.head);
    let digest = Sha256::digest([git_dir.as_os_str().as_bytes(), refs.as_bytes()].concat());
    let bytes = digest.first_chunk::<4>().expect("a digest is longer");
    (i32::from_be_bytes(*bytes) & 0x00ff_ffff).max(1)
}

/// One line that says what goes on: moving on a terminal, plain elsewhere.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn start(what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(100));
        let progress = Self { bar };
        progress.say(what);
        progress
    }

    fn say(&self, what: &str) {
        if self.bar.is_hidden() {
            eprintln!("{what}");
        } else {
            self.bar.set_message(what.to_owned());
        }
    }

    /// Says what is being waited for at the first of many looks.
    fn say_once(&self, what: &str) {
        if self.bar.message() != what {
            self.bar.set_message(what.to_owned());
            self.say(what);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_repositories_are_never_github_s() {
        let [shop, blog] = ["/src/shop/.git", "/src/blog/.git"].map(|path| local_number(Path::new(path)));
        assert!(shop < 0 && blog < 0);
        assert_ne!(shop, blog);
    }
}
