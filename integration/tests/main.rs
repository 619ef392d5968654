//! The whole service, as its users meet it: the built binary between a simulated GitHub and a real PostgreSQL.

mod prisma;
mod api;
mod containers;
mod crash;
mod reports;
mod samples;
mod shop;
mod webhooks;
mod world;
