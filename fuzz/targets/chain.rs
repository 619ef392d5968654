//! A commit's tree from anybody: the chain read from it is ordered, whole and comparable, whatever the files are called.

#![no_main]

use std::cmp::Ordering;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use offshoot::domain::chain::{self, Chain, Checksum, Migration};
use offshoot::domain::config::Config;
use offshoot::domain::ids::Oid;
use offshoot::domain::tree::{EntryKind, Tree, TreeEntry};
use offshoot::domain::{detect, findings, plan, prisma, seed};

#[derive(Debug, Arbitrary)]
struct Commits<'a> {
    head: Vec<Entry<'a>>,
    base: Vec<Entry<'a>>,
    seeds: Vec<&'a str>,
    lock_file: &'a [u8],
}

/// Names that mean something come up often enough to meet.
#[derive(Debug, Arbitrary)]
enum Part<'a> {
    Prisma,
    Migrations,
    LockFile,
    Script,
    Numbered(u8),
    Odd(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Kind {
    File,
    Symlink,
    Directory,
    Submodule,
}

#[derive(Debug, Arbitrary)]
struct Entry<'a> {
    path: Vec<Part<'a>>,
    kind: Kind,
    content: u8,
}

fuzz_target!(|commits: Commits<'_>| {
    let (head, base) = (tree(&commits.head), tree(&commits.base));
    let patterns: Vec<String> = commits.seeds.iter().map(|&pattern| pattern.to_owned()).collect();
    if let Ok(files) = seed::select(&patterns, &head) {
        assert!(files.is_sorted_by(|a, b| a.0 <= b.0), "seed files out of order");
    }
    _ = prisma::check_provider("prisma/migrations", commits.lock_file);
    let config = Config::parse(b"").expect("an empty configuration is one");
    let Ok(detected) = detect::detect(&config, &head, &base) else { return };
    for database in &detected.databases {
        let (head, base) = (read(&head, &database.migrations), read(&base, &database.migrations));
        compare(&base, &head);
        compare(&head, &base);
    }
});

fn tree(entries: &[Entry<'_>]) -> Tree {
    let oid = |content: u8| -> Oid { format!("{content:040x}").parse().expect("forty hexadecimal digits") };
    let entry = |entry: &Entry<'_>| TreeEntry {
        path: entry.path.iter().map(Part::text).collect::<Vec<_>>().join("/"),
        kind: match entry.kind {
            Kind::File => EntryKind::File,
            Kind::Symlink => EntryKind::Symlink,
            Kind::Directory => EntryKind::Directory,
            Kind::Submodule => EntryKind::Submodule,
        },
        oid: oid(entry.content),
        size: Some(u64::from(entry.content)),
    };
    Tree::from_listing(entries.iter().map(entry))
}

impl Part<'_> {
    fn text(&self) -> String {
        match self {
            Self::Prisma => "prisma".to_owned(),
            Self::Migrations => "migrations".to_owned(),
            Self::LockFile => "migration_lock.toml".to_owned(),
            Self::Script => "migration.sql".to_owned(),
            Self::Numbered(number) => format!("{number}_step"),
            Self::Odd(text) => (*text).to_owned(),
        }
    }
}

/// The chain as far as it can be read; the content's hash stands for the bytes.
fn read(tree: &Tree, directory: &str) -> Chain {
    let listing = prisma::list(tree, directory);
    let in_order =
        |a: &prisma::Listed, b: &prisma::Listed| prisma::order(&a.name, &b.name) != Ordering::Greater;
    assert!(listing.migrations.is_sorted_by(in_order), "{listing:?} is out of order");
    assert!(listing.broken.as_ref().is_none_or(|broken| broken.after <= listing.migrations.len()));
    let migration = |listed: &prisma::Listed| Migration {
        name: listed.name.clone(),
        checksum: Checksum::of(listed.oid.as_str().as_bytes()),
    };
    Chain::in_order(listing.migrations.iter().map(migration).collect())
}

fn compare(base: &Chain, head: &Chain) {
    assert_eq!(chain::differences(base, head).is_empty(), base.is_prefix_of(head), "{base:?} {head:?}");
    let mut names = plan::replay_order(base, head.migrations().to_vec(), |migration| &migration.name);
    let mut wanted: Vec<_> = head.migrations().to_vec();
    names.sort_by(|a, b| a.name.cmp(&b.name));
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(names, wanted, "the order lost or made a migration");
    _ = findings::of_chains(base, head, base);
}
