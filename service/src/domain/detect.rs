//! Which databases a commit has: declared in the base's `.offshoot.toml`, or detected from the files.

use super::config::{BranchConfig, Config, DatabaseConfig, Tool};
use super::ids::DatabaseLabel;
use super::prisma;
use super::seed::SeedOn;
use super::tree::Tree;

/// One database of a repository and where its chain and seeds are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub label: DatabaseLabel,
    /// The chain's directory, from the repository's root.
    pub migrations: String,
    pub seed: Vec<String>,
    pub seed_on: SeedOn,
    pub extensions: Vec<String>,
}

/// What a repository's base and a pull request's head come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    pub databases: Vec<Layout>,
    /// Chains that the configuration does not declare.
    pub undeclared: Vec<String>,
    pub branch: BranchConfig,
}

impl Detected {
    /// Where the chain of one of the databases is in a tree: where it was moved, in the tree's only one. That one is never another database's, and where
    /// several are missing it is nobody's.
    pub fn directory<'t>(&'t self, layout: &'t Layout, tree: &'t Tree) -> &'t str {
        let mut chains = tree.chain_directories();
        let (Some(only), None) = (chains.next(), chains.next()) else { return &layout.migrations };
        let is_missing = |layout: &&Layout| prisma::is_empty(tree, &layout.migrations);
        let mut missing = self.databases.iter().filter(is_missing);
        let is_declared = self.databases.iter().any(|other| other.migrations == only);
        match (missing.next(), missing.next()) {
            (Some(moved), None) if moved.label == layout.label && !is_declared => only,
            _ => &layout.migrations,
        }
    }
}

/// Why it cannot be told which databases there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undetected {
    /// Nothing to do for this repository.
    #[error("no Prisma migrations were found: no directory holds a `migration_lock.toml`")]
    NoChain,
    /// Several, and none declared.
    #[error("{} chains of migrations were found, and no `.offshoot.toml` says which are databases: {}", .0.len(), .0.join(", "))]
    Ambiguous(Vec<String>),
}

/// Decides from the base's configuration and the trees of the head and its merge base. A chain that only one of them has counts:
/// the pull request may bring the first one, or remove the last.
pub fn detect(config: &Config, head: &Tree, merge_base: &Tree) -> Result<Detected, Undetected> {
    let mut found: Vec<String> =
        head.chain_directories().chain(merge_base.chain_directories()).map(str::to_owned).collect();
    found.sort_unstable();
    found.dedup();
    let in_head: Vec<String> = head.chain_directories().map(str::to_owned).collect();
    let declared = |directory: &String| {
        config.databases.iter().any(|database| database.migrations.as_ref() == Some(directory))
    };
    let branch = config.branch.clone();

    if let [only] = config.databases.as_slice()
        && only.migrations.is_none()
    {
        let directory = sole(&found, &in_head)?;
        return Ok(Detected { databases: vec![layout(only, directory)], undeclared: Vec::new(), branch });
    }
    if config.databases.is_empty() {
        let directory = sole(&found, &in_head)?;
        let defaults = DatabaseConfig {
            name: DatabaseLabel::main(),
            tool: Tool::Prisma,
            migrations: None,
            seed: Vec::new(),
            seed_on: SeedOn::default(),
            extensions: Vec::new(),
        };
        return Ok(Detected {
            databases: vec![layout(&defaults, directory)],
            undeclared: Vec::new(),
            branch,
        });
    }
    let databases = config
        .databases
        .iter()
        .map(|database| layout(database, database.migrations.clone().unwrap_or_default()))
        .collect();
    let undeclared = in_head.into_iter().filter(|directory| !declared(directory)).collect();
    Ok(Detected { databases, undeclared, branch })
}

/// The one chain there is. Where a pull request moves it, the head's place counts.
fn sole(found: &[String], in_head: &[String]) -> Result<String, Undetected> {
    match (found, in_head) {
        ([], _) => Err(Undetected::NoChain),
        ([only], _) | (_, [only]) => Ok(only.clone()),
        _ => Err(Undetected::Ambiguous(found.to_vec())),
    }
}

