//! How Prisma Migrate keeps a chain in a directory, as its `deploy` reads it.

use super::failure::{Failure, FailureKind};
use super::ids::Oid;
use super::tree::{EntryKind, Tree};

/// Marks a directory as a chain of Prisma Migrate, and names its provider.
pub const LOCK_FILE: &str = "migration_lock.toml";

const SCRIPT: &str = "migration.sql";

/// A migration's file as the tree knows it, before its bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub path: String,
    pub oid: Oid,
    pub size: Option<u64>,
}

/// The migrations in a directory, ordered by name as bytes. Files beside them, and symbolic links, are passed over as Prisma does.
///
/// Fails on a directory without `migration.sql` (Prisma's P3015), and on what git holds but a checkout would not show as a file.
pub fn list(tree: &Tree, directory: &str) -> Result<Vec<Listed>, Failure> {
    let mut migrations = Vec::new();
    for (name, entry) in tree.children(directory) {
        let fail = |message: &str, hint: &str| {
            Failure::of_file(FailureKind::Chain, name, format!("{}/{SCRIPT}", entry.path), message)
                .with_hint(hint)
        };
        match entry.kind {
            EntryKind::File | EntryKind::Symlink => continue,
            EntryKind::Submodule => {
                let message = "the migration is a git submodule, whose files are not part of this repository";
                return Err(fail(message, "Commit the migration's files to this repository."));
            }
            EntryKind::Directory => {}
        }
        let path = format!("{}/{SCRIPT}", entry.path);
        let Some(script) = tree.find(&path) else {
            let message = "could not find the migration file: the directory holds no `migration.sql` (Prisma's error P3015)";
            return Err(fail(message, "Restore the file, or delete the directory."));
        };
        if script.kind != EntryKind::File {
            let message = "`migration.sql` is a symbolic link, which Offshoot does not follow";
            return Err(fail(message, "Commit the file itself in its place."));
        }
        let (oid, size) = (script.oid.clone(), script.size);
        migrations.push(Listed { name: name.to_owned(), path, oid, size });
    }
    migrations.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(migrations)
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
    fn order_is_by_bytes_and_stray_files_are_passed_over() {
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
        let names: Vec<String> = list(&tree, "m").unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["20250807132908_", "B it's", "b", "é"]);
    }

    #[test]
    fn what_deploy_would_refuse_is_refused() {
        let missing = tree(&["m/migration_lock.toml", "m/1_init/", "m/1_init/notes.sql"]);
        assert!(list(&missing, "m").unwrap_err().message.contains("P3015"));
        let linked = Tree::from_listing([
            entry("m/migration_lock.toml", EntryKind::File),
            entry("m/1_init", EntryKind::Directory),
            entry("m/1_init/migration.sql", EntryKind::Symlink),
        ]);
        assert!(list(&linked, "m").unwrap_err().message.contains("symbolic link"));
        let submodule = Tree::from_listing([
            entry("m/migration_lock.toml", EntryKind::File),
            entry("m/lib", EntryKind::Submodule),
        ]);
        assert!(list(&submodule, "m").unwrap_err().message.contains("submodule"));
    }

    #[test]
    fn only_postgresql_is_served() {
        assert!(check_provider("m", b"# Please do not edit\nprovider = \"postgresql\"\n").is_ok());
        let mysql = check_provider("m", b"provider = \"mysql\"").unwrap_err();
        assert!(mysql.message.contains("`mysql`"));
        assert!(check_provider("m", b"<<<<<<< HEAD").unwrap_err().message.contains("names no provider"));
    }
}
