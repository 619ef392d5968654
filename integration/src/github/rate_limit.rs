//! How many requests are left.

use axum::Json;
use axum::extract::State as Shared;
use chrono::TimeDelta;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;

use super::Hub;
use super::state::{State, now};

impl State {
    /// Counts a request, if it is one that counts, and says in its answer's headers what is left.
    pub(crate) fn count_request(&mut self, counts: bool, headers: &mut HeaderMap) {
        if self.rate_limit.reset <= now() {
            self.rate_limit.used = 0;
            self.rate_limit.reset = now() + TimeDelta::hours(1);
        }
        let limit = &mut self.rate_limit;
        limit.used = (limit.used + u64::from(counts)).min(limit.limit);
        let figures = [
            ("x-ratelimit-limit", limit.limit),
            ("x-ratelimit-remaining", limit.limit - limit.used),
            ("x-ratelimit-used", limit.used),
            ("x-ratelimit-reset", limit.reset.timestamp().unsigned_abs()),
        ];
        for (name, value) in figures {
            headers.insert(name, HeaderValue::from(value));
        }
        headers.insert("x-ratelimit-resource", HeaderValue::from_static("core"));
    }

    /// Whether nothing is left until the reset.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.rate_limit.used >= self.rate_limit.limit && self.rate_limit.reset > now()
    }

    pub(crate) fn rate(&self) -> Value {
        let limit = &self.rate_limit;
        json!({
            "limit": limit.limit,
            "used": limit.used,
            "remaining": limit.limit - limit.used,
            "reset": limit.reset.timestamp(),
        })
    }
}

/// `GET /rate_limit`
pub(crate) async fn show(Shared(hub): Shared<Arc<Hub>>) -> Json<Value> {
    let rate = hub.state().rate();
    Json(json!({ "resources": { "core": rate, "search": rate, "graphql": rate }, "rate": rate }))
}
