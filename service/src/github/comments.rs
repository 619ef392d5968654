//! The sticky comment: found again by its marker, among our own comments only.

use serde::Deserialize;
use serde_json::json;

use super::error::GithubError;
use super::installations::Identity;
use super::repository::RepositoryClient;
use super::request::Written;

/// A comment of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentRef {
    pub id: i64,
    pub body: String,
}

#[derive(Deserialize)]
struct CommentObject {
    id: i64,
    #[serde(default)]
    body: Option<String>,
    user: Option<AuthorObject>,
    performed_via_github_app: Option<AppObject>,
}

#[derive(Deserialize)]
struct AuthorObject {
    id: i64,
    login: String,
}

#[derive(Deserialize)]
struct AppObject {
    id: i64,
}

impl CommentObject {
    /// Whether we wrote it: anybody may quote a marker.
    fn is_by(&self, identity: &Identity) -> bool {
        let author = self.user.as_ref();
        match identity {
            Identity::App(app) => match &self.performed_via_github_app {
                Some(via) => via.id == app.id,
                None => author.is_some_and(|author| author.login == app.login()),
            },
            Identity::User(id) => author.is_some_and(|author| author.id == *id),
        }
    }
}

impl RepositoryClient {
    /// Our first comment on a pull request that contains `marker`.
    pub async fn find_comment(&self, number: i32, marker: &str) -> Result<Option<CommentRef>, GithubError> {
        let identity = self.github().identity().await?;
        let number = number.to_string();
        let ask = self.get("/repos/{owner}/{repo}/issues/{number}/comments", &[&number]);
        let mut found = None;
        let take = |page: Vec<CommentObject>| {
            found = page.into_iter().find_map(|comment| {
                let ours = comment.is_by(identity);
                let body = comment.body.filter(|body| ours && body.contains(marker))?;
                Some(CommentRef { id: comment.id, body })
            });
            Ok(found.is_none())
        };
        self.caller().await?.pages(ask.query(&[("per_page", "100")]), take).await?;
        Ok(found)
    }

    /// Not repeated when its answer is lost: look for the comment before trying again.
    pub async fn create_comment(&self, number: i32, body: &str) -> Result<i64, GithubError> {
        let number = number.to_string();
        let ask =
            self.post("/repos/{owner}/{repo}/issues/{number}/comments", &[&number], json!({"body": body}));
        Ok(self.send(ask).await?.json::<CommentObject>()?.id)
    }

    /// [`GithubError::Missing`] where somebody deleted it.
    pub async fn update_comment(&self, id: i64, body: &str) -> Result<(), GithubError> {
        let ask = self.patch(
            "/repos/{owner}/{repo}/issues/comments/{id}",
            &[&id.to_string()],
            json!({"body": body}),
        );
        self.send(ask.repeatable()).await?.json::<Written>().map(drop)
    }
}
