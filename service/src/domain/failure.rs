//! What is said of SQL that failed: enough to mend it without looking anywhere else.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A migration or a seed file that did not apply, by the fault of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    pub kind: FailureKind,
    /// The migration's name; for a seed, or a chain that cannot be read, the file or directory.
    pub migration: String,
    /// Path from the repository's root.
    pub file: String,
    /// Counted from 1; absent where the server named no statement.
    pub line: Option<u32>,
    /// In characters, counted from 1.
    pub column: Option<u32>,
    /// The statement that failed, cut to 2,000 characters.
    pub statement: Option<String>,
    /// Five characters, PostgreSQL's appendix A; absent where the file never reached the server.
    pub sqlstate: Option<String>,
    pub message: String,
    pub detail: Option<String>,
    /// The server's hint, or Offshoot's own where the server has none.
    pub hint: Option<String>,
    /// PostgreSQL's `CONTEXT`: the function or COPY line in which it happened.
    pub context: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The SQL of a migration was refused.
    Migration,
    /// The SQL or CSV of a seed was refused.
    Seed,
    /// The chain itself cannot be read: no `migration.sql`, another provider, bytes that are not UTF-8.
    Chain,
    /// `.offshoot.toml` is wrong.
    Configuration,
    /// The SQL was accepted, but the database does not hold the chain afterwards, or outgrew its limits.
    Verification,
}

impl Failure {
    /// A failure of a whole file, before any of it reached the server.
    pub fn of_file(
        kind: FailureKind,
        migration: impl Into<String>,
        file: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            migration: migration.into(),
            file: file.into(),
            line: None,
            column: None,
            statement: None,
            sqlstate: None,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
        }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn at(mut self, line: u32, column: u32) -> Self {
        (self.line, self.column) = (Some(line), Some(column));
        self
    }
}

/// The longest statement that a failure carries, in characters.
pub const STATEMENT_LIMIT: usize = 2_000;

/// A text cut to a number of characters, with an ellipsis in place of what is gone.
pub fn excerpt(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}
