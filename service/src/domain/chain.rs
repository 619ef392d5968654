//! Chains of migrations, and where two of them part.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::content::Content;
use super::ids::Oid;

/// The lower-case hexadecimal SHA-256 of a file's bytes as they are: what Prisma keeps as `checksum`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checksum(Arc<str>);

impl Checksum {
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)).into())
    }

    /// A checksum read back from a bookkeeping table, which may hold anything.
    pub fn recorded(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One step of a chain, known by its name and the hash of what it does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Migration {
    pub name: String,
    pub checksum: Checksum,
}

/// A migration together with where it stands in the repository and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    pub migration: Migration,
    /// Path of the SQL file from the repository's root.
    pub path: String,
    pub oid: Oid,
    /// UTF-8; see [`Content::as_prisma_reads_it`].
    pub bytes: bytes::Bytes,
}

impl MigrationFile {
    pub fn new(name: impl Into<String>, path: impl Into<String>, oid: Oid, content: &Content) -> Self {
        let (text, checksum) = content.as_prisma_reads_it();
        let migration = Migration { name: name.into(), checksum: checksum.clone() };
        Self { migration, path: path.into(), oid, bytes: text.clone() }
    }
}

/// The ordered migrations of one database at one commit. Its clones share them.
#[derive(Debug, Clone, Default)]
pub struct Chain(Arc<Ordered>);

#[derive(Debug, Default)]
struct Ordered {
    migrations: Vec<Migration>,
    /// Where the first migration of each name stands, once somebody has asked.
    by_name: OnceLock<HashMap<String, usize>>,
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.migrations() == other.migrations()
    }
}

impl Eq for Chain {}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.migrations().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::in_order)
    }
}

impl Chain {
    /// Migrations in the order in which they are, or were, applied.
    pub fn in_order(migrations: Vec<Migration>) -> Self {
        Self(Arc::new(Ordered { migrations, by_name: OnceLock::new() }))
    }

    pub fn of(files: &[MigrationFile]) -> Self {
        Self::in_order(files.iter().map(|file| file.migration.clone()).collect())
    }

    pub fn migrations(&self) -> &[Migration] {
        &self.0.migrations
    }

    pub fn len(&self) -> usize {
        self.migrations().len()
    }

    pub fn is_empty(&self) -> bool {
        self.migrations().is_empty()
    }

    pub fn find(&self, name: &str) -> Option<&Migration> {
        let by_name = self.0.by_name.get_or_init(|| {
            let places = self.migrations().iter().enumerate().rev();
            places.map(|(at, migration)| (migration.name.clone(), at)).collect()
        });
        by_name.get(name).map(|at| &self.migrations()[*at])
    }

    pub fn is_prefix_of(&self, other: &Chain) -> bool {
        other.migrations().starts_with(self.migrations())
    }

    /// How many migrations from the start both chains share.
    pub fn common_prefix(&self, other: &Chain) -> usize {
        let both = self.migrations().iter().zip(other.migrations());
        both.take_while(|(ours, theirs)| ours == theirs).count()
    }
}

/// How a migration of one chain stands in another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Difference {
    /// The same name with other bytes.
    Edited { name: String },
    /// The same bytes under another name.
    Renamed { from: String, to: String },
    /// In the first chain only.
    Removed { name: String },
    /// Same name and bytes, at another place.
    Reordered { name: String },
    /// In the second chain only, before one that the first already has.
    InsertedBefore { name: String, before: String },
}

