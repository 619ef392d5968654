//! What Offshoot decides, as values and functions of values. Nothing here knows of tokio, SQL connections,
//! HTTP or GitHub's client; the adapters around it carry out what is decided here.

pub mod audit;
pub mod bookkeeping;
pub mod branch;
pub mod chain;
pub mod config;
pub mod content;
pub mod detect;
pub mod expiry;
pub mod failure;
pub mod findings;
pub mod fingerprint;
pub mod fork;
pub mod github_json;
pub mod ids;
pub mod job;
pub mod layer;
pub mod names;
pub mod network;
pub mod patch;
pub mod plan;
pub mod pool;
pub mod prisma;
pub mod pull;
pub mod recipe;
pub mod report;
pub mod repository;
pub mod retention;
pub mod room;
pub mod seed;
pub mod size;
pub mod sql;
pub mod state;
pub mod token;
pub mod tree;
