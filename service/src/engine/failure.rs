//! The server's errors about a pull request's SQL, told so that its author can mend it.

use tokio_postgres::error::{DbError, ErrorPosition};

use super::error::EngineError;
use super::hints;
use crate::domain::branch::AppliedMigration;
use crate::domain::failure::{Failure, FailureKind, STATEMENT_LIMIT, excerpt};
use crate::domain::sql::{failing_statement, line_and_column, needs_a_sound_transaction};

/// The longest message, detail, hint or context that is kept, in characters: a pull request's SQL can raise one of a gigabyte.
const SAID_LIMIT: usize = 8_000;

/// Why a replay, a seed or a read of a branch ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The author's fault.
    #[error("{}: {}", failure.file, failure.message)]
    Author {
        failure: Box<Failure>,
        /// What this run applied before it.
        applied: Vec<AppliedMigration>,
    },
    /// Ours, or the server's.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<Failure> for ReplayError {
    fn from(failure: Failure) -> Self {
        Box::new(failure).into()
    }
}

impl From<Box<Failure>> for ReplayError {
    fn from(failure: Box<Failure>) -> Self {
        Self::Author { failure, applied: Vec::new() }
    }
}

/// A file of SQL that is being run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script<'a> {
    pub(super) kind: FailureKind,
    /// The migration's name, or the seed's path.
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

impl Script<'_> {
    /// Whether it surely does nothing where its row was refused and left a failed transaction.
    pub(super) fn needs_rows(&self) -> bool {
        self.zero_byte().is_none() && needs_a_sound_transaction(self.text)
    }

    pub(super) fn failure(&self, message: impl Into<String>) -> Failure {
        Failure::of_file(self.kind, self.name, self.path, message)
    }

    /// What the server said after it had completed some of the statements.
    pub(super) fn refused(&self, completed: usize, error: &DbError) -> Failure {
        let position = match error.position() {
            Some(ErrorPosition::Original(position)) => Some(*position),
            Some(ErrorPosition::Internal { .. }) | None => None,
        };
        let said = |text: &str| excerpt(text, SAID_LIMIT);
        let mut failure = self.at_statement(&said(error.message()), completed, position);
        failure.sqlstate = Some(error.code().code().to_owned());
        failure.detail = error.detail().map(said);
        failure.context = error.where_().map(said);
        let own = hints::hint(error.code().code(), self.text, error.message());
        failure.hint = error.hint().or(own).map(said);
        failure
    }

    /// A failure of the statement after `completed` others, or of the one at a position.
    pub(super) fn at_statement(&self, message: &str, completed: usize, position: Option<u32>) -> Failure {
        let mut failure = self.failure(message);
        if let Some(statement) = failing_statement(self.text, completed, position) {
            failure = failure.at(statement.line, statement.column);
            failure.statement = Some(excerpt(&statement.text, STATEMENT_LIMIT));
        }
        failure
    }

    /// A text with a zero byte cannot be sent; the server's protocol ends texts with one.
    pub(super) fn zero_byte(&self) -> Option<Failure> {
        let (line, column) = line_and_column(self.text, self.text.find('\0')?);
        let mut failure = self.failure("invalid message format: the file holds a zero byte").at(line, column);
        failure.sqlstate = Some("08P01".to_owned());
        failure.hint = hints::hint("08P01", self.text, "").map(str::to_owned);
        Some(failure)
    }

    /// It ran, and the same session could not be used to write that down.
    pub(super) fn unrecorded(&self, error: &DbError) -> Failure {
        let message = format!("the migration ran, but could not be recorded as applied: {}", error.message());
        let mut failure = self.failure(message).with_hint(hints::recording_hint(error.code().code()));
        failure.sqlstate = Some(error.code().code().to_owned());
        failure
    }
}

/// The text that the bookkeeping table keeps of a failure, in the form of Prisma's own engine.
pub(super) fn log_text(failure: &Failure) -> String {
    let mut text = format!(
        "A migration failed to apply. New migrations cannot be applied before the error is recovered from. \
         Read more about how to resolve migration issues in a production database: \
         https://pris.ly/d/migrate-resolve\n\nMigration name: {}\n\nDatabase error code: {}\n\nDatabase error:\nERROR: {}\n",
        failure.migration,
        failure.sqlstate.as_deref().unwrap_or("(not available)"),
        failure.message
    );
    if let Some(detail) = &failure.detail {
        text += &format!("DETAIL: {detail}\n");
    }
    if let (Some(line), Some(column)) = (failure.line, failure.column) {
        text += &format!("\nPosition: line {line}, column {column}\n");
    }
    text.replace('\0', "")
}
