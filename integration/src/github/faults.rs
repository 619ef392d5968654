//! What goes wrong, on demand.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

/// How a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this status and GitHub's usual error body.
    Status(u16),
    /// 403, no requests left until so many seconds from now.
    PrimaryRateLimit { reset_in: u64 },
    /// 403 with `Retry-After`, requests left.
    SecondaryRateLimit { retry_after: u64 },
    /// 429 with `Retry-After`.
    TooManyRequests { retry_after: u64 },
    /// 200 and a body that is not JSON.
    Garbage,
    /// The connection is closed without an answer and nothing is done.
    Close,
    /// The request is carried out, and the connection closed without an answer.
    LoseAnswer,
    /// No answer until the client gives up.
    Hang,
    /// Answered as usual, so much later.
    Latency(Duration),
}

/// Which requests a fault is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// None: every method.
    pub method: Option<Method>,
    /// A path below the API's base; `*` stands for one segment, a last `**` for any rest.
    pub path: String,
}

impl Matcher {
    /// Every request.
    pub fn all() -> Self {
        Self { method: None, path: "/**".to_owned() }
    }

    /// Requests of this method to paths like `/repos/*/*/check-runs`.
    pub fn new(method: Method, path: &str) -> Self {
        Self { method: Some(method), path: path.to_owned() }
    }

    /// Whether a request of this method to this path is meant.
    pub fn matches(&self, method: &Method, path: &str) -> bool {
        if self.method.as_ref().is_some_and(|wanted| wanted != method) {
            return false;
        }
        let (mut wanted, mut actual) = (self.path.split('/'), path.split('/'));
        loop {
            match (wanted.next(), actual.next()) {
                (Some("**"), _) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    }
}

#[derive(Debug)]
struct Planned {
    matcher: Matcher,
    fault: Fault,
    /// None: until cleared.
    left: Option<usize>,
}

/// The faults set at the moment.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Planned>>);

impl Faults {
    pub(crate) fn set(&self, matcher: Matcher, fault: Fault, times: Option<usize>) {
        self.planned().push(Planned { matcher, fault, left: times });
    }

    pub(crate) fn clear(&self) {
        self.planned().clear();
    }

    /// The fault this request meets; the one set first wins and is used up by one.
    pub(crate) fn meet(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut planned = self.planned();
        let met = planned.iter_mut().find(|p| p.left != Some(0) && p.matcher.matches(method, path))?;
        met.left = met.left.map(|left| left - 1);
        Some(met.fault.clone())
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Vec<Planned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
