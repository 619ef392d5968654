//! What Offshoot is tested and shown against. Nothing here knows the service: it meets Offshoot as
//! GitHub, a developer and an operator do.

pub mod git;
pub mod github;
pub mod samples;
pub mod story;

#[cfg(feature = "harness")]
pub mod containers;
#[cfg(feature = "harness")]
pub mod invariants;
#[cfg(feature = "harness")]
pub mod local_server;
#[cfg(feature = "harness")]
pub mod offshoot;
#[cfg(feature = "harness")]
pub mod otlp;
#[cfg(feature = "harness")]
pub mod prisma;
#[cfg(feature = "harness")]
pub mod proxy;
#[cfg(feature = "harness")]
pub mod storm;
