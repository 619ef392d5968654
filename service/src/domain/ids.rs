//! The names and numbers that things are known by, each of a type of its own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A value that was meant to be an identifier and is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct InvalidId {
    value: String,
    expected: &'static str,
}

impl InvalidId {
    pub(super) fn new(value: &str, expected: &'static str) -> Self {
        invalid(value, expected)
    }
}

fn invalid(value: &str, expected: &'static str) -> InvalidId {
    InvalidId { value: value.chars().take(100).collect(), expected }
}

/// A repository's `owner/name`. GitHub compares both without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName {
    owner: String,
    name: String,
}

impl RepositoryName {
    /// Both parts as GitHub allows them: letters, digits, `-`, `_` and `.`, at most 100 characters each.
    pub fn new(owner: &str, name: &str) -> Result<Self, InvalidId> {
        let allowed = |part: &str| {
            (1..=100).contains(&part.len())
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if allowed(owner) && allowed(name) {
            Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
        } else {
            Err(invalid(&format!("{owner}/{name}"), "a repository's OWNER/NAME"))
        }
    }

    pub fn owner(&self) -> &str {
        &self.owner
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both are the same to GitHub.
    pub fn is(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (owner, name) = text.split_once('/').ok_or_else(|| invalid(text, "a repository's OWNER/NAME"))?;
        Self::new(owner, name)
    }
}

impl TryFrom<String> for RepositoryName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> Self {
        name.to_string()
    }
}

/// The 40 (SHA-1) or 64 (SHA-256) hexadecimal digits by which git knows a commit, tree or blob, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid(Arc<str>);

impl Oid {
    /// What git writes where there is no object.
    pub fn null() -> Self {
        Self("0".repeat(40).as_str().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, as people write them.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Oid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit());
        if hexadecimal && matches!(text.len(), 40 | 64) {
            let lower = text.bytes().any(|b| b.is_ascii_uppercase()).then(|| text.to_ascii_lowercase());
            Ok(Self(lower.as_deref().unwrap_or(text).into()))
        } else {
            Err(invalid(text, "a git object id of 40 or 64 hexadecimal digits"))
        }
    }
}

impl TryFrom<String> for Oid {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0.as_ref().to_owned()
    }
}

/// A pull request as GitHub knows it whatever its repository is called today: the repository's number and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PullId {
    /// GitHub's number of the repository, which a rename or a transfer leaves alone.
    pub repository: i64,
    pub number: i32,
}

impl fmt::Display for PullId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repository, self.number)
    }
}

impl FromStr for PullId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.split_once('#')
            .and_then(|(repository, number)| {
                Some(Self { repository: repository.parse().ok()?, number: number.parse().ok()? })
            })
            .ok_or_else(|| invalid(text, "a pull request's REPOSITORY_ID#NUMBER"))
    }
}

/// The label of one of a repository's databases: `main` unless configured. Lower-case letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseLabel(String);

impl DatabaseLabel {
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DatabaseLabel {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if (1..=40).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid(text, "a database's name of 1 to 40 lower-case letters, digits, - and _"))
        }
    }
}

impl TryFrom<String> for DatabaseLabel {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<DatabaseLabel> for String {
    fn from(label: DatabaseLabel) -> Self {
        label.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_are_checked() {
        assert_eq!("acme/shop.js".parse::<RepositoryName>().unwrap().to_string(), "acme/shop.js");
        for bad in ["acme", "acme/", "/shop", "acme/shop/x", "acme/..", "ac me/shop", "acme/sh\"op"] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pull_ids_survive_their_text() {
        let id = PullId { repository: 9_007_199_254, number: 42 };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("12#".parse::<PullId>().is_err());
    }

    #[test]
    fn object_ids_are_lower_case_hexadecimal() {
        let oid: Oid = "ABCDEF0123456789ABCDEF0123456789ABCDEF01".parse().unwrap();
        assert_eq!(oid.short(), "abcdef0");
        assert!("abc".parse::<Oid>().is_err());
    }
}
