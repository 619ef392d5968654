//! A small repository of the tests' own: one table, and whatever a pull request brings.

use anyhow::Result;
use integration::git::Change;
use integration::github::NewPullRequest;
use integration::offshoot::BranchRef;

use crate::world::World;

pub const SHOP: &str = "acme/shop";
pub const MIGRATIONS: &str = "prisma/migrations";
pub const INIT: &str = "20260101000000_init";

/// A Prisma directory with the table `items`.
pub fn base() -> Vec<Change> {
    vec![
        Change::write(format!("{MIGRATIONS}/migration_lock.toml"), "provider = \"postgresql\"\n"),
        migration(INIT, "create table items (id serial primary key, name text not null);\n"),
    ]
}

pub fn migration(name: &str, sql: &str) -> Change {
    Change::write(format!("{MIGRATIONS}/{name}/migration.sql"), sql)
}

/// A migration that adds a column to `items`.
pub fn column(name: &str) -> Change {
    migration(&format!("20260201000000_{name}"), &format!("alter table items add column {name} text;\n"))
}

impl World {
    /// Creates the shop.
    pub fn open_shop(&self) -> Result<()> {
        self.open_shop_with(&[])
    }

    /// The same with more files in its base.
    pub fn open_shop_with(&self, more: &[Change]) -> Result<()> {
        self.github.create_repository("acme", "shop", "main", &[base(), more.to_vec()].concat())?;
        Ok(())
    }

    /// Opens a pull request onto the shop's `main`; its head's commit.
    pub fn propose(&self, head: &str, changes: &[Change]) -> Result<(BranchRef, String)> {
        let sha = self.github.push(SHOP, head, changes)?;
        let number = self.github.open_pull_request(&NewPullRequest::new(SHOP, "main", head))?;
        Ok((BranchRef::new(SHOP, number), sha.to_string()))
    }

    /// Pushes to a pull request; the new head's commit.
    pub fn push(&self, branch: &BranchRef, changes: &[Change]) -> Result<String> {
        Ok(self.github.push_to_pull_request(&branch.repository, branch.number, changes)?.to_string())
    }
}
