//! Reads what a pull request is made of: both chains, the seeds and the configuration, from GitHub or a repository on disk, through the cache.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::chain::{Chain, MigrationFile};
use crate::domain::config::Config;
use crate::domain::content::Content;
use crate::domain::detect::{self, Detected, Layout, Undetected};
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::ids::Oid;
use crate::domain::prisma::{self, Broken, LOCK_FILE, Listing};
use crate::domain::pull::PullRequest;
use crate::domain::report::Notice;
use crate::domain::seed::{self, SeedFile};
use crate::domain::tree::{CONFIG_PATH, Change, Tree, TreeEntry};
use crate::source::{Comparison, Source, SourceError};
use crate::store::{Store, StoreError, objects};

/// What a pull request's head and its base come to.
#[derive(Debug, Clone)]
pub struct Reading {
    pub comparison: Comparison,
    pub detected: Detected,
    /// One for each database, in the configuration's order.
    pub databases: Vec<DatabaseReading>,
}

/// One database at the merge base, at the head and at the base's tip.
#[derive(Debug, Clone)]
pub struct DatabaseReading {
    pub layout: Layout,
    pub base: Side,
    pub head: Side,
    /// The chain at the base branch's tip, which has moved on where the pull request is behind.
    pub tip: Chain,
}

/// A chain and its seeds at one commit.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// All that can be read, in the order in which Prisma applies them.
    pub migrations: Vec<MigrationFile>,
    chain: Chain,
    pub seeds: Vec<SeedFile>,
    /// Where Prisma stops, and why.
    pub broken: Option<Broken>,
}

impl Side {
    fn new(migrations: Vec<MigrationFile>, seeds: Vec<SeedFile>, broken: Option<Broken>) -> Self {
        Self { chain: Chain::of(&migrations), migrations, seeds, broken }
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The migrations that `deploy` comes to: those before a break, and those that the base has, which were deployed before.
    pub fn reached(&self, base: &Chain) -> Vec<MigrationFile> {
        let stop = self.broken.as_ref().map_or(self.migrations.len(), |broken| broken.after);
        let migrations = self.migrations.iter().enumerate();
        let reached = migrations.filter(|(at, file)| *at < stop || base.find(&file.migration.name).is_some());
        reached.map(|(_, file)| file.clone()).collect()
    }
}

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("reading the repository: {0}")]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// People have to settle something first.
    #[error("the pull request has no database that could be told")]
    Notice(Notice),
}

/// Reads through the cache of git's objects.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub store: &'a Store,
    pub source: &'a dyn Source,
    /// Whose trees they are, by GitHub's number; blobs are the same everywhere.
    pub repository: i64,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("repository", &self.repository).finish_non_exhaustive()
    }
}

/// The trees that one reading looks at.
struct Trees {
    head: Arc<Tree>,
    merge_base: Arc<Tree>,
    tip: Arc<Tree>,
}

