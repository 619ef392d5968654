//! The passwords of a branch, as they are kept.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::super::StoreError;
use super::super::query::{FromRow, get, query};
use crate::domain::branch::BranchId;
use crate::secret::{Secret, Vault};

/// The two passwords of a branch, the same in every generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub password: Secret,
    pub reader_password: Secret,
}

struct Sealed {
    password: Option<Vec<u8>>,
    reader_password: Option<Vec<u8>>,
}

impl FromRow for Sealed {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { password: get(row, "password")?, reader_password: get(row, "reader_password")? })
    }
}

/// The passwords of a branch that is not deleted.
pub async fn credentials(
    client: &impl GenericClient,
    vault: &Vault,
    id: BranchId,
) -> Result<Credentials, StoreError> {
    let sealed: Option<Sealed> =
        query("read a branch's credentials", "select password, reader_password from branches where id = $1")
            .optional(client, &[&id])
            .await?;
    match sealed {
        Some(Sealed { password: Some(password), reader_password: Some(reader_password) }) => {
            Ok(Credentials {
                password: vault.decrypt(&password)?,
                reader_password: vault.decrypt(&reader_password)?,
            })
        }
        _ => Err(StoreError::Missing(format!("credentials of branch {id}"))),
    }
}
