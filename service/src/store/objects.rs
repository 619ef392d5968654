//! Git's objects, cached: they never change, so what was read once is never asked for again. What was used last is kept in memory as well.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::task::JoinHandle;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::query::{FromRow, get, json, parsed, query};
use super::{Store, StoreError};
use crate::domain::content::Content;
use crate::domain::ids::Oid;
use crate::domain::tree::Tree;

/// Bytes of memory for blobs, and as many for trees: some dozens of chains of some hundred migrations.
const MEMORY: u64 = 3 << 20;
/// How long writing them to the database waits: what is read here, a branch is made of, and that is more urgent.
const WRITE_AFTER: Duration = Duration::from_millis(250);
/// How many objects the memory is laid out for.
const OBJECTS: usize = 4096;

/// The objects that were used last, in memory.
#[derive(Clone)]
pub(super) struct Recent {
    blobs: Arc<Cache<Oid, Content, Weight>>,
    trees: Arc<Cache<(i64, Oid), Arc<Tree>, Weight>>,
}

impl Recent {
    pub(super) fn new() -> Self {
        let blobs = Arc::new(Cache::with_weighter(OBJECTS, MEMORY, Weight));
        Self { blobs, trees: Arc::new(Cache::with_weighter(OBJECTS, MEMORY, Weight)) }
    }
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recent({} blobs, {} trees)", self.blobs.len(), self.trees.len())
    }
}

/// About how many bytes an object takes up.
#[derive(Clone, Copy)]
struct Weight;

impl Weighter<Oid, Content> for Weight {
    fn weight(&self, _: &Oid, content: &Content) -> u64 {
        content.bytes().len() as u64 + 256
    }
}

impl Weighter<(i64, Oid), Arc<Tree>> for Weight {
    fn weight(&self, _: &(i64, Oid), tree: &Arc<Tree>) -> u64 {
        tree.entries().iter().map(|entry| entry.path.len() as u64 + 128).sum::<u64>() + 128
    }
}

struct Blob {
    oid: Oid,
    bytes: Vec<u8>,
}

impl FromRow for Blob {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { oid: parsed(row, "oid")?, bytes: get(row, "bytes")? })
    }
}

impl FromRow for Tree {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        json(row, "tree")
    }
}

/// Those of the blobs that are at hand.
pub async fn get_blobs(store: &Store, wanted: &[Oid]) -> Result<HashMap<Oid, Content>, StoreError> {
    let recent = &store.recent.blobs;
    let mut found: HashMap<Oid, Content> =
        wanted.iter().filter_map(|oid| Some((oid.clone(), recent.get(oid)?))).collect();
    let rest: Vec<&str> = wanted.iter().filter(|oid| !found.contains_key(*oid)).map(Oid::as_str).collect();
    if rest.is_empty() {
        return Ok(found);
    }
    let blobs: Vec<Blob> = query("read cached blobs", "select oid, bytes from git_blobs where oid = any($1)")
        .all(&store.client().await?, &[&rest])
        .await?;
    for Blob { oid, bytes } in blobs {
        let content = Content::new(Bytes::from(bytes));
        recent.insert(oid.clone(), content.clone());
        found.insert(oid, content);
    }
    Ok(found)
}

/// Keeps blobs whose bytes were checked against their hashes. Nobody waits for the database: what does not get there is asked for again.
pub fn put_blobs(store: &Store, blobs: &[(Oid, Content)]) -> JoinHandle<()> {
    for (oid, content) in blobs {
        store.recent.blobs.insert(oid.clone(), content.clone());
    }
    let (store, blobs) = (store.clone(), blobs.to_vec());
    tokio::spawn(async move {
        tokio::time::sleep(WRITE_AFTER).await;
        noted(write_blobs(&store, &blobs).await)
    })
}

async fn write_blobs(store: &Store, blobs: &[(Oid, Content)]) -> Result<(), StoreError> {
    let oids: Vec<&str> = blobs.iter().map(|(oid, _)| oid.as_str()).collect();
    let contents: Vec<&[u8]> = blobs.iter().map(|(_, content)| content.bytes().as_ref()).collect();
    query(
        "cache blobs",
        "insert into git_blobs (oid, bytes)
         select blob.oid, blob.bytes from unnest($1::text[], $2::bytea[]) as blob (oid, bytes)
         on conflict (oid) do nothing",
    )
    .execute(&store.client().await?, &[&oids, &contents])
    .await?;
    Ok(())
}

/// What matters of a commit's tree, if it is at hand.
pub async fn get_tree(store: &Store, repository: i64, commit: &Oid) -> Result<Option<Arc<Tree>>, StoreError> {
    let key = (repository, commit.clone());
    if let Some(tree) = store.recent.trees.get(&key) {
        return Ok(Some(tree));
    }
    let kept: Option<Tree> =
        query("read a cached tree", "select tree from git_trees where repository = $1 and commit = $2")
            .optional(&store.client().await?, &[&repository, &commit.as_str()])
            .await?;
    Ok(kept.map(|tree| {
        let tree = Arc::new(tree);
        store.recent.trees.insert(key, tree.clone());
        tree
    }))
}

/// Keeps what matters of a commit's tree, as [`put_blobs`] keeps blobs.
pub fn put_tree(store: &Store, repository: i64, commit: &Oid, tree: &Arc<Tree>) -> JoinHandle<()> {
    store.recent.trees.insert((repository, commit.clone()), tree.clone());
    let (store, commit, tree) = (store.clone(), commit.clone(), tree.clone());
    tokio::spawn(async move {
        tokio::time::sleep(WRITE_AFTER).await;
        noted(write_tree(&store, repository, &commit, &tree).await)
    })
}

async fn write_tree(store: &Store, repository: i64, commit: &Oid, tree: &Tree) -> Result<(), StoreError> {
    query(
        "cache a tree",
        "insert into git_trees (repository, commit, tree) values ($1, $2, $3)
         on conflict (repository, commit) do nothing",
    )
    .execute(&store.client().await?, &[&repository, &commit.as_str(), &Json(tree)])
    .await?;
    Ok(())
}

fn noted(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        tracing::debug!(%error, "what was read from GitHub is kept in memory alone");
    }
}
