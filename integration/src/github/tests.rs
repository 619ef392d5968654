//! Every route and every webhook, with GitHub's own description watching.

mod client;
mod octocrab;
mod pull_requests;
mod reading;
mod reporting;
mod trouble;
mod webhooks;
