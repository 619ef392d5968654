//! The whole service, as its users meet it: the built binary between a simulated GitHub and a real PostgreSQL.

mod prisma;
mod samples;
mod world;
