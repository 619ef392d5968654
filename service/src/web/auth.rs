//! Who calls, and what their token opens.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use subtle::ConstantTimeEq;

use super::identity::{Client, RequestId};
use super::problem::Problem;
use super::{App, dashboard};
use crate::domain::audit::{Action, Actor, Entry, Via};
use crate::domain::ids::RepositoryName;
use crate::domain::token::Scope;
use crate::secret::Secret;
use crate::store::tokens;

/// The bearer of a valid token.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    scope: Scope,
    actor: Actor,
    via: Via,
    request_id: Option<String>,
}

impl Caller {
    /// That the caller does something, for the audit log.
    pub(super) fn does(&self, action: Action, subject: impl Into<String>) -> Entry {
        Entry::new(self.actor.clone(), action, subject).via(self.via).asked_by(self.request_id.clone())
    }

    /// A repository that the token does not open looks as if it were not there.
    pub(super) fn must_read(&self, repository: &RepositoryName) -> Result<(), Problem> {
        if self.scope.may_read(repository) {
            return Ok(());
        }
        Err(Problem::not_found(format!("{repository} is not known here, or not for this token.")))
    }

    pub(super) fn must_write(&self, repository: &RepositoryName) -> Result<(), Problem> {
        self.must_read(repository)?;
        if self.scope.may_write(repository) {
            return Ok(());
        }
        Err(Problem::forbidden(
            "It is read-only; an administrator makes another with `offshoot token create`.",
        ))
    }

    /// For what belongs to the whole service.
    pub(super) fn must_administer(&self) -> Result<(), Problem> {
        if self.scope.reaches_all() && !self.scope.read_only {
            return Ok(());
        }
        Err(Problem::forbidden(
            "It is not an administrator's: this needs one for all repositories that may write.",
        ))
    }

    /// For what speaks of every repository.
    pub(super) fn must_read_all(&self) -> Result<(), Problem> {
        if self.scope.reaches_all() {
            return Ok(());
        }
        Err(Problem::forbidden("It opens one repository, and this speaks of all."))
    }

    /// The one repository that the token opens, if it is not all.
    pub(super) fn only_repository(&self) -> Option<&RepositoryName> {
        match &self.scope.reach {
            crate::domain::token::Reach::All => None,
            crate::domain::token::Reach::Repository(name) => Some(name),
        }
    }
}

/// Whose a token is and what it opens; none for one that opens nothing.
pub(super) async fn bearer_of(app: &App, token: &Secret) -> Result<Option<(Actor, Scope)>, Problem> {
    if let Some(bootstrap) = &app.bootstrap
        && bool::from(bootstrap.expose().as_bytes().ct_eq(token.expose().as_bytes()))
    {
        return Ok(Some((Actor::Administrator, Scope::administrator())));
    }
    let client = app.store.client().await?;
    let bearer = tokens::verify(&client, token).await?;
    Ok(bearer.map(|bearer| (Actor::Token { id: bearer.id, name: bearer.name }, bearer.scope)))
}

/// By the `Authorization` header; for reading, a browser's session does as well.
impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim()))
        });
        // A page's own requests are checked for where they come from; the API's are not, so there a session only reads.
        let is_page = !parts.uri.path().starts_with("/api/");
        let has_session = is_page || parts.method == Method::GET;
        let token = match bearer {
            Some(token) => Some(token),
            None if has_session => dashboard::token_of(app, &parts.headers).await?,
            None => None,
        };
        let token = token.ok_or_else(Problem::unauthorized)?;
        let Some((actor, scope)) = bearer_of(app, &token).await? else {
            let client = parts.extensions.get::<Client>().copied();
            client.map_or(Ok(()), |client| app.limits.wrong_token(client))?;
            return Err(Problem::unauthorized());
        };
        app.limits.token(&token)?;
        let via = if is_page { Via::Dashboard } else { Via::Api };
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
        Ok(Self { scope, actor, via, request_id })
    }
}
