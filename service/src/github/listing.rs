//! A commit's whole tree, although GitHub cuts a recursive listing at 100,000 entries or 7 MB.

use std::borrow::Cow;

use serde::Deserialize;

use crate::domain::ids::{InvalidId, Oid};
use crate::domain::tree::{EntryKind, TreeEntry};

/// GitHub's answer for one tree.
#[derive(Debug, Deserialize)]
pub(super) struct TreeObject<'a> {
    #[serde(borrow)]
    tree: Vec<EntryObject<'a>>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Debug, Deserialize)]
struct EntryObject<'a> {
    path: String,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    #[serde(borrow)]
    sha: Cow<'a, str>,
    size: Option<u64>,
}

impl EntryObject<'_> {
    /// The entry at its place in the repository; none for a mode that git does not know.
    fn below(self, directory: &str) -> Result<Option<TreeEntry>, InvalidId> {
        let kind = match self.mode.as_ref() {
            "100644" | "100755" | "100664" => EntryKind::File,
            "120000" => EntryKind::Symlink,
            "040000" | "40000" => EntryKind::Directory,
            "160000" => EntryKind::Submodule,
            _ => return Ok(None),
        };
        let path = if directory.is_empty() { self.path } else { format!("{directory}/{}", self.path) };
        Ok(Some(TreeEntry { path, kind, oid: self.sha.parse()?, size: self.size }))
    }
}

/// One listing to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The path of the directory; empty for the root.
    directory: String,
    /// The tree, or for the root the commit.
    pub tree: Oid,
    pub recursive: bool,
}

/// How many requests one tree may cost.
pub(super) const REQUEST_LIMIT: usize = 400;

/// Why a tree cannot be listed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WalkError {
    #[error("its tree is so large that listing it would take more than {REQUEST_LIMIT} requests")]
    TooLarge,
    #[error("the directory {0:?} alone has more entries than GitHub lists")]
    TooWide(String),
    #[error(transparent)]
    Unreadable(#[from] InvalidId),
}

/// The listing of a tree, so far: what is to be asked next and what has been found. Knows nothing of HTTP.
#[derive(Debug)]
pub(super) struct Walk {
    entries: Vec<TreeEntry>,
    pending: Vec<Step>,
    asked: usize,
}

impl Walk {
    pub fn new(commit: &Oid) -> Self {
        let whole = Step { directory: String::new(), tree: commit.clone(), recursive: true };
        Self { entries: Vec::new(), pending: vec![whole], asked: 0 }
    }

    /// The listings to ask for now, in any order; none when the walk is over.
    pub fn next(&mut self) -> Result<Vec<Step>, WalkError> {
        self.asked += self.pending.len();
        if self.asked > REQUEST_LIMIT {
            Err(WalkError::TooLarge)
        } else {
            Ok(std::mem::take(&mut self.pending))
        }
    }

    /// Takes a listing in. One that was cut is thrown away, and its directory is listed level by level instead.
    pub fn absorb(&mut self, step: Step, listing: TreeObject<'_>) -> Result<(), WalkError> {
        match (listing.truncated, step.recursive) {
            (true, true) => {
                self.pending.push(Step { recursive: false, ..step });
                return Ok(());
            }
            (true, false) => return Err(WalkError::TooWide(step.directory)),
            (false, _) => {}
        }
        for entry in listing.tree {
            let Some(entry) = entry.below(&step.directory)? else { continue };
            if !step.recursive && entry.kind == EntryKind::Directory && !is_vendored(&entry.path) {
                let (directory, tree) = (entry.path.clone(), entry.oid.clone());
                self.pending.push(Step { directory, tree, recursive: true });
            }
            self.entries.push(entry);
        }
        Ok(())
    }

    pub fn into_entries(self) -> Vec<TreeEntry> {
        self.entries
    }
}

