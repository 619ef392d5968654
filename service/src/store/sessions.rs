//! Sessions of the dashboard, by the hashes of what their cookies hold.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use sha2::{Digest, Sha256};

use super::StoreError;
use super::query::{FromRow, get, query};
use crate::secret::{Secret, Vault};

/// What a cookie holds is random and long, so a plain hash does.
fn hash(session: &Secret) -> Vec<u8> {
    Sha256::digest(session.expose()).to_vec()
}

/// Begins a session of a token's bearer, and forgets those that are over. The secret is for the cookie.
pub async fn begin(
    client: &impl GenericClient,
    vault: &Vault,
    token: &Secret,
    lifetime: Duration,
) -> Result<Secret, StoreError> {
    let session = Secret::generate();
    query(
        "begin a session",
        "with over as (delete from sessions where expires_at < now())
         insert into sessions (hash, token, expires_at) values ($1, $2, now() + make_interval(secs => $3))",
    )
    .execute(client, &[&hash(&session), &vault.encrypt(token), &lifetime.as_secs_f64()])
    .await?;
    Ok(session)
}

struct Held(Vec<u8>);

impl FromRow for Held {
    fn from_row(row: &tokio_postgres::Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "token")?))
    }
}

/// The token of a session that is not over; none also where the key that encrypted it was replaced.
pub async fn find(
    client: &impl GenericClient,
    vault: &Vault,
    session: &Secret,
) -> Result<Option<Secret>, StoreError> {
    let held: Option<Held> =
        query("find a session", "select token from sessions where hash = $1 and expires_at > now()")
            .optional(client, &[&hash(session)])
            .await?;
    Ok(held.and_then(|Held(token)| vault.decrypt(&token).ok()))
}

/// Ends a session, if there is one.
pub async fn end(client: &impl GenericClient, session: &Secret) -> Result<(), StoreError> {
    query("end a session", "delete from sessions where hash = $1").execute(client, &[&hash(session)]).await?;
    Ok(())
}
