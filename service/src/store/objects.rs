//! Git's objects, cached: they never change, so what was read once is never asked for again.

use std::collections::HashMap;

use bytes::Bytes;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::StoreError;
use super::query::{FromRow, get, json, parsed, query};
use crate::domain::ids::Oid;
use crate::domain::tree::Tree;

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
pub async fn get_blobs(
    client: &impl GenericClient,
    wanted: &[Oid],
) -> Result<HashMap<Oid, Bytes>, StoreError> {
    let oids: Vec<&str> = wanted.iter().map(Oid::as_str).collect();
    let blobs: Vec<Blob> = query("read cached blobs", "select oid, bytes from git_blobs where oid = any($1)")
        .all(client, &[&oids])
        .await?;
    Ok(blobs.into_iter().map(|blob| (blob.oid, Bytes::from(blob.bytes))).collect())
}

/// Keeps blobs whose bytes were checked against their hashes.
pub async fn put_blobs(client: &impl GenericClient, blobs: &[(Oid, Bytes)]) -> Result<(), StoreError> {
    let oids: Vec<&str> = blobs.iter().map(|(oid, _)| oid.as_str()).collect();
    let contents: Vec<&[u8]> = blobs.iter().map(|(_, bytes)| bytes.as_ref()).collect();
    query(
        "cache blobs",
        "insert into git_blobs (oid, bytes)
         select blob.oid, blob.bytes from unnest($1::text[], $2::bytea[]) as blob (oid, bytes)
         on conflict (oid) do nothing",
    )
    .execute(client, &[&oids, &contents])
    .await?;
    Ok(())
}

/// What matters of a commit's tree, if it is at hand.
pub async fn get_tree(
    client: &impl GenericClient,
    repository: i64,
    commit: &Oid,
) -> Result<Option<Tree>, StoreError> {
    query("read a cached tree", "select tree from git_trees where repository = $1 and commit = $2")
        .optional(client, &[&repository, &commit.as_str()])
        .await
}

pub async fn put_tree(
    client: &impl GenericClient,
    repository: i64,
    commit: &Oid,
    tree: &Tree,
) -> Result<(), StoreError> {
    query(
        "cache a tree",
        "insert into git_trees (repository, commit, tree) values ($1, $2, $3)
         on conflict (repository, commit) do nothing",
    )
    .execute(client, &[&repository, &commit.as_str(), &Json(tree)])
    .await?;
    Ok(())
}
