//! A base's chain and what a pull request does to it, and what has to be true of it on both sides.

use std::fmt;

use anyhow::{Result, bail, ensure};
use integration::prisma::Diagnosis;
use offshoot::domain::chain::Checksum;
use offshoot::domain::prisma;

use super::bench::{Bench, Preview, Production};

/// A directory of the chain with one file.
#[derive(Clone, PartialEq)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
    /// `migration.sql`, unless the case is about its absence.
    pub file: &'static str,
}

impl File {
    pub fn new(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { name: name.to_owned(), bytes: bytes.as_ref().to_vec(), file: "migration.sql" }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.name, self.file)
    }
}

/// What the pull request does to a migration that the base already has.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// By its place in the base.
    Append {
        at: usize,
        sql: String,
    },
    Remove {
        at: usize,
    },
    Rename {
        at: usize,
        to: String,
    },
}

#[derive(Clone)]
pub struct Case {
    pub base: Vec<File>,
    pub edits: Vec<Edit>,
    pub own: Vec<File>,
}

impl Case {
    /// A base alone; the pull request changes nothing of it.
    pub fn base_only(files: &[(&str, &str)]) -> Self {
        Self::new(files, &[])
    }

    pub fn new(base: &[(&str, &str)], own: &[(&str, &str)]) -> Self {
        let files = |files: &[(&str, &str)]| files.iter().map(|(name, sql)| File::new(name, sql)).collect();
        Self { base: files(base), edits: Vec::new(), own: files(own) }
    }

    pub fn base(&self) -> Vec<(String, Vec<u8>)> {
        on_disk(&self.base)
    }

    pub fn head(&self) -> Vec<(String, Vec<u8>)> {
        on_disk(&self.head_files())
    }

    /// What Prisma deploys before the head's own: the base's migrations as the head has them.
    ///
    /// Where the pull request edits or removes what the base has, the real production would keep what it did; Offshoot replays what was
    /// asked for, with a finding. So the other side is then a database on which the edited chain was deployed from the start.
    pub fn deployed_first(&self) -> Vec<(String, Vec<u8>)> {
        let known = |file: &File| self.base.iter().any(|old| old.name == file.name);
        on_disk(&self.head_files().into_iter().filter(known).collect::<Vec<_>>())
    }

    fn head_files(&self) -> Vec<File> {
        let mut files: Vec<Option<File>> = self.base.iter().cloned().map(Some).collect();
        for edit in &self.edits {
            match edit {
                Edit::Append { at, sql } => {
                    if let Some(file) = &mut files[*at] {
                        file.bytes.extend_from_slice(sql.as_bytes());
                    }
                }
                Edit::Remove { at } => files[*at] = None,
                Edit::Rename { at, to } => {
                    if let Some(file) = &mut files[*at] {
                        file.name.clone_from(to);
                    }
                }
            }
        }
        files.into_iter().flatten().chain(self.own.iter().cloned()).collect()
    }

    /// The findings that speak of what the base already has, by kind and name.
    fn expected_findings(&self) -> Vec<(&'static str, String)> {
        let head = self.head_files();
        let finding = |old: &File| match head.iter().find(|new| new.name == old.name) {
            Some(new) if new.bytes == old.bytes => None,
            Some(_) => Some(("edited_applied", old.name.clone())),
            None if head.iter().any(|new| new.bytes == old.bytes && self.is_own(new)) => {
                Some(("renamed_applied", old.name.clone()))
            }
            None => Some(("removed_applied", old.name.clone())),
        };
        self.base.iter().filter(|old| old.file == "migration.sql").filter_map(finding).collect()
    }

    fn is_own(&self, file: &File) -> bool {
        self.base.iter().all(|old| old.name != file.name)
    }

    /// The names in the order in which production runs them.
    fn order(&self) -> Vec<String> {
        let mut files = self.head_files();
        files.sort_by(|a, b| {
            self.is_own(a).cmp(&self.is_own(b)).then_with(|| prisma::order(&a.name, &b.name))
        });
        files.into_iter().map(|file| file.name).collect()
    }

    /// Plays the case and compares.
    pub async fn check(&self, bench: &mut Bench) -> Result<Verdict> {
        let (preview, production) = bench.play(self).await?;
        self.compare(&preview, &production)
    }

