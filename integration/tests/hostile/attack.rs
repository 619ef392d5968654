//! An attack: what a pull request brings, and what its author must be told of it.

use integration::git::Change;

use crate::shop::{MIGRATIONS, migration};

/// The migration that every attack by SQL brings; it sorts after the shop's own.
const NAME: &str = "20260301000000_attack";

/// One row of the suite.
#[derive(Debug, Clone)]
pub struct Attack {
    pub name: &'static str,
    pub files: Vec<Change>,
    pub told: Told,
}

/// How it must end for the pull request. What must hold on the server is the same for all.
#[derive(Debug, Clone, Copy)]
pub enum Told {
    /// The SQL harms nobody, or only its own database: the branch is ready.
    Ready,
    /// The check fails, and the report has one of these: a SQLSTATE, or words of the failure.
    Failed(&'static [&'static str]),
    /// One or the other: how fast the machine is decides.
    Either(&'static [&'static str]),
}

/// Insufficient privilege.
const DENIED: &[&str] = &["42501"];

/// SQL that the server must refuse for want of a privilege.
pub fn denied(name: &'static str, sql: &str) -> Attack {
    fails(name, sql, DENIED)
}

/// SQL that must fail otherwise.
pub fn fails(name: &'static str, sql: &str, with: &'static [&'static str]) -> Attack {
    Attack { name, files: vec![migration(NAME, sql)], told: Told::Failed(with) }
}

/// SQL that may run: it reaches nothing but its own database.
pub fn harmless(name: &'static str, sql: &str) -> Attack {
    Attack { name, files: vec![migration(NAME, sql)], told: Told::Ready }
}

/// SQL that may run, or fail with one of these.
pub fn either(name: &'static str, sql: &str, with: &'static [&'static str]) -> Attack {
    brings(name, vec![migration(NAME, sql)], Told::Either(with))
}

/// Any files.
pub fn brings(name: &'static str, files: Vec<Change>, told: Told) -> Attack {
    Attack { name, files, told }
}

/// A migration's file under a name of the attacker's choice.
pub fn named(directory: &str, sql: &str) -> Change {
    Change::write(format!("{MIGRATIONS}/{directory}/migration.sql"), sql)
}

impl Attack {
    /// Puts names of this run into the attack's texts: `{neighbour}` is another branch's database and role,
    /// `{administrator}` the superuser.
    pub fn aimed_at(mut self, neighbour: &str, administrator: &str) -> Self {
        for file in &mut self.files {
            if let Change::Write { bytes, .. } = file {
                let text = String::from_utf8_lossy(bytes);
                // Bytes that are no text are an attack of their own: they stay.
                if text.contains("{neighbour}") || text.contains("{administrator}") {
                    let aimed =
                        text.replace("{neighbour}", neighbour).replace("{administrator}", administrator);
                    *bytes = aimed.into_bytes();
                }
            }
        }
        self
    }
}
