//! The log of the requests that arrived.

use std::sync::{Mutex, PoisonError};

use http::Method;
use serde_json::Value;

/// A request that arrived, and how it was answered.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    pub method: Method,
    /// Below the API's base, without `/api/v3`.
    pub path: String,
    pub query: String,
    pub body: Vec<u8>,
    /// None while it runs, and for ever if the connection was closed on it.
    pub status: Option<u16>,
}

impl LoggedRequest {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<Vec<LoggedRequest>>);

impl RequestLog {
    pub(crate) fn arrived(&self, request: LoggedRequest) -> usize {
        let mut log = self.log();
        log.push(request);
        log.len() - 1
    }

    pub(crate) fn answered(&self, index: usize, status: u16) {
        self.log()[index].status = Some(status);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.log().len())
    }

    pub(crate) fn since(&self, mark: Mark) -> Vec<LoggedRequest> {
        self.log()[mark.0..].to_vec()
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        self.log().clone()
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Vec<LoggedRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
