//! Everything that is kept encrypted: which columns these are, whether the key opens them, and their re-encryption under a new key.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, Query, get, query};
use crate::secret::Vault;

/// A column of sealed values.
struct Sealed {
    /// `TABLE.COLUMN`, for people.
    name: &'static str,
    /// The first and the last value.
    sample: Query,
    /// A batch of what is not sealed under the header $1, after the row $2.
    stale: Query,
    /// Replaces one value by another, unless somebody else did.
    replace: Query,
    /// How many values begin with the header $1, and how many there are.
    count: Query,
}

/// `sealed!("table", "primary key", "column")`
macro_rules! sealed {
    ($table:literal, $key:literal, $column:literal) => {
        Sealed {
            name: concat!($table, ".", $column),
            sample: query(
                "read stored credentials",
                concat!(
                    "(select ",
                    $key,
                    "::text as id, ",
                    $column,
                    " as sealed from ",
                    $table,
                    " where ",
                    $column,
                    " is not null order by ",
                    $key,
                    " limit 1) union all (select ",
                    $key,
                    "::text, ",
                    $column,
                    " from ",
                    $table,
                    " where ",
                    $column,
                    " is not null order by ",
                    $key,
                    " desc limit 1)"
                ),
            ),
            stale: query(
                "read credentials under an earlier key",
                concat!(
                    "select ",
                    $key,
                    "::text as id, ",
                    $column,
                    " as sealed from ",
                    $table,
                    " where ",
                    $column,
                    " is not null and substring(",
                    $column,
                    " for length($1::bytea)) <> $1::bytea and ",
                    $key,
                    "::text > $2 order by ",
                    $key,
                    "::text limit 200"
                ),
            ),
            replace: query(
                "store a credential under the current key",
                concat!(
                    "update ",
                    $table,
                    " set ",
                    $column,
                    " = $3 where ",
                    $key,
                    "::text = $1 and ",
                    $column,
                    " = $2"
                ),
            ),
            count: query(
                "count the credentials by their key",
                concat!(
                    "select count(*) filter (where substring(",
                    $column,
                    " for length($1::bytea)) = $1::bytea) as current, ",
                    "count(*) as total from ",
                    $table,
                    " where ",
                    $column,
                    " is not null"
                ),
            ),
        }
    };
}

/// Whoever adds a column of encrypted values adds it here, and it is checked at the start and rotated with the others.
#[rustfmt::skip]
const SEALED: [Sealed; 6] = [
    sealed!("branches", "id", "password"),
    sealed!("branches", "id", "reader_password"),
    sealed!("forks", "id", "password"),
    sealed!("instances", "id", "password"),
    sealed!("instances", "id", "reader_password"),
    sealed!("sessions", "hash", "token"),
];

struct Value {
    id: String,
    sealed: Vec<u8>,
}

impl FromRow for Value {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { id: get(row, "id")?, sealed: get(row, "sealed")? })
    }
}

/// How far a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// `TABLE.COLUMN`
    pub column: &'static str,
    /// Values under the current key.
    pub current: i64,
    pub total: i64,
}

struct Counted {
    current: i64,
    total: i64,
}

impl FromRow for Counted {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { current: get(row, "current")?, total: get(row, "total")? })
    }
}

/// Whether the vault opens what the database keeps: with a wrong key, nothing that stands could be handed out.
pub async fn check_key(client: &impl GenericClient, vault: &Vault) -> Result<(), StoreError> {
    for column in &SEALED {
        for value in column.sample.all::<Value>(client, &[]).await? {
            vault.decrypt(&value.sealed)?;
        }
    }
    Ok(())
}

