//! One repository, as a source of chains.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::Github;
use super::ask::Ask;
use super::blobs::hashes_to;
use super::error::GithubError;
use super::listing::{Step, Walk, WalkError};
use super::request::{Answer, Caller};
use crate::domain::ids::{Oid, RepositoryName};
use crate::domain::patch;
use crate::domain::tree::{Change, ChangedFile, Tree, is_read};
use crate::source::{Comparison, Source, SourceError};

/// How many listings of one tree are asked for at a time.
const CONCURRENCY: usize = 6;

/// A repository at GitHub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RepositoryClient {
    github: Github,
    name: RepositoryName,
    installation: Arc<OnceCell<i64>>,
}

#[derive(Deserialize)]
struct CommitObject {
    sha: Oid,
}

#[derive(Deserialize)]
struct CompareObject<'a> {
    base_commit: CommitObject,
    merge_base_commit: CommitObject,
    behind_by: u32,
    #[serde(borrow)]
    files: Option<Vec<FileObject<'a>>>,
}

/// GitHub shows so many files of a comparison at most.
const MOST_FILES: usize = 300;

/// A file of a comparison. GitHub shows no patch of what is binary or large.
#[derive(Deserialize)]
struct FileObject<'a> {
    #[serde(borrow)]
    filename: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    /// Of one that was moved, or copied.
    #[serde(borrow)]
    previous_filename: Option<Cow<'a, str>>,
    /// Null where there is no blob.
    sha: Option<Cow<'a, str>>,
    patch: Option<Cow<'a, str>>,
}

impl FileObject<'_> {
    /// What changed with it: two paths, where it was moved.
    fn changed(self) -> impl Iterator<Item = ChangedFile> {
        let oid = self.sha.as_ref().and_then(|sha| sha.parse().ok());
        let change = match (self.status.as_ref(), oid) {
            ("added", oid) => Change::Added(oid.and_then(|oid| self.shown(oid))),
            ("modified", Some(oid)) => Change::Modified(oid),
            ("renamed" | "copied", _) => Change::Added(None),
            _ => Change::Other,
        };
        let left = self.previous_filename.filter(|_| self.status == "renamed");
        let left = left.map(|path| ChangedFile { path: path.into_owned(), change: Change::Other });
        left.into_iter().chain([ChangedFile { path: self.filename.into_owned(), change }])
    }

    /// The blob of a file that the head adds and that may have to be read, if all of it is here.
    fn shown(&self, oid: Oid) -> Option<(Oid, Bytes)> {
        let patch = self.patch.as_ref().filter(|_| is_read(&self.filename))?;
        let bytes = patch::added_file(patch)?;
        hashes_to(&bytes, &oid).then(|| (oid, bytes.into()))
    }
}

impl RepositoryClient {
    pub(super) fn new(github: Github, name: RepositoryName, installation: Option<i64>) -> Self {
        Self { github, name, installation: Arc::new(OnceCell::new_with(installation)) }
    }

    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    pub(super) fn github(&self) -> &Github {
        &self.github
    }

    /// A GET below the repository; `parts` are those after its owner and name.
    pub(super) fn get(&self, template: &'static str, parts: &[&str]) -> Ask {
        Ask::get(template, &self.parts(parts))
    }

    pub(super) fn post(&self, template: &'static str, parts: &[&str], body: Value) -> Ask {
        Ask::post(template, &self.parts(parts), body)
    }

    pub(super) fn patch(&self, template: &'static str, parts: &[&str], body: Value) -> Ask {
        Ask::patch(template, &self.parts(parts), body)
    }

    fn parts<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [self.name.owner(), self.name.name()].into_iter().chain(rest.iter().copied()).collect()
    }

    pub(super) async fn send(&self, ask: Ask) -> Result<Answer, GithubError> {
        self.caller().await?.send(ask).await
    }

    pub(super) async fn caller(&self) -> Result<Arc<Caller>, GithubError> {
        if !self.github.is_app() {
            return self.github.through(0);
        }
        let installation = self.installation.get_or_try_init(|| self.github.installation_of(&self.name));
        self.github.through(*installation.await?)
    }

    async fn compared(&self, base_ref: &str, head: &Oid) -> Result<Comparison, GithubError> {
        let ask = self.get("/repos/{owner}/{repo}/compare/{base}...{head}", &[base_ref, head.as_str()]);
        // The commits of a comparison are of no interest, and can be many. All files come with the first page.
        let answer = self.send(ask.query(&[("per_page", "1")])).await?;
        let CompareObject { base_commit, merge_base_commit, behind_by, files } = answer.json()?;
        let shows_all = files.as_ref().is_some_and(|files| files.len() < MOST_FILES);
        let changes = files.into_iter().flatten().flat_map(FileObject::changed).collect();
        let (tip, merge_base) = (base_commit.sha, merge_base_commit.sha);
        Ok(Comparison { tip, merge_base, behind_by, changes, shows_all })
    }

    async fn listed(&self, commit: &Oid) -> Result<Tree, GithubError> {
        let asked = format!("GET /repos/{}/git/trees/{commit}", self.name);
        let refused = |error: WalkError| match error {
            WalkError::Unreadable(error) => GithubError::unreadable(&asked)(error),
            other => GithubError::Rejected { asked: asked.clone(), status: 200, message: other.to_string() },
        };
        let mut walk = Walk::new(commit);
        loop {
            let steps = walk.next().map_err(refused)?;
            if steps.is_empty() {
                return Ok(Tree::from_listing(walk.into_entries()));
            }
            let listings = steps.into_iter().map(|step| self.listing(step));
            let listings: Vec<_> = stream::iter(listings).buffer_unordered(CONCURRENCY).try_collect().await?;
            for (step, answer) in listings {
                walk.absorb(step, answer.json()?).map_err(refused)?;
            }
        }
    }

    async fn listing(&self, step: Step) -> Result<(Step, Answer), GithubError> {
        let ask = self.get("/repos/{owner}/{repo}/git/trees/{tree}", &[step.tree.as_str()]);
        let ask = if step.recursive { ask.query(&[("recursive", "1")]) } else { ask };
        Ok((step, self.send(ask).await?))
    }
}

#[async_trait]
impl Source for RepositoryClient {
    async fn compare(&self, base_ref: &str, head: &Oid) -> Result<Comparison, SourceError> {
        Ok(self.compared(base_ref, head).await?)
    }

    async fn tree(&self, commit: &Oid) -> Result<Tree, SourceError> {
        Ok(self.listed(commit).await?)
    }

    async fn blobs(&self, wanted: &[(Oid, Option<u64>)]) -> Result<Vec<Bytes>, SourceError> {
        Ok(self.read_blobs(wanted).await?)
    }
}
