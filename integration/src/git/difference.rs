//! How much one commit differs from another.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;

use super::read::EntryKind;
use super::{GitRepository, Sha};

/// The figures of a diff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub changed_files: usize,
    /// Lines found more often on the new side than on the old one, by content: a moved line counts as unchanged.
    pub additions: usize,
    pub deletions: usize,
}

/// A path at which two commits differ: what is there before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPath {
    pub path: String,
    pub before: Option<(EntryKind, Sha)>,
    pub after: Option<(EntryKind, Sha)>,
}

impl GitRepository {
    /// The paths at which two commits differ, in their order.
    pub fn changed_paths(&self, from: Sha, to: Sha) -> Result<Vec<ChangedPath>> {
        let (old, new) = (self.slots(from)?, self.slots(to)?);
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let changed = paths.into_iter().filter_map(|path| {
            let (before, after) = (old.get(path).copied(), new.get(path).copied());
            let path = String::from_utf8_lossy(path).into_owned();
            (before != after).then_some(ChangedPath { path, before, after })
        });
        Ok(changed.collect())
    }

    /// What changed between two commits.
    pub fn difference(&self, from: Sha, to: Sha) -> Result<Difference> {
        let mut difference = Difference::default();
        for ChangedPath { before, after, .. } in self.changed_paths(from, to)? {
            let (added, deleted) = changed_lines(&self.text(before)?, &self.text(after)?);
            difference.changed_files += 1;
            difference.additions += added;
            difference.deletions += deleted;
        }
        Ok(difference)
    }

    pub(crate) fn text(&self, slot: Option<(EntryKind, Sha)>) -> Result<Vec<u8>> {
        match slot {
            Some((EntryKind::Submodule, _)) | None => Ok(Vec::new()),
            Some((_, sha)) => Ok(self.blob(sha)?.unwrap_or_default()),
        }
    }
}

fn changed_lines(before: &[u8], after: &[u8]) -> (usize, usize) {
    let mut balance: HashMap<&[u8], isize> = HashMap::new();
    for line in before.split_inclusive(|byte| *byte == b'\n') {
        *balance.entry(line).or_default() -= 1;
    }
    for line in after.split_inclusive(|byte| *byte == b'\n') {
        *balance.entry(line).or_default() += 1;
    }
    let added = balance.values().filter(|count| **count > 0).sum::<isize>();
    let deleted = balance.values().filter(|count| **count < 0).sum::<isize>();
    (added.unsigned_abs(), deleted.unsigned_abs())
}