/// Seals everything anew that is not under the current key; says how many values. Each is replaced by a statement of its own, so it may be
/// cut off and begun again at any time, beside a service that works.
pub async fn rotate(client: &impl GenericClient, vault: &Vault) -> Result<u64, StoreError> {
    let mut replaced = 0;
    for column in &SEALED {
        let mut after = String::new();
        loop {
            let header = vault.current_header();
            let batch: Vec<Value> = column.stale.all(client, &[&header.as_slice(), &after]).await?;
            let Some(last) = batch.last() else { break };
            after.clone_from(&last.id);
            for Value { id, sealed } in &batch {
                let anew = vault.encrypt(&vault.decrypt(sealed)?);
                replaced += column.replace.execute(client, &[id, sealed, &anew]).await?;
            }
        }
    }
    Ok(replaced)
}

/// How many values of each column are under the current key.
pub async fn progress(client: &impl GenericClient, vault: &Vault) -> Result<Vec<Progress>, StoreError> {
    let mut found = Vec::new();
    for column in &SEALED {
        let header = vault.current_header();
        let Counted { current, total } = column.count.one(client, &[&header.as_slice()]).await?;
        found.push(Progress { column: column.name, current, total });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::branches::{self, credentials};
    use super::super::test_support::TestStore;
    use super::super::test_support::fixtures::{branch, stored_pull};
    use super::*;

    #[tokio::test]
    async fn credentials_move_to_a_new_key_and_can_be_moved_again() {
        let test = TestStore::new().await;
        let client = test.store.client().await.unwrap();
        let mut made = Vec::new();
        for number in 1..=3 {
            let pull = stored_pull(&client, "acme/shop", 7, number).await;
            made.push(branch(&test, &client, "acme/shop", pull).await.id);
        }
        let before = credentials(&client, test.store.vault(), made[0]).await.unwrap();

        let key = Vault::generate_key();
        let alone = Vault::new(&key).unwrap();
        assert!(matches!(check_key(&client, &alone).await, Err(StoreError::Vault(_))));
        assert!(matches!(rotate(&client, &alone).await, Err(StoreError::Vault(_))), "nothing opens it");

        let rotating = test.rotating(&key);
        check_key(&client, &rotating).await.unwrap();
        assert_eq!(rotate(&client, &rotating).await.unwrap(), 6);
        assert_eq!(rotate(&client, &rotating).await.unwrap(), 0, "a second time does nothing");
        check_key(&client, &alone).await.unwrap();
        assert_eq!(branches::credentials(&client, &alone, made[0]).await.unwrap(), before);
        for column in progress(&client, &alone).await.unwrap() {
            let rows = if column.column.starts_with("branches.") { 3 } else { 0 };
            assert_eq!((column.current, column.total), (rows, rows), "{}", column.column);
        }
    }

    /// A rotation that was cut off leaves both kinds; both are read, and the rest is moved by the next.
    #[tokio::test]
    async fn a_rotation_that_was_cut_off_goes_on() {
        let test = TestStore::new().await;
        let client = test.store.client().await.unwrap();
        let pull = stored_pull(&client, "acme/shop", 7, 1).await;
        let made = branch(&test, &client, "acme/shop", pull).await;
        let before = credentials(&client, test.store.vault(), made.id).await.unwrap();
        let rotating = test.rotating(&Vault::generate_key());
        let anew = rotating.encrypt(&before.password);
        client.execute("update branches set password = $1", &[&anew]).await.unwrap();

        assert_eq!(credentials(&client, &rotating, made.id).await.unwrap(), before);
        assert_eq!(rotate(&client, &rotating).await.unwrap(), 1);
        assert_eq!(credentials(&client, &rotating, made.id).await.unwrap(), before);
    }

    /// Of a column that is not in the list, the old key would be thrown away while it is still needed.
    #[tokio::test]
    async fn every_sealed_column_is_listed() {
        let test = TestStore::new().await;
        let client = test.store.client().await.unwrap();
        let rows = client
            .query(
                "select table_name || '.' || column_name as name from information_schema.columns
                 where table_schema = 'public' and data_type = 'bytea'
                     and (column_name like '%password%' or column_name = 'token')
                 order by 1",
                &[],
            )
            .await
            .unwrap();
        let stored: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
        assert_eq!(stored, SEALED.map(|column| column.name));
    }
}
