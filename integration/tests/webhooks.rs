//! Deliveries: right and wrong, out of order and out of time.

mod convergence;
mod door;
mod forks;
mod reading;
mod replays;
mod unreadable;
