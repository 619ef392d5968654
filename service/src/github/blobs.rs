//! Blobs: many small ones with each GraphQL query, the others by REST, every one checked against its hash.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::Utc;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use sha1::Digest;

use super::ask::Ask;
use super::batches::plan;
use super::error::{GithubError, graphql_limit};
use super::repository::RepositoryClient;
use super::transport::GRAPHQL_PATH;
use crate::domain::ids::Oid;

/// How many requests for blobs run at a time; GitHub asks for few.
const CONCURRENCY: usize = 6;

#[derive(Deserialize)]
struct BlobObject {
    content: String,
    encoding: String,
}

#[derive(Deserialize)]
struct QueryAnswer {
    data: Option<QueryData>,
    #[serde(default)]
    errors: Vec<QueryError>,
}

#[derive(Deserialize)]
struct QueryData {
    repository: Option<HashMap<String, Option<TextObject>>>,
}

/// A blob's text; null where GitHub holds it for binary, and anything at all where it took it for another encoding.
#[derive(Deserialize)]
struct TextObject {
    text: Option<String>,
}

#[derive(Deserialize)]
struct QueryError {
    #[serde(rename = "type", default)]
    kind: String,
    message: String,
}

impl RepositoryClient {
    /// The bytes of blobs, in the order asked for.
    pub(super) async fn read_blobs(&self, wanted: &[(Oid, Option<u64>)]) -> Result<Vec<Bytes>, GithubError> {
        let plan = plan(wanted);
        let batches: Vec<_> = plan.batches.iter().map(|batch| self.batch(batch)).collect();
        let found: Vec<_> = stream::iter(batches).buffer_unordered(CONCURRENCY).try_collect().await?;
        let mut blobs: HashMap<Oid, Bytes> = found.into_iter().flatten().collect();
        let left = plan.batches.iter().flatten().filter(|oid| !blobs.contains_key(oid));
        let singly: Vec<_> = plan.single.iter().chain(left).map(|oid| self.blob(oid)).collect();
        let rest: Vec<_> = stream::iter(singly).buffer_unordered(CONCURRENCY).try_collect().await?;
        blobs.extend(rest);
        let content = |(oid, _): &(Oid, Option<u64>)| blobs.get(oid).cloned();
        Ok(wanted.iter().map(content).collect::<Option<_>>().expect("the plan has every blob"))
    }

    /// One blob, of up to GitHub's 100 MB.
    async fn blob(&self, oid: &Oid) -> Result<(Oid, Bytes), GithubError> {
        let ask = self.get("/repos/{owner}/{repo}/git/blobs/{oid}", &[oid.as_str()]);
        let asked = ask.name();
        let blob: BlobObject = self.send(ask).await?.json()?;
        let bytes = decoded(blob).map_err(|why| GithubError::unavailable(&asked, why))?;
        if hashes_to(&bytes, oid) {
            Ok((oid.clone(), bytes))
        } else {
            Err(GithubError::unavailable(&asked, "its answer does not hash to the blob's id"))
        }
    }

    /// Those of some blobs that GraphQL gives byte by byte; it gives text only.
    async fn batch(&self, oids: &[Oid]) -> Result<Vec<(Oid, Bytes)>, GithubError> {
        let objects: String =
            oids.iter().enumerate().map(|(at, oid)| format!("b{at}:object(oid:\"{oid}\"){{...T}}")).collect();
        let query = format!(
            "query($owner:String!,$name:String!){{repository(owner:$owner,name:$name){{{objects}}}}}fragment T on Blob{{text}}"
        );
        let variables = json!({"owner": self.name().owner(), "name": self.name().name()});
        let ask = Ask::post(GRAPHQL_PATH, &[], json!({"query": query, "variables": variables})).repeatable();
        let asked = ask.name();
        let answer = self.send(ask).await?;
        let QueryAnswer { data, errors } = answer.json()?;
        if let Some(limit) = errors.iter().find(|error| error.kind == "RATE_LIMITED") {
            return Err(graphql_limit(&asked, &answer.headers, &limit.message, Utc::now()));
        }
        let Some(mut texts) = data.and_then(|data| data.repository) else {
            return Err(refused(asked, errors));
        };
        let text = |(at, oid): (usize, &Oid)| {
            let text = texts.remove(&format!("b{at}"))??.text?;
            hashes_to(text.as_bytes(), oid).then(|| (oid.clone(), Bytes::from(text)))
        };
        Ok(oids.iter().enumerate().filter_map(text).collect())
    }
}

/// A query that brought nothing.
fn refused(asked: String, errors: Vec<QueryError>) -> GithubError {
    let kind = errors.first().map(|error| error.kind.clone()).unwrap_or_default();
    let message = errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; ");
    match kind.as_str() {
        "NOT_FOUND" => GithubError::Missing { asked },
        "FORBIDDEN" => GithubError::Forbidden { asked, message, needs: Some("contents=read".to_owned()) },
        _ => GithubError::unavailable(&asked, format!("it answered without data: {message}")),
    }
}

/// GitHub breaks base64 into lines.
fn decoded(blob: BlobObject) -> Result<Bytes, String> {
    match blob.encoding.as_str() {
        "base64" => {
            let mut encoded = blob.content.into_bytes();
            encoded.retain(|byte| !byte.is_ascii_whitespace());
            STANDARD
                .decode(encoded)
                .map(Bytes::from)
                .map_err(|error| format!("its answer is not base64: {error}"))
        }
        "utf-8" => Ok(Bytes::from(blob.content)),
        other => Err(format!("its answer has the unknown encoding {other:?}")),
    }
}

/// Whether git knows these bytes by this id.
pub(super) fn hashes_to(bytes: &[u8], oid: &Oid) -> bool {
    fn digest<D: Digest>(header: &str, bytes: &[u8]) -> String {
        hex::encode(D::new().chain_update(header).chain_update(bytes).finalize())
    }
    let header = format!("blob {}\0", bytes.len());
    let digest = match oid.as_str().len() {
        40 => digest::<sha1::Sha1>(&header, bytes),
        _ => digest::<sha2::Sha256>(&header, bytes),
    };
    digest == oid.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_git_s() {
        let empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".parse().unwrap();
        let hello = "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap();
        assert!(hashes_to(b"", &empty) && hashes_to(b"hello\n", &hello));
        assert!(!hashes_to(b"hello", &hello));
        let empty = "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813".parse().unwrap();
        assert!(hashes_to(b"", &empty));
    }

    #[test]
    fn base64_comes_in_lines() {
        let blob =
            |content: &str, encoding: &str| BlobObject { content: content.into(), encoding: encoding.into() };
        assert_eq!(decoded(blob("aGVs\nbG8K\n", "base64")).unwrap(), "hello\n");
        assert!(decoded(blob("!", "base64")).is_err());
        assert!(decoded(blob("", "rot13")).is_err());
    }
}
