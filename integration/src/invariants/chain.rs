//! Which migrations a pull request's database must hold, told from the git repository alone.

use anyhow::{Context, Result};
use icu_collator::CollatorBorrowed;
use icu_collator::options::CollatorOptions;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::git::{GitRepository, Sha};

const CONFIG: &str = ".offshoot.toml";
const LOCK_FILE: &str = "/migration_lock.toml";
const SCRIPT: &str = "/migration.sql";

/// Name and SHA-256 of each, in the order in which they are applied.
pub(super) type Chain = Vec<(String, String)>;

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    database: Vec<Declared>,
}

#[derive(Deserialize)]
struct Declared {
    #[serde(default = "main")]
    name: String,
    migrations: Option<String>,
}

fn main() -> String {
    "main".to_owned()
}

/// The chain of a database at a head onto a base: the base's migrations that the head still has, then its own. None where the
/// two commits share no history, or no directory is known.
pub(super) fn wanted(
    git: &GitRepository,
    head: Sha,
    base_ref: &str,
    database: &str,
) -> Result<Option<Chain>> {
    let tip = git.tip(base_ref)?.with_context(|| format!("there is no base {base_ref}"))?;
    let Some(merge_base) = git.merge_base(tip, head)? else { return Ok(None) };
    let Some(declared) = declared(git, tip, database)? else { return Ok(None) };
    let Some(directory) = directory(git, head, declared.as_deref())? else { return Ok(None) };
    let Some(before) = directory_of_base(git, merge_base, declared.as_deref())? else {
        return Ok(Some(at(git, head, &directory)?));
    };
    let base = at(git, merge_base, &before)?;
    let is_shared = |(name, _): &(String, String)| base.iter().any(|(other, _)| other == name);
    let (shared, own): (Chain, Chain) = at(git, head, &directory)?.into_iter().partition(is_shared);
    Ok(Some([shared, own].concat()))
}

/// The directory that the base's configuration names for the database, if it does. None where it declares others only.
fn declared(git: &GitRepository, tip: Sha, database: &str) -> Result<Option<Option<String>>> {
    let Some(text) = git.file(tip, CONFIG)? else { return Ok((database == "main").then_some(None)) };
    let config: Config = toml::from_str(std::str::from_utf8(&text)?).context(CONFIG)?;
    if config.database.is_empty() {
        return Ok((database == "main").then_some(None));
    }
    Ok(config.database.into_iter().find(|one| one.name == database).map(|one| one.migrations))
}

fn directory_of_base(git: &GitRepository, base: Sha, declared: Option<&str>) -> Result<Option<String>> {
    directory(git, base, declared)
}

/// The declared directory if it is a chain's; else the only one that is.
fn directory(git: &GitRepository, commit: Sha, declared: Option<&str>) -> Result<Option<String>> {
    let mut chains = Vec::new();
    for path in paths(git, commit)? {
        chains.extend(path.strip_suffix(LOCK_FILE).map(str::to_owned));
    }
    Ok(match (declared, chains.as_slice()) {
        (Some(declared), chains) if chains.iter().any(|one| one == declared) => Some(declared.to_owned()),
        (_, [only]) => Some(only.clone()),
        (Some(declared), _) => Some(declared.to_owned()),
        (None, _) => None,
    })
}

/// The chain in a directory of a commit, in the order of Prisma's CLI: the root collation, then the bytes.
fn at(git: &GitRepository, commit: Sha, directory: &str) -> Result<Chain> {
    let collator = CollatorBorrowed::try_new(Default::default(), CollatorOptions::default())
        .context("the root collation")?;
    let mut chain = Chain::new();
    for path in paths(git, commit)? {
        let name = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
        let Some(name) = name.and_then(|rest| rest.strip_suffix(SCRIPT)) else { continue };
        if name.contains('/') {
            continue;
        }
        let bytes = git.file(commit, &path)?.with_context(|| format!("{path} is listed at {commit}"))?;
        // What is not UTF-8 is replaced before it is hashed.
        let text = String::from_utf8_lossy(&bytes);
        chain.push((name.to_owned(), hex::encode(Sha256::digest(text.as_bytes()))));
    }
    chain.sort_by(|(a, _), (b, _)| collator.compare(a, b).then_with(|| a.cmp(b)));
    Ok(chain)
}

fn paths(git: &GitRepository, commit: Sha) -> Result<Vec<String>> {
    let tree = git.tree_of(commit)?.with_context(|| format!("{commit} is not there"))?;
    let entries = git.tree(tree, true)?;
    Ok(entries.iter().filter_map(|entry| String::from_utf8(entry.path.clone()).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{Author, Change, Parent};

    #[test]
    fn the_base_comes_first_and_the_rest_in_prisma_s_order() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let git = GitRepository::init(dir.path(), "main")?;
        let script = |name: &str, sql: &str| Change::write(format!("db/m/{name}/migration.sql"), sql);
        let base =
            [Change::write("db/m/migration_lock.toml", "provider = \"postgresql\"\n"), script("5_x", "a")];
        let ann = Author::named("ann");
        let first = git.commit("main", Parent::None, "one", &ann, &base)?;
        let own = [script("10_a", "b"), script("1_z", "c"), Change::write("db/m/README.md", "")];
        let head = git.commit("topic", Parent::Commit(first), "two", &ann, &own)?;
        let chain = wanted(&git, head, "main", "main")?.context("a chain")?;
        let names: Vec<&str> = chain.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["5_x", "1_z", "10_a"]);
        assert_eq!(chain[0].1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
        assert_eq!(wanted(&git, head, "main", "reports")?, None);
        Ok(())
    }
}