fn layout(config: &DatabaseConfig, migrations: String) -> Layout {
    Layout {
        label: config.name.clone(),
        migrations,
        seed: config.seed.clone(),
        seed_on: config.seed_on,
        extensions: config.extensions.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn one_chain_anywhere_is_the_main_database() {
        let tree = tree(&["apps/api/prisma/migrations/migration_lock.toml", "apps/web/index.sql"]);
        let detected = detect(&Config::default(), &tree, &Tree::default()).unwrap();
        assert_eq!(detected.databases.len(), 1);
        assert_eq!(detected.databases[0].label, DatabaseLabel::main());
        assert_eq!(detected.databases[0].migrations, "apps/api/prisma/migrations");
    }

    #[test]
    fn several_need_to_be_declared() {
        let tree = tree(&["a/migrations/migration_lock.toml", "b/migrations/migration_lock.toml"]);
        let undetected = detect(&Config::default(), &tree, &tree).unwrap_err();
        assert_eq!(undetected, Undetected::Ambiguous(vec!["a/migrations".into(), "b/migrations".into()]));
        let config = parse("[[database]]\nmigrations = \"b/migrations\"");
        let detected = detect(&config, &tree, &tree).unwrap();
        assert_eq!(detected.databases[0].migrations, "b/migrations");
        assert_eq!(detected.undeclared, ["a/migrations"]);
    }

    #[test]
    fn a_chain_that_moved_is_found_at_its_new_place() {
        let base = tree(&["old/migration_lock.toml"]);
        let head = tree(&["new/migration_lock.toml"]);
        assert_eq!(detect(&Config::default(), &head, &base).unwrap().databases[0].migrations, "new");
        assert_eq!(
            detect(&Config::default(), &Tree::default(), &base).unwrap().databases[0].migrations,
            "old"
        );
    }

    #[test]
    fn a_database_never_has_another_one_s_chain() {
        let config = parse(
            "[[database]]\nname = \"main\"\nmigrations = \"a/migrations\"\n[[database]]\nname = \"billing\"\nmigrations = \"b/migrations\"",
        );
        // The second is new and has no lock, or none of it is there yet.
        let both = tree(&[
            "a/migrations/migration_lock.toml",
            "a/migrations/1_init/",
            "a/migrations/1_init/migration.sql",
            "b/migrations/1_init/",
            "b/migrations/1_init/migration.sql",
        ]);
        let first = tree(&[
            "a/migrations/migration_lock.toml",
            "a/migrations/1_init/",
            "a/migrations/1_init/migration.sql",
        ]);
        for (head, base) in [(&both, &first), (&both, &both), (&first, &first)] {
            let detected = detect(&config, head, base).unwrap();
            for tree in [head, base] {
                let directories = detected.databases.iter().map(|layout| detected.directory(layout, tree));
                assert_eq!(directories.collect::<Vec<_>>(), ["a/migrations", "b/migrations"]);
            }
        }
        // Both are somewhere else by now than where this commit has the first.
        let before = tree(&["prisma/migrations/migration_lock.toml", "prisma/migrations/1_init/"]);
        let detected = detect(&config, &before, &before).unwrap();
        let directories = detected.databases.iter().map(|layout| detected.directory(layout, &before));
        assert_eq!(directories.collect::<Vec<_>>(), ["a/migrations", "b/migrations"]);
        let only = parse("[[database]]\nmigrations = \"old/migrations\"");
        let moved = tree(&[
            "new/migrations/migration_lock.toml",
            "new/migrations/1_init/",
            "new/migrations/1_init/migration.sql",
        ]);
        let detected = detect(&only, &moved, &moved).unwrap();
        assert_eq!(detected.directory(&detected.databases[0], &moved), "new/migrations");
        let without_lock = tree(&[
            "new/migrations/migration_lock.toml",
            "old/migrations/1_init/",
            "old/migrations/1_init/migration.sql",
        ]);
        assert_eq!(detected.directory(&detected.databases[0], &without_lock), "old/migrations");
    }

    #[test]
    fn no_chain_is_no_error_of_anybody() {
        assert_eq!(detect(&Config::default(), &tree(&["a.sql"]), &Tree::default()), Err(Undetected::NoChain));
    }
}
