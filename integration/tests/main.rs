//! The whole service, as its users meet it: the built binary between a simulated GitHub and a real PostgreSQL.

mod api;
mod chaos;
mod containers;
mod crash;
mod forks;
mod hostile;
mod layers;
mod operate;
mod prisma;
mod reports;
mod room;
mod samples;
mod security;
mod shop;
mod storm;
mod sweep;
mod webhooks;
mod world;
