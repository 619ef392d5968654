//! Running seeds as the branch's own role: a file of SQL is one transaction, a CSV is one COPY.

use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::time::Instant;

use super::Engine;
use super::error::EngineError;
use super::failure::{ReplayError, Script};
use super::ident::Ident;
use super::instance::Access;
use super::session::Session;
use crate::domain::failure::{Failure, FailureKind};
use crate::domain::seed::{SeedFile, SeedFormat, format_of};
use crate::postgres::Watched;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const CHUNK: usize = 64 * 1024;

impl Engine {
    /// Runs seed files in the order given, each in a session of its own, so that none leaves settings to the next. Those before a
    /// failure stay.
    pub async fn seed(&self, access: &Access, files: &[SeedFile]) -> Result<(), ReplayError> {
        let deadline = Instant::now() + self.limits().job_timeout;
        for file in files {
            let session = self.session(access, deadline).await?;
            let text = String::from_utf8_lossy(&file.bytes);
            let script = Script { kind: FailureKind::Seed, name: &file.path, path: &file.path, text: &text };
            match format_of(&file.path) {
                Some(SeedFormat::Sql) => session.run_in_transaction(&script).await?,
                Some(SeedFormat::Csv { schema, table }) => {
                    session.copy(&script, schema.as_deref(), &table, &file.bytes).await?;
                }
                None => {
                    let failure = script.failure("a seed is a .sql or a .csv file");
                    return Err(failure.into());
                }
            }
        }
        if files.is_empty() { Ok(()) } else { Ok(self.restore_login(access).await?) }
    }
}

impl Engine {
    /// Marks the rows that seeds wrote as seen by everybody, and counts them for the planner: a clone whose first readers had to do that would
    /// write every page anew, and share none of them. As the branch's own role, because an index's expressions are a pull request's SQL.
    pub async fn settle_rows(&self, access: &Access) -> Result<(), EngineError> {
        let Watched { client, .. } = self.connect_as(access, "-c statement_timeout=0").await?;
        let doing = format!("vacuum {:?}", access.database);
        let vacuumed =
            tokio::time::timeout(self.limits().job_timeout, client.batch_execute("VACUUM (FREEZE, ANALYZE)"));
        match vacuumed.await {
            Ok(Ok(())) => Ok(()),
            // What is not vacuumed is only slower.
            Ok(Err(error)) if error.as_db_error().is_some() && !error.is_closed() => {
                tracing::warn!(
                    database = access.database,
                    code = error.code().map(|code| code.code()),
                    "seeded rows were not vacuumed"
                );
                Ok(())
            }
            Ok(Err(error)) => Err(EngineError::refused(doing)(error)),
            Err(_) => Err(EngineError::TimedOut { doing }),
        }
    }
}

impl Session<'_> {
    /// Around the file and not in it, so that the server's positions stay the file's. One that says COMMIT itself is left to it.
    async fn run_in_transaction(&self, script: &Script<'_>) -> Result<(), ReplayError> {
        for (text, within) in [("BEGIN", false), (script.text, true), ("COMMIT", false)] {
            self.run(&Script { text, ..*script }).await.map_err(|error| match error {
                // A constraint that was deferred to the end belongs to no statement.
                ReplayError::Author { mut failure, applied } if !within => {
                    (failure.line, failure.column, failure.statement) = (None, None, None);
                    ReplayError::Author { failure, applied }
                }
                other => other,
            })?;
        }
        Ok(())
    }

    async fn copy(
        &self,
        script: &Script<'_>,
        schema: Option<&str>,
        table: &str,
        bytes: &Bytes,
    ) -> Result<(), ReplayError> {
        let bytes =
            bytes.strip_prefix(BYTE_ORDER_MARK).map_or_else(|| bytes.clone(), |rest| bytes.slice_ref(rest));
        let statement = copy_statement(script, schema, table, &bytes)?;
        let error = match self.bounded(self.send_rows(&statement, bytes)).await? {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => error,
            None => return Err(self.overrun(&Script { text: &statement, ..*script }, 0).into()),
        };
        if let Some(lost) = self.lost(&error, script.path).await {
            return Err(lost.into());
        }
        let failure = error.as_db_error().map(|refused| {
            let mut failure = Script { text: "", ..*script }.refused(0, refused);
            failure.line = failure.context.as_deref().and_then(line_of);
            failure.column = failure.line.map(|_| 1);
            failure.statement = Some(statement);
            failure
        });
        Err(failure.unwrap_or_else(|| script.failure("the server did not take the rows")).into())
    }

    async fn send_rows(&self, statement: &str, mut bytes: Bytes) -> Result<(), tokio_postgres::Error> {
        let mut rows = pin!(self.client.copy_in(statement).await?);
        while !bytes.is_empty() {
            rows.send(bytes.split_to(bytes.len().min(CHUNK))).await?;
        }
        rows.finish().await.map(drop)
    }
}

/// The header names the columns; its names are taken as they are written.
fn copy_statement(
    script: &Script<'_>,
    schema: Option<&str>,
    table: &str,
    bytes: &[u8],
) -> Result<String, Box<Failure>> {
    let first_line = |message: String| Box::new(script.failure(message).at(1, 1));
    let ident = |name: &str| Ident::new(name).map_err(|error| first_line(error.to_string()));
    let mut reader = csv::Reader::from_reader(bytes);
    let header =
        reader.headers().map_err(|error| first_line(format!("the header line cannot be read: {error}")))?;
    let columns: Vec<String> = header
        .iter()
        .map(|name| ident(name.trim()).map(|name| name.to_string()))
        .collect::<Result<_, _>>()?;
    if columns.is_empty() {
        let hint = "The first line of a CSV seed names the columns: id,name,created_at";
        return Err(first_line("the file has no header line".to_owned()).with_hint(hint).into());
    }
    let table = ident(table)?;
    let table = match schema {
        Some(schema) => format!("{}.{table}", ident(schema)?),
        None => table.to_string(),
    };
    let columns = columns.join(", ");
    Ok(format!("COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')"))
}

/// `COPY users, line 3, column age: "x"` is line 3.
fn line_of(context: &str) -> Option<u32> {
    let rest = context.split(", line ").nth(1)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_makes_the_statement() {
        let script = Script { kind: FailureKind::Seed, name: "s", path: "s", text: "" };
        let statement = |csv: &str| copy_statement(&script, Some("auth"), "User", csv.as_bytes());
        assert_eq!(
            statement("id,\"full, name\",\"a\"\"b\"\n1,x,y\n").unwrap(),
            "COPY \"auth\".\"User\" (\"id\", \"full, name\", \"a\"\"b\") FROM STDIN WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')"
        );
        assert!(statement("").unwrap_err().message.contains("no header"));
        assert!(statement("id,,x\n").is_err());
    }

    #[test]
    fn the_context_names_the_line() {
        assert_eq!(line_of("COPY users, line 3, column age: \"x\""), Some(3));
        assert_eq!(line_of("PL/pgSQL function f() line 3 at RAISE"), None);
    }
}
