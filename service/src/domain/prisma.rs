//! Prisma's chain on disk and its bookkeeping table.

/// Marks a directory as a chain of Prisma Migrate, and names its provider.
pub const LOCK_FILE: &str = "migration_lock.toml";
