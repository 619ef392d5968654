//! Bearer tokens of the API, by their hashes.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use super::StoreError;
use super::query::{FromRow, get, parsed_optional, query};
use crate::domain::token::{Reach, Scope};
use crate::secret::Secret;

/// By this people and secret scanners know a token for one of Offshoot's.
const PREFIX: &str = "offs_";

/// What a [`Token`] is read from.
macro_rules! columns {
    () => {
        "id, name, repository, read_only, created_at, last_used_at, revoked_at"
    };
}

/// A token as it is listed; its text is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: i64,
    pub name: String,
    pub scope: Scope,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl FromRow for Token {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: get(row, "id")?,
            name: get(row, "name")?,
            scope: Scope::from_row(row)?,
            created_at: get(row, "created_at")?,
            last_used_at: get(row, "last_used_at")?,
            revoked_at: get(row, "revoked_at")?,
        })
    }
}

impl FromRow for Scope {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let reach = parsed_optional(row, "repository")?.map_or(Reach::All, Reach::Repository);
        Ok(Self { reach, read_only: get(row, "read_only")? })
    }
}

/// What a token is stored and compared as. A token is random and long, so a plain hash does.
fn hash(token: &Secret) -> Vec<u8> {
    Sha256::digest(token.expose()).to_vec()
}

/// Makes a token. The secret is the only copy of its text.
pub async fn create(
    client: &impl GenericClient,
    name: &str,
    scope: &Scope,
) -> Result<(Token, Secret), StoreError> {
    let secret = Secret::new(format!("{PREFIX}{}", Secret::generate().expose()));
    let repository = match &scope.reach {
        Reach::All => None,
        Reach::Repository(name) => Some(name.to_string()),
    };
    let token = query(
        "create a token",
        concat!(
            "insert into tokens (name, hash, repository, read_only) values ($1, $2, $3, $4)
         returning ",
            columns!()
        ),
    )
    .one(client, &[&name, &hash(&secret), &repository, &scope.read_only])
    .await?;
    Ok((token, secret))
}

/// A bearer's token that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    pub id: i64,
    pub name: String,
    pub scope: Scope,
}

impl FromRow for Bearer {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { id: get(row, "id")?, name: get(row, "name")?, scope: Scope::from_row(row)? })
    }
}

/// Whose a token is and what it opens; none for one that is unknown or revoked. Notes its use, at most once a minute.
pub async fn verify(client: &impl GenericClient, token: &Secret) -> Result<Option<Bearer>, StoreError> {
    query(
        "verify a token",
        "with presented as (
             select id, name, repository, read_only, last_used_at from tokens where hash = $1 and revoked_at is null
         ), noted as (
             update tokens set last_used_at = now() from presented
             where tokens.id = presented.id
                 and coalesce(presented.last_used_at < now() - interval '1 minute', true)
         )
         select id, name, repository, read_only from presented",
    )
    .optional(client, &[&hash(token)])
    .await
}

/// All tokens, revoked or not, the last made first.
pub async fn list(client: &impl GenericClient) -> Result<Vec<Token>, StoreError> {
    query("list the tokens", concat!("select ", columns!(), " from tokens order by id desc"))
        .all(client, &[])
        .await
}

/// Ends a token. False where there is none of that number that still works.
pub async fn revoke(client: &impl GenericClient, id: i64) -> Result<bool, StoreError> {
    let revoked =
        query("revoke a token", "update tokens set revoked_at = now() where id = $1 and revoked_at is null")
            .execute(client, &[&id])
            .await?;
    Ok(revoked > 0)
}
