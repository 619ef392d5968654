//! Where GitHub's deliveries come in: signed, stored, answered; all that follows from them is a job's.

mod handler;
mod inbox;
pub mod payload;
mod problem;
mod rush;
pub mod signature;

pub use handler::{WebhookState, router};
