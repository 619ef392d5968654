//! The API's own tokens: made, listed and revoked by an administrator.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::domain::audit::Action;
use crate::domain::ids::RepositoryName;
use crate::domain::token::{Reach, Scope};
use crate::store::tokens::{self as stored, Token};
use crate::store::{Store, audit};
use crate::web::App;
use crate::web::auth::Caller;
use crate::web::problem::Problem;

const LONGEST_NAME: usize = 100;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// What it is for, for people.
    name: String,
    /// `OWNER/NAME`; without it, all repositories.
    #[schema(value_type = Option<String>)]
    repository: Option<RepositoryName>,
    #[serde(default)]
    read_only: bool,
}

/// A token as it is listed; its text is shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenDocument {
    id: i64,
    name: String,
    repository: Option<String>,
    read_only: bool,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl From<Token> for TokenDocument {
    fn from(token: Token) -> Self {
        let repository = match &token.scope.reach {
            Reach::All => None,
            Reach::Repository(name) => Some(name.to_string()),
        };
        Self {
            id: token.id,
            name: token.name,
            repository,
            read_only: token.scope.read_only,
            created_at: token.created_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
            token: None,
        }
    }
}

/// Makes a token. Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/tokens", request_body = NewToken, tag = "tokens",
    responses((status = 201, body = TokenDocument), (status = 403, body = Problem)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    new: Result<Json<NewToken>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<TokenDocument>), Problem> {
    caller.must_administer()?;
    let Json(new) = new?;
    let is_line = !new.name.trim().is_empty() && !new.name.chars().any(char::is_control);
    if !is_line || new.name.chars().count() > LONGEST_NAME {
        let detail =
            format!("`name` says what the token is for, in one line of at most {LONGEST_NAME} characters.");
        return Err(Problem::of_status(StatusCode::UNPROCESSABLE_ENTITY, &detail));
    }
    let scope =
        Scope { reach: new.repository.map_or(Reach::All, Reach::Repository), read_only: new.read_only };
    let mut client = app.store.client().await?;
    let tx = Store::begin(&mut client).await?;
    let (token, text) = stored::create(&tx, &new.name, &scope).await?;
    let mut document = TokenDocument::from(token);
    let details =
        json!({ "name": document.name, "repository": document.repository, "read_only": document.read_only });
    let entry = caller.does(Action::TokenCreated, format!("token {}", document.id));
    audit::record(&tx, &entry.with(details)).await?;
    Store::commit(tx).await?;
    document.token = Some(text.expose().to_owned());
    Ok((StatusCode::CREATED, Json(document)))
}

/// Lists the tokens, revoked ones too.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses((status = 200, body = [TokenDocument])))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<TokenDocument>>, Problem> {
    caller.must_administer()?;
    let client = app.store.client().await?;
    Ok(Json(stored::list(&client).await?.into_iter().map(TokenDocument::from).collect()))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    responses((status = 204, description = "Revoked"), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, Problem> {
    caller.must_administer()?;
    let Path(id) = id?;
    let mut client = app.store.client().await?;
    let tx = Store::begin(&mut client).await?;
    if stored::revoke(&tx, id).await? {
        audit::record(&tx, &caller.does(Action::TokenRevoked, format!("token {id}"))).await?;
        Store::commit(tx).await?;
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(format!("There is no token {id} that is not revoked already.")))
    }
}
