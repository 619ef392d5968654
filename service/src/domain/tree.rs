//! What matters of a commit's tree: the migrations, the seeds and the configuration, with git's own hashes.

use serde::{Deserialize, Serialize};

use super::ids::Oid;

/// The configuration file, in the repository's root.
pub const CONFIG_PATH: &str = ".offshoot.toml";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    File,
    Symlink,
    Directory,
    Submodule,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// From the repository's root, with `/` between its parts.
    pub path: String,
    pub kind: EntryKind,
    pub oid: Oid,
    /// Bytes, for files.
    pub size: Option<u64>,
}

/// The entries of one commit that Offshoot may need, ordered by path. Small even where the repository is not, so it is cached for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree {
    entries: Vec<TreeEntry>,
}

impl Tree {
    /// Keeps of a commit's whole recursive listing what Offshoot may ever ask for.
    pub fn from_listing(listing: impl IntoIterator<Item = TreeEntry>) -> Self {
        let mut entries: Vec<TreeEntry> = listing.into_iter().filter(is_not_vendored).collect();
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let chains: Vec<String> = lock_directories(&entries).map(str::to_owned).collect();
        entries.retain(|entry| is_relevant(entry, &chains));
        Self { entries }
    }

    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    pub fn find(&self, path: &str) -> Option<&TreeEntry> {
        let at = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        Some(&self.entries[at])
    }

    /// The entries right inside a directory, by name; the directory's path is `""` for the root.
    pub fn children<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a TreeEntry)> {
        self.entries.iter().filter_map(move |entry| {
            let (parent, name) = split(&entry.path);
            (parent == directory).then_some((name, entry))
        })
    }

    /// The directories that hold a `migration_lock.toml`, by path.
    pub fn chain_directories(&self) -> impl Iterator<Item = &str> {
        lock_directories(&self.entries)
    }
}

/// A path's directory (`""` for the root) and its last part.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn lock_directories(entries: &[TreeEntry]) -> impl Iterator<Item = &str> {
    entries.iter().filter(|entry| entry.kind == EntryKind::File).filter_map(|entry| {
        let (directory, name) = split(&entry.path);
        (name == super::prisma::LOCK_FILE).then_some(directory)
    })
}

fn is_not_vendored(entry: &TreeEntry) -> bool {
    !entry.path.split('/').any(|part| part == "node_modules")
}

fn is_relevant(entry: &TreeEntry, chains: &[String]) -> bool {
    let (directory, _) = split(&entry.path);
    let in_chain = || chains.iter().any(|chain| chain == directory);
    match entry.kind {
        EntryKind::Directory | EntryKind::Submodule => in_chain() || is_migrations_name(directory),
        EntryKind::File | EntryKind::Symlink => is_read(&entry.path),
    }
}

/// Whether the content of a file at this path may have to be read.
pub fn is_read(path: &str) -> bool {
    let (_, name) = split(path);
    name == super::prisma::LOCK_FILE
        || path == CONFIG_PATH
        || ends_with(name, b".sql")
        || ends_with(name, b".csv")
}

/// In whatever case its letters are.
fn ends_with(name: &str, end: &[u8; 4]) -> bool {
    name.as_bytes().last_chunk().is_some_and(|last: &[u8; 4]| last.eq_ignore_ascii_case(end))
}

/// A directory that `.offshoot.toml` may name although its lock file is missing.
fn is_migrations_name(directory: &str) -> bool {
    split(directory).1 == "migrations"
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An entry whose object id is made from its path.
    pub(crate) fn entry(path: &str, kind: EntryKind) -> TreeEntry {
        let digest = super::super::chain::Checksum::of(path.as_bytes());
        let oid = digest.as_str()[..40].parse().unwrap();
        TreeEntry { path: path.to_owned(), kind, oid, size: Some(1) }
    }

    /// Files, and directories where a path ends with `/`.
    pub(crate) fn tree(paths: &[&str]) -> Tree {
        Tree::from_listing(paths.iter().map(|path| match path.strip_suffix('/') {
            Some(directory) => entry(directory, EntryKind::Directory),
            None => entry(path, EntryKind::File),
        }))
    }

    #[test]
    fn only_what_may_be_needed_is_kept() {
        let tree = tree(&[
            ".offshoot.toml",
            "README.md",
            "db/migrations/",
            "db/migrations/1_init/",
            "db/migrations/1_init/migration.sql",
            "db/migrations/migration_lock.toml",
            "node_modules/prisma/migrations/migration_lock.toml",
            "seed/users.CSV",
            "src/",
            "src/main.ts",
        ]);
        let paths: Vec<&str> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                ".offshoot.toml",
                "db/migrations/1_init",
                "db/migrations/1_init/migration.sql",
                "db/migrations/migration_lock.toml",
                "seed/users.CSV"
            ]
        );
        assert_eq!(tree.chain_directories().collect::<Vec<_>>(), ["db/migrations"]);
        let children: Vec<&str> = tree.children("db/migrations").map(|(name, _)| name).collect();
        assert_eq!(children, ["1_init", "migration_lock.toml"]);
    }
}