impl Reader<'_> {
    pub async fn pull(&self, pull: &PullRequest) -> Result<Reading, ReadError> {
        let comparison = async { Ok(self.source.compare(&pull.base_ref, &pull.head_sha).await?) };
        let kept = async {
            Ok::<_, ReadError>(objects::get_tree(self.store, self.repository, &pull.head_sha).await?)
        };
        let (comparison, kept): (Comparison, _) = tokio::try_join!(comparison, kept)?;
        self.keep_added(&comparison);
        let trees = self.trees(&pull.head_sha, kept, &comparison).await?;
        let config = self.config(&trees.tip).await?;
        let detected = detect::detect(&config, &trees.head, &trees.merge_base).map_err(undetected)?;
        let databases = self.databases(&detected, &trees).await?;
        Ok(Reading { comparison, detected, databases })
    }

    /// What a comparison showed whole need not be asked for.
    fn keep_added(&self, comparison: &Comparison) {
        let added = comparison.changes.iter().filter_map(|changed| match &changed.change {
            Change::Added(Some((oid, bytes))) => Some((oid.clone(), Content::new(bytes.clone()))),
            _ => None,
        });
        let added: Vec<_> = added.collect();
        if !added.is_empty() {
            drop(objects::put_blobs(self.store, &added));
        }
    }

    /// The base of a database at one commit alone, for building its layer before a pull request needs it.
    pub async fn base(&self, tip: &Oid) -> Result<Vec<(Layout, Side)>, ReadError> {
        let tree = self.tree(tip).await?;
        let config = self.config(&tree).await?;
        let detected = detect::detect(&config, &tree, &tree).map_err(undetected)?;
        let trees = Trees { head: tree.clone(), merge_base: tree.clone(), tip: tree };
        let databases = self.databases(&detected, &trees).await?;
        Ok(databases.into_iter().map(|database| (database.layout, database.base)).collect())
    }

    /// The trees of the commits, each read once however many of them are the same commit.
    async fn trees(
        &self,
        head: &Oid,
        kept: Option<Arc<Tree>>,
        comparison: &Comparison,
    ) -> Result<Trees, ReadError> {
        let same = comparison.tip == comparison.merge_base;
        let (merge_base, tip) = tokio::try_join!(self.tree(&comparison.merge_base), async {
            if same { Ok(None) } else { self.tree(&comparison.tip).await.map(Some) }
        })?;
        let head = match kept {
            Some(kept) => kept,
            None => self.head(head, &merge_base, comparison).await?,
        };
        let tip = tip.unwrap_or_else(|| merge_base.clone());
        Ok(Trees { head, merge_base, tip })
    }

    /// The tree that the head began from with what was changed since, or GitHub's listing, which is as long as the repository is large.
    async fn head(
        &self,
        head: &Oid,
        merge_base: &Tree,
        comparison: &Comparison,
    ) -> Result<Arc<Tree>, ReadError> {
        let told = comparison.shows_all.then(|| merge_base.after(&comparison.changes)).flatten();
        match told {
            Some(tree) => Ok(self.keep(head, tree)),
            None => self.listed(head).await,
        }
    }

    async fn tree(&self, commit: &Oid) -> Result<Arc<Tree>, ReadError> {
        match objects::get_tree(self.store, self.repository, commit).await? {
            Some(tree) => Ok(tree),
            None => self.listed(commit).await,
        }
    }

    async fn listed(&self, commit: &Oid) -> Result<Arc<Tree>, ReadError> {
        Ok(self.keep(commit, self.source.tree(commit).await?))
    }

    fn keep(&self, commit: &Oid, tree: Tree) -> Arc<Tree> {
        let tree = Arc::new(tree);
        drop(objects::put_tree(self.store, self.repository, commit, &tree));
        tree
    }

    /// The configuration at the base's tip: a pull request does not choose its own.
    async fn config(&self, tip: &Tree) -> Result<Config, ReadError> {
        let Some(entry) = tip.find(CONFIG_PATH) else { return Ok(Config::default()) };
        let blobs = self.blobs(std::iter::once(wanted(entry))).await?;
        Config::parse(blobs[&entry.oid].bytes()).map_err(configuration)
    }

    async fn databases(&self, detected: &Detected, trees: &Trees) -> Result<Vec<DatabaseReading>, ReadError> {
        let listed: Vec<_> =
            detected.databases.iter().map(|layout| ListedDatabase::new(layout, detected, trees)).collect();
        let blobs = self.blobs(listed.iter().flat_map(ListedDatabase::wanted)).await?;
        listed.into_iter().map(|database| database.read(trees, &blobs)).collect()
    }

    /// The bytes of blobs, of which only those never seen before are asked for.
    async fn blobs(
        &self,
        wanted: impl Iterator<Item = (Oid, Option<u64>)>,
    ) -> Result<HashMap<Oid, Content>, ReadError> {
        let wanted: BTreeMap<Oid, Option<u64>> = wanted.collect();
        let oids: Vec<Oid> = wanted.keys().cloned().collect();
        let mut blobs = objects::get_blobs(self.store, &oids).await?;
        let missing: Vec<_> = wanted.into_iter().filter(|(oid, _)| !blobs.contains_key(oid)).collect();
        if !missing.is_empty() {
            let bytes = self.source.blobs(&missing).await?;
            let oids = missing.into_iter().map(|(oid, _)| oid);
            let fetched: Vec<(Oid, Content)> = oids.zip(bytes.into_iter().map(Content::new)).collect();
            drop(objects::put_blobs(self.store, &fetched));
            blobs.extend(fetched);
        }
        Ok(blobs)
    }
}

/// A database's files, listed from the trees and not read yet.
struct ListedDatabase<'a> {
    layout: &'a Layout,
    lock_file: Option<&'a TreeEntry>,
    base: ListedSide<'a>,
    head: ListedSide<'a>,
    /// None where the base has not moved on.
    tip: Option<Listing>,
}

#[derive(Default)]
struct ListedSide<'a> {
    chain: Listing,
    seeds: Vec<&'a TreeEntry>,
}

impl<'a> ListedDatabase<'a> {
    fn new(layout: &'a Layout, detected: &'a Detected, trees: &'a Trees) -> Self {
        let directory = |tree: &'a Tree| detected.directory(layout, tree);
        let side = |tree| ListedSide::new(layout, directory(tree), tree);
        let lock_path = format!("{}/{LOCK_FILE}", layout.migrations);
        Self {
            layout,
            lock_file: trees.head.find(&lock_path),
            base: side(&trees.merge_base),
            head: side(&trees.head),
            tip: (!Arc::ptr_eq(&trees.tip, &trees.merge_base))
                .then(|| prisma::list(&trees.tip, directory(&trees.tip))),
        }
    }

