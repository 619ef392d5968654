//! Runs prepared statements and reads rows by name, with errors that say what was being done.

use std::fmt::Display;
use std::str::FromStr;

use deadpool_postgres::GenericClient;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json, ToSql};

use super::StoreError;
use crate::domain::ids::RepositoryName;

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A value that one row stands for.
pub(super) trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self, StoreError>;
}

/// One statement, with what it is for as an infinitive: `"claim a job"`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub doing: &'static str,
    pub sql: &'static str,
}

impl Query {
    pub async fn all<T: FromRow>(
        self,
        client: &impl GenericClient,
        parameters: Parameters<'_>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows(client, parameters).await?.iter().map(T::from_row).collect()
    }

    pub async fn optional<T: FromRow>(
        self,
        client: &impl GenericClient,
        parameters: Parameters<'_>,
    ) -> Result<Option<T>, StoreError> {
        self.rows(client, parameters).await?.first().map(T::from_row).transpose()
    }

    /// The first row, of a statement that always has one.
    pub async fn one<T: FromRow>(
        self,
        client: &impl GenericClient,
        parameters: Parameters<'_>,
    ) -> Result<T, StoreError> {
        let statement = client.prepare_cached(self.sql).await.map_err(|source| self.failed(source))?;
        let row = client.query_one(&statement, parameters).await.map_err(|source| self.failed(source))?;
        T::from_row(&row)
    }

    /// How many rows it touched.
    pub async fn execute(
        self,
        client: &impl GenericClient,
        parameters: Parameters<'_>,
    ) -> Result<u64, StoreError> {
        let statement = client.prepare_cached(self.sql).await.map_err(|source| self.failed(source))?;
        client.execute(&statement, parameters).await.map_err(|source| self.failed(source))
    }

    async fn rows(
        self,
        client: &impl GenericClient,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = client.prepare_cached(self.sql).await.map_err(|source| self.failed(source))?;
        client.query(&statement, parameters).await.map_err(|source| self.failed(source))
    }

    fn failed(self, source: tokio_postgres::Error) -> StoreError {
        StoreError::Database { doing: self.doing, source }
    }
}

pub(super) const fn query(doing: &'static str, sql: &'static str) -> Query {
    Query { doing, sql }
}

pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, column: &'static str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| unreadable(column, error))
}

/// The `owner/name` that the columns of those names hold.
pub(super) fn repository_name(row: &Row) -> Result<RepositoryName, StoreError> {
    RepositoryName::new(get(row, "owner")?, get(row, "name")?)
        .map_err(|error| unreadable("owner, name", error))
}

/// A text that stands for a value of its own type.
pub(super) fn parsed<T: FromStr<Err: Display>>(row: &Row, column: &'static str) -> Result<T, StoreError> {
    get::<&str>(row, column)?.parse().map_err(|error| unreadable(column, error))
}

pub(super) fn parsed_optional<T: FromStr<Err: Display>>(
    row: &Row,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let text = get::<Option<&str>>(row, column)?;
    text.map(str::parse).transpose().map_err(|error| unreadable(column, error))
}

/// What a `jsonb` column holds.
pub(super) fn json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T, StoreError> {
    let Json(value) = get(row, column)?;
    Ok(value)
}

pub(super) fn json_optional<T: DeserializeOwned>(
    row: &Row,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    Ok(get::<Option<Json<T>>>(row, column)?.map(|Json(value)| value))
}

pub(super) fn unreadable(column: &'static str, why: impl Display) -> StoreError {
    StoreError::Unreadable { column, why: why.to_string() }
}