/// Why `applied` is not a prefix of `wanted`: every migration that differs, in the order of `applied`, then of `wanted`.
/// Empty exactly when `applied` is a prefix of `wanted`.
pub fn differences(applied: &Chain, wanted: &Chain) -> Vec<Difference> {
    let shared = applied.common_prefix(wanted);
    let (old, new) = (&applied.migrations()[shared..], &wanted.migrations()[shared..]);
    let mut found = Vec::new();
    let mut renamed_to = Vec::new();
    let mut kept = Vec::new();
    for migration in old {
        let name = migration.name.clone();
        match new.iter().position(|other| other.name == migration.name) {
            Some(at) if new[at].checksum != migration.checksum => found.push(Difference::Edited { name }),
            Some(at) => kept.push((name, at)),
            None => {
                let moved = new.iter().find(|other| {
                    other.checksum == migration.checksum
                        && applied.find(&other.name).is_none()
                        && !renamed_to.contains(&&other.name)
                });
                match moved {
                    Some(other) => {
                        renamed_to.push(&other.name);
                        found.push(Difference::Renamed { from: name, to: other.name.clone() });
                    }
                    None => found.push(Difference::Removed { name }),
                }
            }
        }
    }
    for pair in kept.windows(2) {
        if pair[1].1 < pair[0].1 {
            found.push(Difference::Reordered { name: pair[1].0.clone() });
        }
    }
    let last_known = new.iter().rposition(|migration| applied.find(&migration.name).is_some());
    for (at, migration) in new.iter().enumerate() {
        let known = applied.find(&migration.name).is_some() || renamed_to.contains(&&migration.name);
        if let (false, Some(last)) = (known, last_known)
            && at < last
        {
            let before = new[at + 1..=last].iter().find(|other| applied.find(&other.name).is_some());
            let before = before.expect("the last known migration is in that range").name.clone();
            found.push(Difference::InsertedBefore { name: migration.name.clone(), before });
        }
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A chain of names and what each does.
    pub(in super::super) fn chain(steps: &[(&str, &str)]) -> Chain {
        let migration = |&(name, sql): &(&str, &str)| Migration {
            name: name.to_owned(),
            checksum: Checksum::of(sql.as_bytes()),
        };
        Chain::in_order(steps.iter().map(migration).collect())
    }

    #[test]
    fn a_checksum_is_the_sha256_of_the_bytes() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Checksum::of(b"").as_str(), empty);
    }

    #[test]
    fn each_difference_is_named() {
        let name = |name: &str| name.to_owned();
        let base = [("1_init", "a"), ("2_users", "b"), ("3_posts", "c")];
        let cases = [
            (
                vec![("1_init", "a"), ("2_users", "B"), ("3_posts", "c")],
                Difference::Edited { name: name("2_users") },
            ),
            (
                vec![("1_init", "a"), ("2_people", "b"), ("3_posts", "c")],
                Difference::Renamed { from: name("2_users"), to: name("2_people") },
            ),
            (vec![("1_init", "a"), ("3_posts", "c")], Difference::Removed { name: name("2_users") }),
            (
                vec![("1_init", "a"), ("3_posts", "c"), ("2_users", "b")],
                Difference::Reordered { name: name("3_posts") },
            ),
            (
                vec![("1_init", "a"), ("1_tags", "t"), ("2_users", "b"), ("3_posts", "c")],
                Difference::InsertedBefore { name: name("1_tags"), before: name("2_users") },
            ),
        ];
        for (wanted, expected) in cases {
            assert_eq!(differences(&chain(&base), &chain(&wanted)), vec![expected], "{wanted:?}");
        }
    }

    fn any_chain() -> impl Strategy<Value = Chain> {
        proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5)
            .prop_shuffle()
            .prop_flat_map(|names| {
                let count = names.len();
                (Just(names), proptest::collection::vec(0..3_u8, count))
            })
            .prop_map(|(names, bodies)| {
                let bodies: Vec<String> = bodies.iter().map(u8::to_string).collect();
                let steps: Vec<_> = names.iter().zip(&bodies).map(|(n, b)| (*n, b.as_str())).collect();
                chain(&steps)
            })
    }

    proptest! {
        #[test]
        fn there_are_differences_exactly_when_it_is_no_prefix(applied in any_chain(), wanted in any_chain()) {
            prop_assert_eq!(differences(&applied, &wanted).is_empty(), applied.is_prefix_of(&wanted));
        }
    }
}
