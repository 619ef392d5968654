//! A git repository on disk as a source of chains, for `offshoot preview`. Reads commits only: what is not committed is not seen.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use gix::ObjectId;
use gix::object::tree::EntryKind as Mode;

use crate::domain::ids::{Oid, RepositoryName};
use crate::domain::tree::{EntryKind, Tree, TreeEntry};
use crate::source::{Comparison, Source, SourceError};

/// How many refs an error suggests at most.
const SUGGESTIONS: usize = 5;

/// A repository on disk. Each question opens it anew, so that it sees what other programs do to it meanwhile.
#[derive(Debug, Clone)]
pub struct LocalGit {
    git_dir: PathBuf,
    name: RepositoryName,
}

impl LocalGit {
    /// The repository that `path` lies in: its root, a directory below, a linked worktree or a bare repository.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        // A path that begins with `..` is taken for another by the search for a bare repository.
        let found = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let repository = gix::discover(found).map_err(|error| {
            let why = innermost(&error);
            SourceError::Refused(format!(
                "{} is in no git repository that can be read: {why}",
                path.display()
            ))
        })?;
        let git_dir = absolute(repository.git_dir())?;
        let origin = repository.config_snapshot().string("remote.origin.url");
        let named = origin.and_then(|url| name_in_url(&url.to_string()));
        let directory = absolute(repository.workdir().unwrap_or(&git_dir))?;
        let name = named.unwrap_or_else(|| name_of_directory(&directory));
        Ok(Self { git_dir, name })
    }

    /// `owner/name` by the remote `origin`, else `local/` and the directory's name.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Where its objects are: what tells it from another repository of the same name.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The commit that a revision names: a branch, tag, `HEAD~2`, hash or its beginning. A branch that only `origin` has
    /// is found too, as continuous integration checks out one branch alone.
    pub async fn resolve(&self, revision: &str) -> Result<Oid, SourceError> {
        let revision = revision.to_owned();
        self.read(move |repository| oid(resolved(repository, &revision)?)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&gix::Repository) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let git_dir = self.git_dir.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut repository =
                gix::open(&git_dir).map_err(|error| broken(&git_dir.display().to_string(), error))?;
            repository.object_cache_size_if_unset(8 << 20);
            question(&repository)
        });
        answer.await.map_err(|error| {
            SourceError::Unavailable(format!("reading the repository was cut off: {error}"))
        })?
    }
}

#[async_trait]
impl Source for LocalGit {
    async fn compare(&self, base_ref: &str, head: &Oid) -> Result<Comparison, SourceError> {
        let (base_ref, head) = (base_ref.to_owned(), head.clone());
        self.read(move |repository| compared(repository, &base_ref, &head)).await
    }

    async fn tree(&self, commit: &Oid) -> Result<Tree, SourceError> {
        let commit = commit.clone();
        self.read(move |repository| listed(repository, &commit)).await
    }

    async fn blobs(&self, wanted: &[(Oid, Option<u64>)]) -> Result<Vec<Bytes>, SourceError> {
        let wanted: Vec<Oid> = wanted.iter().map(|(oid, _)| oid.clone()).collect();
        self.read(move |repository| wanted.iter().map(|oid| blob(repository, oid)).collect()).await
    }
}

fn compared(repository: &gix::Repository, base_ref: &str, head: &Oid) -> Result<Comparison, SourceError> {
    let (tip, head_id) = (resolved(repository, base_ref)?, object_id(head)?);
    let asked = format!("comparing {base_ref} with {}", head.short());
    let merge_base = repository.merge_base(tip, head_id).map_err(|error| broken(&asked, error))?;
    let Some(merge_base) = merge_base else {
        let hint = if repository.is_shallow().unwrap_or(false) {
            "; fetch the whole history, as with `git fetch --unshallow`"
        } else {
            ""
        };
        return Err(SourceError::Refused(format!(
            "{base_ref} and {} have no commit in common{hint}",
            head.short()
        )));
    };
    let behind =
        repository.rev_walk([tip]).with_hidden([head_id]).all().map_err(|error| broken(&asked, error))?;
    let mut behind_by = 0;
    for commit in behind {
        commit.map_err(|error| broken(&asked, error))?;
        behind_by += 1;
    }
    let (tip, merge_base) = (oid(tip)?, oid(merge_base.detach())?);
    // Here the trees themselves are at hand.
    Ok(Comparison { tip, merge_base, behind_by, changes: Vec::new(), shows_all: false })
}