/// Directories that hold no chain of the repository's own, and often most of its files.
fn is_vendored(directory: &str) -> bool {
    crate::domain::tree::split(directory).1 == "node_modules"
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn oid(name: &str) -> Oid {
        hex::encode(name)[..]
            .chars()
            .chain("0".repeat(40).chars())
            .take(40)
            .collect::<String>()
            .parse()
            .unwrap()
    }

    fn listing(truncated: bool, entries: &[(&'static str, &str, &str)]) -> TreeObject<'static> {
        let entry = |&(mode, path, name): &(&'static str, &str, &str)| EntryObject {
            path: path.to_owned(),
            mode: mode.into(),
            sha: oid(name).to_string().into(),
            size: (mode == "100644").then_some(1),
        };
        TreeObject { tree: entries.iter().map(entry).collect(), truncated }
    }

    /// Walks a tree whose listings are known by (tree, recursive); gives the paths found and the number of requests.
    fn walk(listings: Vec<((&str, bool), TreeObject<'_>)>) -> Result<(Vec<String>, usize), WalkError> {
        let mut known: HashMap<_, _> = listings
            .into_iter()
            .map(|((name, recursive), listing)| ((oid(name), recursive), listing))
            .collect();
        let mut walk = Walk::new(&oid("root"));
        loop {
            let steps = walk.next()?;
            if steps.is_empty() {
                break;
            }
            for step in steps {
                let listing =
                    known.remove(&(step.tree.clone(), step.recursive)).expect("a listing that exists");
                walk.absorb(step, listing)?;
            }
        }
        let asked = walk.asked;
        let mut paths: Vec<String> = walk.into_entries().into_iter().map(|entry| entry.path).collect();
        paths.sort();
        Ok((paths, asked))
    }

    #[test]
    fn a_whole_listing_is_one_request() {
        let whole = listing(
            false,
            &[
                ("040000", "db", "db"),
                ("100755", "db/run.sh", "run"),
                ("120000", "link", "link"),
                ("160000", "lib", "lib"),
                ("700000", "odd", "odd"),
            ],
        );
        let (paths, asked) = walk(vec![(("root", true), whole)]).unwrap();
        assert_eq!((paths.join(" ").as_str(), asked), ("db db/run.sh lib link", 1));
    }

    #[test]
    fn a_cut_listing_is_walked_and_vendored_files_are_left_alone() {
        let root = [
            ("040000", "apps", "apps"),
            ("040000", "node_modules", "vendored"),
            ("040000", "db", "db"),
            ("100644", "a.sql", "a"),
        ];
        let (paths, asked) = walk(vec![
            (("root", true), listing(true, &root[..1])),
            (("root", false), listing(false, &root)),
            (("db", true), listing(false, &[("100644", "x/1.sql", "1")])),
            (("apps", true), listing(true, &[])),
            (("apps", false), listing(false, &[("040000", "web", "web"), ("100644", "b.sql", "b")])),
            (("web", true), listing(false, &[("100644", "c.sql", "c")])),
        ])
        .unwrap();
        assert_eq!(
            paths,
            ["a.sql", "apps", "apps/b.sql", "apps/web", "apps/web/c.sql", "db", "db/x/1.sql", "node_modules"]
        );
        assert_eq!(asked, 6);
    }

    #[test]
    fn trees_without_end_are_refused() {
        let names: Vec<String> = (0..REQUEST_LIMIT).map(|number| format!("d{number:03}")).collect();
        let wide: Vec<_> = names.iter().map(|name| ("040000", name.as_str(), name.as_str())).collect();
        let listings = vec![(("root", true), listing(true, &[])), (("root", false), listing(false, &wide))];
        assert_eq!(walk(listings).unwrap_err(), WalkError::TooLarge);

        let listings = vec![(("root", true), listing(true, &[])), (("root", false), listing(true, &[]))];
        assert_eq!(walk(listings).unwrap_err(), WalkError::TooWide(String::new()));
    }
}
