//! A request to GitHub's API, as a value.

use http::Method;
use serde_json::Value;

/// A request, not yet sent.
#[derive(Debug)]
pub(super) struct Ask {
    pub method: Method,
    /// What the path was made from; logs and figures go by it.
    pub template: &'static str,
    pub path: String,
    pub body: Option<Value>,
    /// Whether it may be sent again when nobody knows whether GitHub carried it out.
    pub repeatable: bool,
}

impl Ask {
    /// Fills each `{…}` of the template with a part, percent-encoded.
    fn new(method: Method, template: &'static str, parts: &[&str]) -> Self {
        let path = fill(template, parts);
        Self { repeatable: method == Method::GET, method, template, path, body: None }
    }

    pub fn get(template: &'static str, parts: &[&str]) -> Self {
        Self::new(Method::GET, template, parts)
    }

    /// A request that makes something each time that it is sent.
    pub fn post(template: &'static str, parts: &[&str], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, template, parts) }
    }

    pub fn patch(template: &'static str, parts: &[&str], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PATCH, template, parts) }
    }

    pub fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        for (at, (name, value)) in pairs.iter().enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            self.path.push_str(&format!("{mark}{name}={}", percent_encoded(value)));
        }
        self
    }

    /// Says that sending it twice does no more than sending it once.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// As errors name it: without the query.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap_or_default())
    }
}

fn fill(template: &str, parts: &[&str]) -> String {
    let mut pieces = template.split(['{', '}']);
    let mut path = pieces.next().unwrap_or_default().to_owned();
    for part in parts {
        pieces.next();
        path.push_str(&percent_encoded(part));
        path.push_str(pieces.next().unwrap_or_default());
    }
    path
}

/// For one part of a path or a value of a query: only what RFC 3986 calls unreserved stays as it is.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_encoded_part_by_part() {
        let ask =
            Ask::get("/repos/{owner}/{repo}/compare/{base}...{head}", &["acme", "shop", "fix/#1 é", "abc"]);
        assert_eq!(ask.path, "/repos/acme/shop/compare/fix%2F%231%20%C3%A9...abc");
        let ask = ask.query(&[("per_page", "1"), ("head", "a b")]);
        assert!(ask.path.ends_with("...abc?per_page=1&head=a%20b"), "{}", ask.path);
        assert_eq!(ask.name(), "GET /repos/acme/shop/compare/fix%2F%231%20%C3%A9...abc");
    }

    #[test]
    fn only_what_does_no_harm_is_sent_again() {
        assert!(Ask::get("/app", &[]).repeatable);
        assert!(!Ask::post("/app", &[], json!({})).repeatable);
        assert!(Ask::post("/graphql", &[], json!({})).repeatable().repeatable);
    }
}
