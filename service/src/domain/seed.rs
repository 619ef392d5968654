//! Seeds: which files they are, in which order, and when they run.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::chain::Checksum;
use super::content::Content;
use super::ids::Oid;
use super::tree::{EntryKind, Tree, split};

/// When a branch runs its seed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeedOn {
    /// When a branch is made or rebuilt, and on a push: the files whose content was not run before.
    #[default]
    Change,
    /// Every file on every push.
    Push,
    /// Only when a branch is made or rebuilt: the files whose content its template does not hold.
    Create,
    Never,
}

/// A seed file with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedFile {
    pub path: String,
    pub checksum: Checksum,
    pub oid: Oid,
    pub bytes: bytes::Bytes,
}

/// A seed file that was run, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeededFile {
    pub path: String,
    #[schema(value_type = String)]
    pub checksum: Checksum,
}

impl SeedFile {
    pub fn new(path: impl Into<String>, oid: Oid, content: &Content) -> Self {
        let (checksum, bytes) = (content.checksum().clone(), content.bytes().clone());
        Self { path: path.into(), checksum, oid, bytes }
    }

    pub fn seeded(&self) -> SeededFile {
        SeededFile { path: self.path.clone(), checksum: self.checksum.clone() }
    }
}

/// Addresses a seed by its files' paths and contents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeedDigest(String);

impl SeedDigest {
    /// None for no files: an empty seed is no seed.
    pub fn of(files: &[SeedFile]) -> Option<Self> {
        let files: Vec<SeededFile> = files.iter().map(SeedFile::seeded).collect();
        Self::of_seeded(&files)
    }

    /// The same of files that were run.
    pub fn of_seeded(files: &[SeededFile]) -> Option<Self> {
        if files.is_empty() {
            return None;
        }
        let list: Vec<_> = files.iter().map(|file| (&file.path, &file.checksum)).collect();
        let text = serde_json::json!(list).to_string();
        Some(Self(hex::encode(Sha256::digest(text))))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A pattern in `seed = […]` that is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a path pattern: {why}")]
pub struct InvalidPattern {
    pattern: String,
    why: String,
}

/// The seed files that the patterns name, by path. `*` does not cross a `/`; `**` does.
pub fn select<'t>(patterns: &[String], tree: &'t Tree) -> Result<Vec<(&'t str, &'t Oid)>, InvalidPattern> {
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let set = glob_set(patterns)?;
    let matching = tree.entries().iter().filter(|entry| {
        entry.kind == EntryKind::File && format_of(&entry.path).is_some() && set.is_match(&entry.path)
    });
    Ok(matching.map(|entry| (entry.path.as_str(), &entry.oid)).collect())
}

/// Checks patterns without a tree, for the configuration's own errors.
pub fn glob_set(patterns: &[String]) -> Result<GlobSet, InvalidPattern> {
    let invalid = |pattern: &str, error: globset::Error| InvalidPattern {
        pattern: pattern.to_owned(),
        why: error.kind().to_string(),
    };
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_start_matches("./");
        let glob = GlobBuilder::new(trimmed).literal_separator(true).build();
        builder.add(glob.map_err(|error| invalid(pattern, error))?);
    }
    builder.build().map_err(|error| invalid(&patterns.join(", "), error))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeedFormat {
    Sql,
    /// A header line names the columns; the file's name without a leading number names the table.
    Csv {
        schema: Option<String>,
        table: String,
    },
}

/// How a seed file is run, by its name: `users.sql`, `10_users.csv` (table `users`), `auth.users.csv` (table `users` of schema `auth`).
pub fn format_of(path: &str) -> Option<SeedFormat> {
    let (stem, extension) = split(path).1.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "sql" => Some(SeedFormat::Sql),
        "csv" => {
            let unnumbered = stem.trim_start_matches(|c: char| c.is_ascii_digit());
            let name = match unnumbered.strip_prefix(['_', '-']) {
                Some(rest) if unnumbered.len() < stem.len() && !rest.is_empty() => rest,
                _ => stem,
            };
            let (schema, table) = match name.split_once('.') {
                Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
                None => (None, name.to_owned()),
            };
            Some(SeedFormat::Csv { schema, table })
        }
        _ => None,
    }
}

/// The files to run now, given what the database was seeded with before.
pub fn pending<'f>(
    policy: SeedOn,
    created: bool,
    files: &'f [SeedFile],
    seeded: &[SeededFile],
) -> Vec<&'f SeedFile> {
    let is_new = |file: &&SeedFile| !seeded.contains(&file.seeded());
    match policy {
        SeedOn::Never => Vec::new(),
        SeedOn::Push => files.iter().collect(),
        SeedOn::Create if !created => Vec::new(),
        SeedOn::Create | SeedOn::Change => files.iter().filter(is_new).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{entry, tree};
    use super::*;

    fn file(path: &str, content: &str) -> SeedFile {
        let content = Content::new(bytes::Bytes::copy_from_slice(content.as_bytes()));
        SeedFile::new(path, entry(path, EntryKind::File).oid, &content)
    }

    #[test]
    fn patterns_select_in_name_order_and_stay_in_their_directory() {
        let tree = tree(&["seed/b.sql", "seed/a.csv", "seed/deep/c.sql", "seed/readme.md", "other/d.sql"]);
        let paths = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&p| p.to_owned()).collect();
            select(&patterns, &tree).unwrap().iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(paths(&["seed/*"]), ["seed/a.csv", "seed/b.sql"]);
        assert_eq!(paths(&["./seed/**/*.sql"]), ["seed/b.sql", "seed/deep/c.sql"]);
        assert!(select(&["seed/[".to_owned()], &tree).is_err());
    }

    #[test]
    fn a_csv_names_its_table() {
        let csv = |schema: Option<&str>, table: &str| {
            Some(SeedFormat::Csv { schema: schema.map(str::to_owned), table: table.to_owned() })
        };
        assert_eq!(format_of("s/users.csv"), csv(None, "users"));
        assert_eq!(format_of("s/010_User.csv"), csv(None, "User"));
        assert_eq!(format_of("s/2-auth.users.CSV"), csv(Some("auth"), "users"));
        assert_eq!(format_of("s/2024.csv"), csv(None, "2024"));
        assert_eq!(format_of("s/seed.ts"), None);
    }

    #[test]
    fn policy_decides_what_runs() {
        let files = [file("a.sql", "1"), file("b.sql", "2")];
        let seeded = [files[0].seeded(), file("b.sql", "old").seeded()];
        let paths = |policy, created| {
            pending(policy, created, &files, &seeded).iter().map(|f| f.path.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(paths(SeedOn::Change, false), ["b.sql"]);
        assert_eq!(paths(SeedOn::Create, true), ["b.sql"]);
        assert!(paths(SeedOn::Create, false).is_empty());
        assert_eq!(paths(SeedOn::Push, false), ["a.sql", "b.sql"]);
        assert!(paths(SeedOn::Never, true).is_empty());
    }
}
