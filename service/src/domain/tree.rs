//! What matters of a commit's tree: the migrations, the seeds and the configuration, with git's own hashes.

use std::collections::BTreeSet;

use bytes::Bytes;
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
    /// Git's null id for a directory that only a comparison told of.
    pub oid: Oid,
    /// Bytes, for files, where that was told.
    pub size: Option<u64>,
}

/// A file in which one commit differs from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    pub path: String,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new; with its blob, where its bytes were shown and are that blob's.
    Added(Option<(Oid, Bytes)>),
    /// It has another blob, and is of the same kind.
    Modified(Oid),
    /// It is gone, was moved, or is of another kind.
    Other,
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
        let mut entries: Vec<TreeEntry> =
            listing.into_iter().filter(|entry| !is_vendored(&entry.path)).collect();
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let chains: Vec<String> = lock_directories(&entries).map(str::to_owned).collect();
        entries.retain(|entry| is_relevant(entry, &chains));
        Self { entries }
    }

    /// The tree of another commit, by all the files in which it differs from this one; none where those do not tell enough.
    pub fn after(&self, changes: &[ChangedFile]) -> Option<Self> {
        let mut entries = self.entries.clone();
        let (mut added, mut directories) = (Vec::new(), BTreeSet::new());
        let chains: Vec<&str> = self.chain_directories().collect();
        for ChangedFile { path, change } in changes.iter().filter(|changed| !is_vendored(&changed.path)) {
            let matters = is_read(path) || is_in_chain(path, &chains);
            match change {
                Change::Added(content) => {
                    if matters {
                        added.push(self.added(path, content.as_ref()?)?);
                    }
                    for directory in directories_above(path) {
                        match self.find(directory).map(|entry| entry.kind) {
                            None => drop(directories.insert(directory)),
                            Some(EntryKind::Directory) => {}
                            Some(_) => return None,
                        }
                    }
                }
                Change::Modified(oid) if is_read(path) => {
                    let entry = &mut entries[self.place(path)?];
                    if entry.kind != EntryKind::File {
                        return None;
                    }
                    (entry.oid, entry.size) = (oid.clone(), None);
                }
                Change::Modified(_) => {}
                // Whether its directory is still there, the other files in it decide, and those are not known.
                Change::Other
                    if matters || directories_above(path).any(|above| self.find(above).is_some()) =>
                {
                    return None;
                }
                Change::Other => {}
            }
        }
        let directory = |path: &str| TreeEntry {
            path: path.to_owned(),
            kind: EntryKind::Directory,
            oid: Oid::null(),
            size: None,
        };
        entries.extend(directories.into_iter().map(directory));
        Some(Self::from_listing(entries.into_iter().chain(added)))
    }

    /// A file that is new where it matters. Links and submodules are shown as files are: neither has a line of text. And a new chain may have begun
    /// around directories of which nothing was kept.
    fn added(&self, path: &str, (oid, bytes): &(Oid, Bytes)) -> Option<TreeEntry> {
        let is_lock = split(path).1 == super::prisma::LOCK_FILE;
        if is_lock || !bytes.contains(&b'\n') || self.find(path).is_some() {
            return None;
        }
        let size = Some(bytes.len() as u64);
        Some(TreeEntry { path: path.to_owned(), kind: EntryKind::File, oid: oid.clone(), size })
    }

    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    pub fn find(&self, path: &str) -> Option<&TreeEntry> {
        Some(&self.entries[self.place(path)?])
    }

    fn place(&self, path: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()
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

/// `a` and `a/b` of `a/b/c`.
fn directories_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn lock_directories(entries: &[TreeEntry]) -> impl Iterator<Item = &str> {
    entries.iter().filter(|entry| entry.kind == EntryKind::File).filter_map(|entry| {
        let (directory, name) = split(&entry.path);
        (name == super::prisma::LOCK_FILE).then_some(directory)
    })
}

fn is_vendored(path: &str) -> bool {
    path.split('/').any(|part| part == "node_modules")
}

fn is_relevant(entry: &TreeEntry, chains: &[String]) -> bool {
    match entry.kind {
        EntryKind::Directory | EntryKind::Submodule => is_in_chain(&entry.path, chains),
        EntryKind::File | EntryKind::Symlink => is_read(&entry.path),
    }
}

/// Whether something is right inside a chain's directory, or one that may be declared to be.
fn is_in_chain(path: &str, chains: &[impl AsRef<str>]) -> bool {
    let (directory, _) = split(path);
    is_migrations_name(directory) || chains.iter().any(|chain| chain.as_ref() == directory)
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

    fn added(path: &str) -> ChangedFile {
        let content = Some((entry(path, EntryKind::File).oid, Bytes::from_static(b"\n")));
        ChangedFile { path: path.to_owned(), change: Change::Added(content) }
    }

    fn changed(path: &str, change: Change) -> ChangedFile {
        ChangedFile { path: path.to_owned(), change }
    }

    const BASE: [&str; 8] = [
        ".offshoot.toml",
        "db/migrations/",
        "db/migrations/1/",
        "db/migrations/1/migration.sql",
        "db/migrations/1/notes.md",
        "db/migrations/migration_lock.toml",
        "seed.sql",
        "src/main.ts",
    ];

    /// All that the next step needs of a tree: directories' own ids are of no use.
    fn known(tree: Option<Tree>) -> Option<Vec<(String, EntryKind, Option<u64>)>> {
        let known = |entry: &TreeEntry| (entry.path.clone(), entry.kind, entry.size);
        tree.map(|tree| {
            tree.entries
                .iter()
                .map(known)
                .map(|(path, kind, size)| (path, kind, size.filter(|_| kind == EntryKind::File)))
                .collect()
        })
    }

    #[test]
    fn what_is_added_is_put_where_a_listing_has_it() {
        let new = [
            "db/migrations/2/",
            "db/migrations/2/migration.sql",
            "db/migrations/3/",
            "db/migrations/3/README.md",
            "node_modules/a/seed.sql",
            "src/b/",
            "src/b/c.ts",
        ];
        let changes = new.iter().filter(|path| !path.ends_with('/')).map(|path| match is_read(path) {
            true => added(path),
            false => changed(path, Change::Added(None)),
        });
        let changes: Vec<ChangedFile> = changes.collect();
        let expected = tree(&[&BASE[..], &new].concat());
        assert!(expected.find("db/migrations/3").is_some());
        assert_eq!(known(tree(&BASE).after(&changes)), known(Some(expected)));
        assert_eq!(tree(&BASE).after(&[]), Some(tree(&BASE)));
    }

    #[test]
    fn what_is_modified_has_another_blob() {
        let oid = entry("another", EntryKind::File).oid;
        let changes = ["seed.sql", "src/main.ts"].map(|path| changed(path, Change::Modified(oid.clone())));
        let after = tree(&BASE).after(&changes).unwrap();
        assert_eq!(after.find("seed.sql").map(|entry| (&entry.oid, entry.size)), Some((&oid, None)));
        assert_eq!(after.entries().len(), tree(&BASE).entries().len());
    }

    #[test]
    fn what_cannot_be_told_is_left_to_a_listing() {
        let link = |path: &str| {
            let content = Some((entry(path, EntryKind::File).oid, Bytes::from_static(b"../elsewhere")));
            changed(path, Change::Added(content))
        };
        let oid = entry("another", EntryKind::File).oid;
        for change in [
            link("db/migrations/2/migration.sql"),
            changed("db/migrations/2/migration.sql", Change::Added(None)),
            changed("db/migrations/submodule", Change::Added(None)),
            added("other/migration_lock.toml"),
            added("seed.sql"),
            added("seed.sql/more.sql"),
            changed("db/migrations/1/migration.sql", Change::Other),
            changed("db/migrations/1/notes.md", Change::Other),
            changed("other.sql", Change::Modified(oid)),
        ] {
            assert_eq!(tree(&BASE).after(std::slice::from_ref(&change)), None, "{change:?}");
        }
        assert_eq!(tree(&BASE).after(&[changed("src/main.ts", Change::Other)]), Some(tree(&BASE)));
    }
}