    fn wanted(&self) -> impl Iterator<Item = (Oid, Option<u64>)> {
        let chains = [&self.base.chain, &self.head.chain].into_iter().chain(&self.tip);
        let migrations = chains.flat_map(|chain| &chain.migrations).map(|file| (file.oid.clone(), file.size));
        let seeds = self.base.seeds.iter().chain(&self.head.seeds).copied().map(wanted);
        migrations.chain(seeds).chain(self.lock_file.map(wanted)).collect::<Vec<_>>().into_iter()
    }

    fn read(self, trees: &Trees, blobs: &HashMap<Oid, Content>) -> Result<DatabaseReading, ReadError> {
        if let Some(lock_file) = self.lock_file {
            prisma::check_provider(&self.layout.migrations, blobs[&lock_file.oid].bytes())
                .map_err(configuration)?;
        }
        let mut head = self.head.read(blobs);
        if head.migrations.is_empty() && head.broken.is_none() && self.lock_file.is_none() {
            let failure = missing_directory(self.layout, &trees.head);
            head.broken = failure.map(|failure| Broken { after: 0, failure });
        }
        let mut base = self.base.read(blobs);
        let tip = match &self.tip {
            Some(tip) => Chain::of(&read_chain(tip, blobs)),
            None => base.chain.clone(),
        };
        if let Some(broken) = base.broken.take() {
            base.migrations.truncate(broken.after);
            base = Side::new(base.migrations, base.seeds, Some(broken));
        }
        Ok(DatabaseReading { layout: self.layout.clone(), base, head, tip })
    }
}

impl<'a> ListedSide<'a> {
    fn new(layout: &Layout, directory: &str, tree: &'a Tree) -> Self {
        let selected =
            seed::select(&layout.seed, tree).expect("the patterns were checked when they were read");
        let seeds = selected.into_iter().filter_map(|(path, _)| tree.find(path)).collect();
        Self { chain: prisma::list(tree, directory), seeds }
    }

    fn read(self, blobs: &HashMap<Oid, Content>) -> Side {
        let migrations = read_chain(&self.chain, blobs);
        let seed = |entry: &TreeEntry| SeedFile::new(&entry.path, entry.oid.clone(), &blobs[&entry.oid]);
        Side::new(migrations, self.seeds.into_iter().map(seed).collect(), self.chain.broken)
    }
}

fn read_chain(listing: &Listing, blobs: &HashMap<Oid, Content>) -> Vec<MigrationFile> {
    let read = |file: &prisma::Listed| {
        MigrationFile::new(&file.name, &file.path, file.oid.clone(), &blobs[&file.oid])
    };
    listing.migrations.iter().map(read).collect()
}

/// A declared directory that is not there is a mistake, unless the pull request removes the last migration.
fn missing_directory(layout: &Layout, head: &Tree) -> Option<Failure> {
    let directory = &layout.migrations;
    if head.children(directory).next().is_some() {
        return None;
    }
    let message = format!(
        "database `{}` has its migrations in `{directory}`, which does not exist at this commit",
        layout.label
    );
    let failure =
        Failure::of_file(FailureKind::Chain, directory, format!("{directory}/{LOCK_FILE}"), message);
    Some(failure.with_hint("Restore the directory, or correct `migrations` in the base's `.offshoot.toml`."))
}

fn wanted(entry: &TreeEntry) -> (Oid, Option<u64>) {
    (entry.oid.clone(), entry.size)
}

fn configuration(failure: Failure) -> ReadError {
    ReadError::Notice(Notice::Configuration { failure: Box::new(failure) })
}

fn undetected(undetected: Undetected) -> ReadError {
    match undetected {
        Undetected::NoChain => ReadError::Notice(Notice::NoChain),
        Undetected::Ambiguous(directories) => {
            let example: String = directories
                .iter()
                .enumerate()
                .map(|(at, directory)| example(at, directory))
                .collect::<Vec<_>>()
                .join(" ");
            let message = Undetected::Ambiguous(directories).to_string();
            let failure = Failure::of_file(FailureKind::Configuration, CONFIG_PATH, CONFIG_PATH, message);
            configuration(
                failure.with_hint(format!(
                    "Commit an `.offshoot.toml` to the base branch, for example: {example}"
                )),
            )
        }
    }
}

fn example(at: usize, directory: &str) -> String {
    let name = if at == 0 { "main".to_owned() } else { format!("database-{}", at + 1) };
    format!("[[database]] name = \"{name}\" migrations = \"{directory}\"")
}
