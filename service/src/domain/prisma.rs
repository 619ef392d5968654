//! How Prisma Migrate keeps a chain in a directory, as its `deploy` reads it (observed with 6.19).

use std::cmp::Ordering;
use std::sync::LazyLock;

use icu_collator::CollatorBorrowed;
use icu_collator::options::CollatorOptions;

use super::failure::{Failure, FailureKind};
use super::ids::Oid;
use super::tree::{EntryKind, Tree, TreeEntry};

/// Marks a directory as a chain of Prisma Migrate, and names its provider.
pub const LOCK_FILE: &str = "migration_lock.toml";

const SCRIPT: &str = "migration.sql";

/// The bookkeeping table, by the name under which Prisma looks for it: whatever schema is the session's current one.
pub const TABLE: &str = r#""_prisma_migrations""#;

/// The key of the advisory lock that `migrate deploy` takes first.
pub const LOCK: i64 = 72_707_369;
/// Takes it.
pub const TAKE_LOCK: &str = "SELECT pg_catalog.pg_advisory_lock(72707369)";

/// The bookkeeping table as Prisma makes it, where it is missing.
pub const CREATE_TABLE: &str = r#"CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)"#;

/// A migration's file as the tree knows it, before its bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub path: String,
    pub oid: Oid,
    pub size: Option<u64>,
}

/// The chain in a directory, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// All that can be read, in the order of [`order`].
    pub migrations: Vec<Listed>,
    /// The first directory that is no migration: `deploy` applies what sorts before it and stops there.
    pub broken: Option<Broken>,
}

/// Where a chain cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// How many of the readable migrations come before it.
    pub after: usize,
    pub failure: Failure,
}

/// The order in which `deploy` applies migrations: JavaScript's `localeCompare` of the directories' names, which differs from the order of
/// their bytes where `_`, other punctuation, upper case or accents decide: `1_init` comes before `10_x`. Older CLIs sorted bytes.
pub fn order(a: &str, b: &str) -> Ordering {
    static COLLATOR: LazyLock<CollatorBorrowed<'static>> = LazyLock::new(|| {
        CollatorBorrowed::try_new(Default::default(), CollatorOptions::default())
            .expect("the root collation is built in")
    });
    first_digits(a.as_bytes(), b.as_bytes())
        .unwrap_or_else(|| COLLATOR.compare(a, b).then_with(|| a.as_bytes().cmp(b.as_bytes())))
}

/// The order of names that begin with digits and differ in one of them, as times do: whatever follows cannot change it.
fn first_digits(a: &[u8], b: &[u8]) -> Option<Ordering> {
    let digits = a.iter().zip(b).take_while(|(a, b)| a.is_ascii_digit() && b.is_ascii_digit());
    digits.map(|(a, b)| a.cmp(b)).find(|order| order.is_ne())
}

/// Whether a directory holds no migrations, not even broken ones.
pub fn is_empty(tree: &Tree, directory: &str) -> bool {
    !tree.children(directory).any(|(_, entry)| is_step(entry))
}

fn is_step(entry: &TreeEntry) -> bool {
    matches!(entry.kind, EntryKind::Directory | EntryKind::Submodule)
}

/// Lists a directory. Files beside the migrations and symbolic links are passed over, as Prisma does; a directory without `migration.sql`
/// (Prisma's P3015), and what git holds but a checkout would not show as a file, breaks the chain.
pub fn list(tree: &Tree, directory: &str) -> Listing {
    let mut entries: Vec<_> = tree.children(directory).filter(|(_, entry)| is_step(entry)).collect();
    entries.sort_by(|(a, _), (b, _)| order(a, b));
    let mut listing = Listing::default();
    for (name, entry) in entries {
        match script(tree, name, entry) {
            Ok(listed) => listing.migrations.push(listed),
            Err(failure) if listing.broken.is_none() => {
                listing.broken = Some(Broken { after: listing.migrations.len(), failure });
            }
            Err(_) => {}
        }
    }
    listing
}

fn script(tree: &Tree, name: &str, directory: &TreeEntry) -> Result<Listed, Failure> {
    let path = format!("{}/{SCRIPT}", directory.path);
    let fail = |message: &str, hint: &str| {
        Err(Failure::of_file(FailureKind::Chain, name, path.clone(), message).with_hint(hint))
    };
    if directory.kind == EntryKind::Submodule {
        let message = "the migration is a git submodule, whose files are not part of this repository";
        return fail(message, "Commit the migration's files to this repository.");
    }
    match tree.find(&path) {
        None => fail(
            "could not find the migration file: the directory holds no `migration.sql` (Prisma's error P3015)",
            "Restore the file, or delete the directory.",
        ),
        Some(script) if script.kind != EntryKind::File => fail(
            "`migration.sql` is a symbolic link, which Offshoot does not follow",
            "Commit the file itself in its place.",
        ),
        Some(script) => {
            Ok(Listed { name: name.to_owned(), oid: script.oid.clone(), size: script.size, path })
        }
    }
}

