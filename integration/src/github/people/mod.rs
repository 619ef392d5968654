//! What people do on GitHub: each changes the state and sends the webhooks that GitHub would send.

mod collaboration;
mod control;
mod pulls;
mod pushes;
mod repositories;

pub use pulls::NewPullRequest;