fn listed(repository: &gix::Repository, commit: &Oid) -> Result<Tree, SourceError> {
    let asked = format!("reading the tree of {}", commit.short());
    let root = repository.find_commit(object_id(commit)?).map_err(|_| missing(commit, "commit"))?;
    let root = root.tree_id().map_err(|error| broken(&asked, error))?.detach();
    let mut entries = Vec::new();
    let mut pending = vec![(String::new(), root)];
    while let Some((directory, id)) = pending.pop() {
        let tree = repository.find_tree(id).map_err(|error| broken(&asked, error))?;
        for entry in tree.decode().map_err(|error| broken(&asked, error))?.entries {
            let name = entry.filename.to_string();
            let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            let kind = match entry.mode.kind() {
                Mode::Blob | Mode::BlobExecutable => EntryKind::File,
                Mode::Link => EntryKind::Symlink,
                Mode::Commit => EntryKind::Submodule,
                Mode::Tree => EntryKind::Directory,
            };
            if kind == EntryKind::Directory && name != "node_modules" {
                pending.push((path.clone(), entry.oid.to_owned()));
            }
            entries.push(TreeEntry { path, kind, oid: oid(entry.oid.to_owned())?, size: None });
        }
    }
    sized(repository, Tree::from_listing(entries))
}

/// Adds the sizes, which git keeps with the objects and not with the tree: only what matters of it is looked up.
fn sized(repository: &gix::Repository, tree: Tree) -> Result<Tree, SourceError> {
    let mut entries = tree.entries().to_vec();
    for entry in entries.iter_mut().filter(|entry| entry.kind == EntryKind::File) {
        let header =
            repository.find_header(object_id(&entry.oid)?).map_err(|_| missing(&entry.oid, "blob"))?;
        entry.size = Some(header.size());
    }
    Ok(Tree::from_listing(entries))
}

fn blob(repository: &gix::Repository, oid: &Oid) -> Result<Bytes, SourceError> {
    let mut blob = repository.find_blob(object_id(oid)?).map_err(|_| missing(oid, "blob"))?;
    let bytes = blob.take_data();
    let hash = gix::objs::compute_hash(repository.object_hash(), gix::objs::Kind::Blob, &bytes);
    match hash {
        Ok(hash) if hash == blob.id => Ok(bytes.into()),
        _ => Err(SourceError::Unavailable(format!("the object {oid} is damaged; `git fsck` tells more"))),
    }
}

fn resolved(repository: &gix::Repository, revision: &str) -> Result<ObjectId, SourceError> {
    let commit = |revision: &str| {
        let object = repository.rev_parse_single(revision).ok()?.object().ok()?;
        Some(object.peel_to_commit().ok()?.id)
    };
    commit(revision).or_else(|| commit(&format!("refs/remotes/origin/{revision}"))).ok_or_else(|| {
        let refs = similar(revision, ref_names(repository));
        let hint = if refs.is_empty() { String::new() } else { format!(" (there are {})", refs.join(", ")) };
        SourceError::Missing(format!("the commit {revision:?}{hint}"))
    })
}

fn ref_names(repository: &gix::Repository) -> Vec<String> {
    let Ok(references) = repository.references() else { return Vec::new() };
    let Ok(all) = references.all() else { return Vec::new() };
    all.filter_map(|reference| Some(reference.ok()?.name().shorten().to_string())).collect()
}

/// Those names that come nearest to a mistyped one, best first.
fn similar(wanted: &str, mut names: Vec<String>) -> Vec<String> {
    let last = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    names.sort_by_cached_key(|name| distance(&last(wanted), &last(name)));
    names.truncate(SUGGESTIONS);
    names
}

/// Levenshtein's: how many characters to change, add or leave out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// The last two parts of `https://host/owner/name.git`, `git@host:owner/name` or a path.
fn name_in_url(url: &str) -> Option<RepositoryName> {
    let path = url.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let mut parts = path.rsplit(['/', ':']);
    let (name, owner) = (parts.next()?, parts.next()?);
    RepositoryName::new(owner, name).ok()
}

fn name_of_directory(directory: &Path) -> RepositoryName {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".git").unwrap_or(&name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = name.chars().map(plain).take(100).collect();
    RepositoryName::new("local", &name)
        .unwrap_or_else(|_| RepositoryName::new("local", "repository").expect("a constant is a name"))
}

fn absolute(path: &Path) -> Result<PathBuf, SourceError> {
    path.canonicalize()
        .map_err(|error| SourceError::Refused(format!("{} cannot be read: {error}", path.display())))
}

fn object_id(oid: &Oid) -> Result<ObjectId, SourceError> {
    ObjectId::from_hex(oid.as_str().as_bytes())
        .map_err(|_| SourceError::Refused(format!("{oid} is a hash of another kind than the repository's")))
}

fn oid(id: ObjectId) -> Result<Oid, SourceError> {
    id.to_string().parse().map_err(|error| SourceError::Refused(format!("git gave {error}")))
}

fn missing(oid: &Oid, kind: &str) -> SourceError {
    SourceError::Missing(format!("the {kind} {oid} in this repository"))
}

fn broken(what: &str, error: impl std::error::Error) -> SourceError {
    SourceError::Unavailable(format!(
        "{what}: {}; `git fsck` tells whether the repository is damaged",
        innermost(&error)
    ))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests;
