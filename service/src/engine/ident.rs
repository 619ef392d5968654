//! Names and texts on their way into SQL. Nothing reaches a statement but through these.

use std::fmt;

use crate::domain::names::IDENTIFIER_LIMIT;

/// A name that PostgreSQL can hold whole; shown quoted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ident(String);

/// A name that PostgreSQL would cut or refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for PostgreSQL: one has 1 to {IDENTIFIER_LIMIT} bytes and no zero byte")]
pub struct InvalidIdent(String);

impl Ident {
    pub fn new(name: &str) -> Result<Self, InvalidIdent> {
        let fits = (1..=IDENTIFIER_LIMIT).contains(&name.len()) && !name.contains('\0');
        if fits { Ok(Self(name.to_owned())) } else { Err(InvalidIdent(name.chars().take(100).collect())) }
    }

    /// The name itself, as the catalogue has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A text; shown as a literal that reads the same whatever `standard_conforming_strings` says.
#[derive(Debug, Clone, Copy)]
pub struct Literal<'t>(pub &'t str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.0.replace('\'', "''");
        if quoted.contains('\\') {
            write!(f, " E'{}'", quoted.replace('\\', "\\\\"))
        } else {
            write!(f, "'{quoted}'")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_never_cut() {
        assert_eq!(Ident::new("we\"ird").unwrap().to_string(), "\"we\"\"ird\"");
        assert!(Ident::new("").is_err());
        assert!(Ident::new("a\0b").is_err());
        assert!(Ident::new(&"é".repeat(31)).is_ok());
        assert!(Ident::new(&"é".repeat(32)).is_err());
    }

    #[test]
    fn texts_cannot_leave_their_quotes() {
        assert_eq!(Literal("it's").to_string(), "'it''s'");
        assert_eq!(Literal("\\'; drop").to_string(), " E'\\\\''; drop'");
    }
}