    pub fn compare(&self, preview: &Preview, production: &Production) -> Result<Verdict> {
        let (ours, theirs) = (&preview.content, &production.content);
        same("the bookkeeping", &ours.bookkeeping, &theirs.bookkeeping)?;
        same("the schema", &ours.schema, &theirs.schema)?;
        same("the data", &ours.rows, &theirs.rows)?;
        same("Prisma's diagnosis", &ours.diagnosis, &theirs.diagnosis)?;
        same("Prisma's next deploy", &ours.deploy, &theirs.deploy)?;

        let clean = theirs.diagnosis.as_ref().is_ok_and(is_clean) && theirs.deploy == Ok(Vec::new());
        let verdict = match (&production.said, clean) {
            (Ok(()), true) => Verdict::Ready,
            (Err(_), _) => Verdict::Failed,
            // BEGIN without COMMIT: Prisma reports success, and everything is gone when it disconnects.
            (Ok(()), false) => Verdict::Lost,
        };
        let failed = preview.document.migrations.failed.as_ref();
        match (verdict, preview.document.state.as_str(), failed) {
            (Verdict::Ready, "ready", None) => {}
            (Verdict::Failed, "failed", Some(_)) => {}
            (Verdict::Lost, "failed", Some(failure)) => {
                ensure!(failure.kind == "verification", "a loss is told as {failure:?}");
            }
            (_, state, _) => {
                bail!("Prisma's verdict is {verdict:?} ({:?}), ours is {state}: {failed:?}", production.said)
            }
        }
        let listed: Vec<&str> =
            preview.document.migrations.applied.iter().map(|applied| applied.name.as_str()).collect();
        if let Some(rows) = &ours.bookkeeping {
            let finished: Vec<&str> =
                rows.iter().filter(|row| row.finished).map(|row| row.migration_name.as_str()).collect();
            same("what the document lists as applied", &listed, &finished)?;
        }
        if let (Some(failure), Ok(diagnosis)) = (failed, &theirs.diagnosis) {
            self.compare_failing(&failure.migration, diagnosis)?;
        }
        self.compare_findings(preview)?;
        Ok(verdict)
    }

    /// Prisma's failed row names the migration; or a transaction was open since then, and ours names the later one that met the error.
    fn compare_failing(&self, ours: &str, theirs: &Diagnosis) -> Result<()> {
        let Some(recorded) = theirs.failed_migration_names.first() else { return Ok(()) };
        let order = self.order();
        let place = |name: &str| order.iter().position(|other| other == name);
        let left_open =
            self.head_files().iter().any(|file| file.name == *recorded && leaves_open(&file.bytes));
        ensure!(
            ours == recorded || (left_open && place(ours) > place(recorded)),
            "Prisma's failed migration is {recorded:?}, ours is {ours:?}"
        );
        Ok(())
    }

    fn compare_findings(&self, preview: &Preview) -> Result<()> {
        let told = &preview.document.findings;
        for (kind, name) in self.expected_findings() {
            let names = |finding: &serde_json::Value| {
                finding["migration"] == name.as_str() || finding["from"] == name.as_str()
            };
            ensure!(
                told.iter().any(|finding| finding["kind"] == kind && names(finding)),
                "no finding says {kind} of {name:?}: {told:?}"
            );
        }
        Ok(())
    }
}

fn same<T: PartialEq + fmt::Debug>(what: &str, ours: &T, theirs: &T) -> Result<()> {
    ensure!(ours == theirs, "{what} differs; ours is {ours:#?}, production's is {theirs:#?}");
    Ok(())
}

/// What both sides say of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    Ready,
    Failed,
    /// Prisma says success and nothing is there; Offshoot says that it failed.
    Lost,
}

fn is_clean(diagnosis: &Diagnosis) -> bool {
    diagnosis.failed_migration_names.is_empty()
        && diagnosis.edited_migration_names.is_empty()
        && diagnosis.has_migrations_table
        && diagnosis.history.is_none()
}

fn leaves_open(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("BEGIN;") && !text.contains("COMMIT;")
}

fn on_disk(files: &[File]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|file| (file.path(), file.bytes.clone())).collect()
}

/// What a shrunk case shows: the files as they are.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, title: &str, files: &[File]| -> fmt::Result {
            writeln!(f, "{title}:")?;
            for file in files {
                let sum = &Checksum::of(&file.bytes).as_str()[..8].to_owned();
                writeln!(f, "  {:?} ({sum})", file.path())?;
                for line in file.bytes.split_inclusive(|byte| *byte == b'\n') {
                    writeln!(f, "    {}", line.escape_ascii())?;
                }
            }
            Ok(())
        };
        writeln!(f)?;
        list(f, "base", &self.base)?;
        writeln!(f, "edits: {:?}", self.edits)?;
        list(f, "own", &self.own)
    }
}
