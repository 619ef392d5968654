//! Who is asking, and what they may see and do.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::Value;

use super::answer::ApiError;
use super::model::{Level, Permissions};
use super::state::{State, TOKEN_OWNER, bot_login};

/// The public half of an App's key, which its JWTs are checked with.
pub(crate) struct Key(DecodingKey);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The public half of a private key in PEM, PKCS#1 or PKCS#8.
    pub(crate) fn of(private_key_pem: &str) -> Result<Self> {
        let private = rsa::RsaPrivateKey::from_pkcs1_pem(private_key_pem)
            .or_else(|_| rsa::RsaPrivateKey::from_pkcs8_pem(private_key_pem))
            .context("read the App's private key: it must be an RSA key in PEM")?;
        let part = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        Ok(Self(DecodingKey::from_rsa_components(&part(private.n()), &part(private.e()))?))
    }
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Anonymous,
    /// The App itself, by its JWT.
    App,
    Installation {
        id: u64,
        permissions: Permissions,
        repositories: Option<BTreeSet<u64>>,
    },
    /// A person, by a personal token.
    Person(String),
}

impl Caller {
    /// The login that what the caller writes is signed with.
    pub(crate) fn login(&self) -> String {
        match self {
            Self::Person(login) => login.clone(),
            Self::Anonymous | Self::App | Self::Installation { .. } => bot_login(),
        }
    }

    pub(crate) fn is_app(&self) -> bool {
        matches!(self, Self::App | Self::Installation { .. })
    }

    /// 401 unless the request carries the App's JWT.
    pub(crate) fn require_app(&self) -> Result<(), ApiError> {
        match self {
            Self::App => Ok(()),
            _ => Err(ApiError::new(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded")),
        }
    }
}

impl State {
    /// Who sent a request with these headers; wrong or expired credentials are an error, missing ones are not.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Caller::Anonymous) };
        let value = value.to_str().map_err(|_| ApiError::bad_credentials())?;
        let (scheme, credentials) = value.split_once(' ').ok_or_else(ApiError::bad_credentials)?;
        if !["bearer", "token"].contains(&scheme.to_lowercase().as_str()) {
            return Err(ApiError::bad_credentials());
        }
        let credentials = credentials.trim();
        if self.personal_token.as_deref() == Some(credentials) {
            return Ok(Caller::Person(TOKEN_OWNER.to_owned()));
        }
        if credentials.split('.').count() == 3 {
            return self.check_jwt(credentials).map(|()| Caller::App);
        }
        let token = self.tokens.get(credentials).filter(|token| token.expires_at > Utc::now());
        let token = token.filter(|token| self.installations.contains_key(&token.installation));
        let token = token.ok_or_else(ApiError::bad_credentials)?;
        Ok(Caller::Installation {
            id: token.installation,
            permissions: token.permissions.clone(),
            repositories: token.repositories.clone(),
        })
    }

    fn check_jwt(&self, jwt: &str) -> Result<(), ApiError> {
        let refuse = |message: &str| ApiError::new(StatusCode::UNAUTHORIZED, message);
        let app = self.app.as_ref().ok_or_else(|| refuse("Integration not found"))?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp"]);
        let claims = jsonwebtoken::decode::<Value>(jwt, &app.key.0, &validation)
            .map_err(|_| refuse("A JSON web token could not be decoded"))?
            .claims;
        let issuer = match &claims["iss"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let now = Utc::now().timestamp();
        if issuer != app.id.to_string() {
            return Err(refuse("'Issuer' claim ('iss') must be the App's ID"));
        }
        if claims["iat"].as_i64().is_none_or(|issued| issued > now) {
            return Err(refuse(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        if claims["exp"].as_i64().is_none_or(|expires| expires > now + 600) {
            return Err(refuse("'Expiration time' claim ('exp') is too far in the future"));
        }
        Ok(())
    }

    /// The repository, if the caller may do this with it: 404 for what it may not see, 403 for what it may not do.
    pub(crate) fn enter(
        &self,
        caller: &Caller,
        (owner, name): (&str, &str),
        permission: &str,
        level: Level,
    ) -> Result<u64, ApiError> {
        let id = self.find_id(owner, name).ok_or_else(ApiError::not_found)?;
        let public = !self.repository(id).private;
        match caller {
            Caller::Person(login) => {
                // A machine's token belongs to somebody with write access everywhere, unless a test says otherwise.
                let role = self.repository(id).collaborators.get(login);
                let writes = role.is_none_or(|role| *role >= super::model::Role::Write);
                if writes || level == Level::Read { Ok(id) } else { Err(forbidden_to_person()) }
            }
            Caller::Installation { permissions, repositories, .. } => {
                let installed =
                    self.covers(caller, id) && repositories.as_ref().is_none_or(|ids| ids.contains(&id));
                let granted = permissions.get(permission).is_some_and(|granted| *granted >= level);
                match (installed, granted) {
                    (true, true) => Ok(id),
                    (false, _) if public && level == Level::Read => Ok(id),
                    (false, _) if !public => Err(ApiError::not_found()),
                    _ => Err(ApiError::not_accessible()),
                }
            }
            Caller::App => {
                Err(ApiError::new(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded"))
            }
            Caller::Anonymous if public && level == Level::Read => Ok(id),
            Caller::Anonymous if public => {
                Err(ApiError::new(StatusCode::UNAUTHORIZED, "Requires authentication"))
            }
            Caller::Anonymous => Err(ApiError::not_found()),
        }
    }

    fn covers(&self, caller: &Caller, repository: u64) -> bool {
        let Caller::Installation { id, .. } = caller else { return false };
        self.installation_of(repository).is_some_and(|installation| installation.id == *id)
    }
}

fn forbidden_to_person() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "Must have push access to the repository.")
}
