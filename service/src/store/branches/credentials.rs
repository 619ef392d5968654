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

/// The same, encrypted; none of a branch that is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
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
    sealed.ok_or_else(|| missing(id))?.open(id, vault)
}

impl Sealed {
    /// Those of the branch with this number.
    pub(super) fn open(&self, id: BranchId, vault: &Vault) -> Result<Credentials, StoreError> {
        let (Some(password), Some(reader_password)) = (&self.password, &self.reader_password) else {
            return Err(missing(id));
        };
        Ok(Credentials {
            password: vault.decrypt(password)?,
            reader_password: vault.decrypt(reader_password)?,
        })
    }
}

fn missing(id: BranchId) -> StoreError {
    StoreError::Missing(format!("credentials of branch {id}"))
}
