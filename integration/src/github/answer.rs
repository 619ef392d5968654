//! Answers in GitHub's shape: JSON, pages with their links, and errors.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::LINK;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

/// What a route answers.
pub(crate) type Answer<T = Json<Value>> = Result<T, ApiError>;

/// An error as GitHub answers it.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub status: StatusCode,
    pub body: Value,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let body = json!({
            "message": message.into(),
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_u16().to_string(),
        });
        Self { status, body }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    pub(crate) fn bad_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Bad credentials")
    }

    pub(crate) fn not_accessible() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Resource not accessible by integration")
    }

    /// 422 with a message of its own.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 422 `Validation Failed` about one field; `code` is one of GitHub's, such as `missing_field`.
    pub(crate) fn invalid(resource: &str, field: &str, code: &str, message: &str) -> Self {
        let mut error = Self::unprocessable("Validation Failed");
        error.body["errors"] =
            json!([{ "resource": resource, "field": field, "code": code, "message": message }]);
        error
    }
}

impl From<anyhow::Error> for ApiError {
    /// The simulation itself failed: said in full, so that a test shows why.
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the simulated GitHub failed: {error:#}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

/// `?page=` and `?per_page=`, as GitHub reads them.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Paging {
    page: usize,
    per_page: usize,
}

impl Default for Paging {
    fn default() -> Self {
        Self { page: 1, per_page: 30 }
    }
}

impl Paging {
    fn per_page(self) -> usize {
        self.per_page.clamp(1, 100)
    }

    /// The items of the page.
    pub(crate) fn cut<T: Clone>(self, items: &[T]) -> Vec<T> {
        let skipped = (self.page.max(1) - 1).saturating_mul(self.per_page());
        items.iter().skip(skipped).take(self.per_page()).cloned().collect()
    }

    /// The `Link` header's value for so many items; none if they fit on one page. `target` is the address asked
    /// for with its query, whose `page` is replaced.
    pub(crate) fn links(self, total: usize, target: &str) -> Option<HeaderValue> {
        let last = total.div_ceil(self.per_page()).max(1);
        let page = self.page.max(1);
        let mut links = Vec::new();
        if page > 1 {
            links.extend([("prev", (page - 1).min(last)), ("first", 1)]);
        }
        if page < last {
            links.extend([("next", page + 1), ("last", last)]);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let kept: String = query
            .split('&')
            .filter(|p| !p.is_empty() && !p.starts_with("page="))
            .map(|p| format!("{p}&"))
            .collect();
        let links: Vec<String> = links
            .into_iter()
            .map(|(rel, page)| format!("<{path}?{kept}page={page}>; rel=\"{rel}\""))
            .collect();
        (!links.is_empty())
            .then(|| HeaderValue::from_str(&links.join(", ")).expect("an address fits a header"))
    }

    /// A page of a list, with its links.
    pub(crate) fn answer(self, items: &[Value], target: &str) -> Response {
        self.answer_as(items, target, Value::Array)
    }

    /// A page within an object: `{"total_count": …, "check_runs": […]}`.
    pub(crate) fn answer_as(
        self,
        items: &[Value],
        target: &str,
        wrap: impl FnOnce(Vec<Value>) -> Value,
    ) -> Response {
        let mut response = Json(wrap(self.cut(items))).into_response();
        if let Some(links) = self.links(items.len(), target) {
            response.headers_mut().insert(LINK, links);
        }
        response
    }
}

/// The address a request was sent to, with its query: what links to other pages are made from.
#[derive(Clone, Debug)]
pub(crate) struct Target(pub String);

/// Reads a JSON body: 400 if it is not JSON, 422 if it is not of this shape.
pub(crate) fn read_body<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "Problems parsing JSON"))?;
    serde_json::from_value(value)
        .map_err(|error| ApiError::unprocessable(format!("Invalid request.\n\n{error}")))
}

/// An object's name in a path; 404 for anything else.
pub(crate) fn read_sha(text: &str) -> Result<crate::git::Sha, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}
