//! What an operator relies on: figures, alerts, traces, the audit log, keys that can be replaced.

mod audit;
mod figures;
mod keys;
mod traces;
mod upgrades;
mod versions;
