//! `.offshoot.toml`: what a repository says of its databases and branches. Read from the base, never from the pull request.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::failure::{Failure, FailureKind};
use super::ids::DatabaseLabel;
use super::seed::{self, SeedOn};
use super::tree::CONFIG_PATH;

/// A repository's configuration; the default where it has no file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Empty: the one chain that is found is the database `main`.
    #[serde(default, rename = "database")]
    pub databases: Vec<DatabaseConfig>,
    #[serde(default)]
    pub branch: BranchConfig,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    #[serde(default = "DatabaseLabel::main")]
    pub name: DatabaseLabel,
    #[serde(default)]
    pub tool: Tool,
    /// Directory of the chain; detected where it is the only one.
    #[serde(default, deserialize_with = "directory")]
    pub migrations: Option<String>,
    /// Path patterns of the seed files.
    #[serde(default)]
    pub seed: Vec<String>,
    #[serde(default)]
    pub seed_on: SeedOn,
    /// Created before the chain, from the operator's allow-list.
    #[serde(default)]
    pub extensions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    #[default]
    Prisma,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BranchConfig {
    pub on_divergence: OnDivergence,
    pub forks: Forks,
    /// How long a branch lives after its last push.
    #[serde(deserialize_with = "duration")]
    pub ttl: Duration,
}

impl Default for BranchConfig {
    fn default() -> Self {
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        Self { on_divergence: OnDivergence::default(), forks: Forks::default(), ttl: week }
    }
}

/// What to do with a branch whose history is no longer the pull request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDivergence {
    /// Build it anew from the longest valid prefix; data written to it is gone.
    #[default]
    Rebuild,
    /// Leave it as it is and say so, until somebody resets it.
    Keep,
}

/// Whether pull requests from forks of the repository get a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forks {
    Never,
    /// Once a maintainer approved that head commit.
    #[default]
    Approve,
    Always,
}

impl Config {
    /// Reads the file's bytes; the failure names the line and the column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let failure =
            |message: String| Failure::of_file(FailureKind::Configuration, CONFIG_PATH, CONFIG_PATH, message);
        let text =
            std::str::from_utf8(bytes).map_err(|error| failure(format!("the file is not UTF-8: {error}")))?;
        let config: Self = toml::from_str(text).map_err(|error| {
            let failure = failure(error.message().to_owned());
            match error.span() {
                Some(span) => {
                    let (line, column) = line_and_column(text, span.start);
                    failure.at(line, column)
                }
                None => failure,
            }
        })?;
        config.check().map_err(failure)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        for (at, database) in self.databases.iter().enumerate() {
            if self.databases[..at].iter().any(|other| other.name == database.name) {
                return Err(format!(
                    "two databases are called `{}`; give each `[[database]]` its own `name`",
                    database.name
                ));
            }
            if self.databases.len() > 1 && database.migrations.is_none() {
                return Err(format!(
                    "database `{}` has no `migrations` directory, which is needed where there are several databases",
                    database.name
                ));
            }
            seed::glob_set(&database.seed).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Line and column, from 1, of a byte offset.
fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = humantime::parse_duration(&text);
    parsed.map_err(|error| {
        serde::de::Error::custom(format!("`{text}` is no duration ({error}); write `7d` or `12h`"))
    })
}

/// A directory inside the repository, without `./` before or `/` behind it.
fn directory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let path = text.trim_start_matches("./").trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
        let message = format!(
            "`{text}` is no directory inside the repository; write it from the root, as `prisma/migrations`"
        );
        return Err(serde::de::Error::custom(message));
    }
    Ok(Some(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_read() {
        let config = Config::parse(
            br#"
            [[database]]
            name = "main"
            tool = "prisma"
            migrations = "./packages/shared/prisma/migrations/"
            seed = ["prisma/seed/*.sql"]
            seed_on = "change"
            extensions = ["pgcrypto"]
            [branch]
            on_divergence = "keep"
            forks = "never"
            ttl = "12h"
            "#,
        )
        .unwrap();
        assert_eq!(config.databases[0].migrations.as_deref(), Some("packages/shared/prisma/migrations"));
        assert_eq!(config.databases[0].seed_on, SeedOn::Change);
        assert_eq!(config.branch.on_divergence, OnDivergence::Keep);
        assert_eq!(config.branch.forks, Forks::Never);
        assert_eq!(config.branch.ttl, Duration::from_secs(12 * 3600));
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::parse(b"").unwrap(), Config::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let cases: [(&str, &str, Option<u32>); 7] = [
            ("[branch]\nttl = \"soon\"", "`soon` is no duration", Some(2)),
            ("[branch]\nforkz = \"never\"", "unknown field `forkz`", Some(2)),
            ("[[database]]\nmigrations = \"../other\"", "no directory inside the repository", Some(2)),
            ("[[database]]\nname = \"Main DB\"", "is not a database's name", Some(2)),
            ("[[database]]\nseed = [\"a/[\"]", "is not a path pattern", None),
            (
                "[[database]]\nmigrations = \"a\"\n[[database]]\nmigrations = \"b\"",
                "two databases are called `main`",
                None,
            ),
            ("[[database]\n", "", Some(1)),
        ];
        for (text, expected, line) in cases {
            let failure = Config::parse(text.as_bytes()).unwrap_err();
            assert!(failure.message.contains(expected), "{text}: {}", failure.message);
            assert_eq!(failure.line, line, "{text}");
        }
        assert!(Config::parse(b"\xff").unwrap_err().message.contains("not UTF-8"));
    }
}