/// The provider that a lock file names; none where it is no TOML or names none.
pub fn provider(lock_file: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(lock_file).ok()?;
    let table: toml::Table = text.parse().ok()?;
    Some(table.get("provider")?.as_str()?.to_owned())
}

/// Refuses a chain that was not written for PostgreSQL.
pub fn check_provider(directory: &str, lock_file: &[u8]) -> Result<(), Failure> {
    let path = format!("{directory}/{LOCK_FILE}");
    let fail =
        |message: String| Failure::of_file(FailureKind::Configuration, LOCK_FILE, path.clone(), message);
    match provider(lock_file).as_deref() {
        Some("postgresql" | "postgres") => Ok(()),
        Some(other) => {
            Err(fail(format!("the chain is for `{other}`; Offshoot makes PostgreSQL databases only"))
                .with_hint("Name the PostgreSQL chain in `.offshoot.toml` if the repository has one."))
        }
        None => Err(fail("the lock file names no provider".to_owned())
            .with_hint("It should say `provider = \"postgresql\"`; `prisma migrate dev` writes it.")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{entry, tree};
    use super::*;

    #[test]
    fn stray_files_are_passed_over() {
        let tree = tree(&[
            "m/migration_lock.toml",
            "m/README.sql",
            "m/b/",
            "m/b/migration.sql",
            "m/B it's/",
            "m/B it's/migration.sql",
            "m/20250807132908_/",
            "m/20250807132908_/migration.sql",
            "m/20250807132908_/down.sql",
            "m/é/",
            "m/é/migration.sql",
        ]);
        let listing = list(&tree, "m");
        let names: Vec<&str> = listing.migrations.iter().map(|listed| listed.name.as_str()).collect();
        assert_eq!(names, ["20250807132908_", "b", "B it's", "é"]);
        assert_eq!(listing.broken, None);
    }

    /// What `prisma migrate deploy` 6.19 was seen to do with these names.
    #[test]
    fn the_order_is_that_of_the_real_cli() {
        let observed = [
            "_x",
            "1_init",
            "10_x",
            "2 b",
            "2_y",
            "2-z",
            "2.a",
            "20250101_a",
            "20250101000000_b",
            "a",
            "A",
            "a_",
            "A_x",
            "a_y",
            "aa",
            "b",
            "B",
        ];
        let mut sorted = observed;
        sorted.reverse();
        sorted.sort_by(|a, b| order(a, b));
        assert_eq!(sorted, observed);
    }

    proptest::proptest! {
        #[test]
        fn the_order_of_times_is_the_collation_s(a in "[0-9]{0,3}[_aA-é\u{301}]{0,3}[0-9]?", b in "[0-9]{0,3}[_aA-é\u{301}]{0,3}[0-9]?") {
            let collator = CollatorBorrowed::try_new(Default::default(), CollatorOptions::default()).unwrap();
            let expected = collator.compare(&a, &b).then_with(|| a.as_bytes().cmp(b.as_bytes()));
            proptest::prop_assert_eq!(order(&a, &b), expected, "{:?} {:?}", a, b);
        }
    }

    #[test]
    fn what_deploy_would_refuse_is_refused() {
        let broken = |tree: &Tree| list(tree, "m").broken.unwrap().failure.message;
        let missing = tree(&[
            "m/migration_lock.toml",
            "m/1_init/",
            "m/1_init/migration.sql",
            "m/2_empty/",
            "m/2_empty/notes.sql",
            "m/3_later/",
            "m/3_later/migration.sql",
        ]);
        assert!(broken(&missing).contains("P3015"));
        assert_eq!(list(&missing, "m").migrations.len(), 2);
        assert_eq!(list(&missing, "m").broken.unwrap().after, 1);
        let linked = Tree::from_listing([
            entry("m/migration_lock.toml", EntryKind::File),
            entry("m/1_init", EntryKind::Directory),
            entry("m/1_init/migration.sql", EntryKind::Symlink),
        ]);
        assert!(broken(&linked).contains("symbolic link"));
        let submodule = Tree::from_listing([
            entry("m/migration_lock.toml", EntryKind::File),
            entry("m/lib", EntryKind::Submodule),
        ]);
        assert!(broken(&submodule).contains("submodule"));
    }

    #[test]
    fn only_postgresql_is_served() {
        assert!(check_provider("m", b"# Please do not edit\nprovider = \"postgresql\"\n").is_ok());
        let mysql = check_provider("m", b"provider = \"mysql\"").unwrap_err();
        assert!(mysql.message.contains("`mysql`"));
        assert!(check_provider("m", b"<<<<<<< HEAD").unwrap_err().message.contains("names no provider"));
    }
}
