//! Offshoot: a PostgreSQL database for every pull request.
//!
//! `domain` decides; `store`, `engine`, `github` and `webhook` carry out; `jobs` ties them together; `web` and `cli` are the doors.

pub mod cli;
pub mod config;
pub mod domain;
pub mod embedded;
pub mod engine;
pub mod figures;
pub mod github;
pub mod jobs;
pub mod local_git;
pub mod postgres;
pub mod queue;
pub mod secret;
pub mod service;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod webhook;
