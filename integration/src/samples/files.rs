//! What the files of each side are after every step, worked out without git.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::{Action, PullStory, Sample, Step};
use crate::git::Change;

/// A tree: paths and contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

/// A sample after one step.
#[derive(Debug, Clone)]
pub struct Moment<'s> {
    pub pull: &'s PullStory,
    pub step: &'s Step,
    /// Where the pull request left its base.
    pub merge_base: Files,
    /// The base's tip.
    pub tip: Files,
    pub head: Files,
}

impl Files {
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// Files in a directory and below it: their paths from it, in order.
    pub fn below<'f, 'd>(
        &'f self,
        directory: &'d str,
    ) -> impl Iterator<Item = (&'f str, &'f [u8])> + use<'f, 'd> {
        let relative = move |path: &'f str| path.strip_prefix(directory)?.strip_prefix('/');
        self.0.iter().filter_map(move |(path, bytes)| Some((relative(path)?, bytes.as_slice())))
    }

    pub fn apply(&mut self, changes: &[Change]) -> Result<()> {
        changes.iter().try_for_each(|change| self.apply_one(change))
    }

    fn apply_one(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Write { path, bytes } => {
                self.0.insert(path.clone(), bytes.clone());
            }
            Change::Remove { path } => {
                self.take(path)?;
            }
            Change::Rename { from, to } => {
                for (path, bytes) in self.take(from)? {
                    self.0.insert(format!("{to}{}", &path[from.len()..]), bytes);
                }
            }
            Change::Symlink { path, .. } | Change::Submodule { path, .. } => {
                bail!("{path} is not a plain file, and a sample has only those")
            }
        }
        Ok(())
    }

    /// Takes a file, or a directory's files, out.
    fn take(&mut self, path: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let is_inside = |other: &String, _: &mut Vec<u8>| {
            other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let taken: Vec<_> = self.0.extract_if(.., is_inside).collect();
        ensure!(!taken.is_empty(), "{path} does not exist");
        Ok(taken)
    }
}

impl Sample {
    /// The sample after every step of every pull request, in the order in which they happen.
    pub fn moments(&self) -> Result<Vec<Moment<'_>>> {
        let mut refs = BTreeMap::from([(self.default_branch.clone(), Files::default())]);
        refs.entry(self.default_branch.clone()).or_default().apply(&self.base)?;
        let mut moments = Vec::new();
        for pull in &self.pulls {
            let mut side = Side { base_ref: pull.base_ref.clone(), ..Side::default() };
            for step in &pull.steps {
                side.advance(step, &mut refs).with_context(|| {
                    format!("{}/{}: {}: {:?}", self.owner, self.name, pull.slug, step.action)
                })?;
                let tip = refs.get(&side.base_ref).context("the base is gone")?.clone();
                let (merge_base, head) = (side.merge_base.clone(), side.head.clone());
                moments.push(Moment { pull, step, merge_base, tip, head });
            }
            refs.insert(pull.head_ref.clone(), side.head);
        }
        Ok(moments)
    }
}

/// A pull request's own side while its story is told.
#[derive(Default)]
struct Side {
    base_ref: String,
    merge_base: Files,
    head: Files,
    changes: Vec<Change>,
}

impl Side {
    fn advance(&mut self, step: &Step, refs: &mut BTreeMap<String, Files>) -> Result<()> {
        if let Action::Retarget { onto } = &step.action {
            self.base_ref.clone_from(onto);
        }
        let tip = refs.get_mut(&self.base_ref).with_context(|| format!("no branch {}", self.base_ref))?;
        match &step.action {
            Action::PushToBase => tip.apply(&step.changes)?,
            Action::Merge => tip.apply(&self.changes)?,
            Action::Open | Action::Rebase => {
                self.changes.extend(step.changes.iter().cloned());
                self.merge_base = tip.clone();
                self.head = tip.clone();
                self.head.apply(&self.changes)?;
            }
            Action::Push => {
                self.changes.extend(step.changes.iter().cloned());
                self.head.apply(&step.changes)?;
            }
            // The stories retarget only onto a branch that the head contains.
            Action::Retarget { .. } => self.merge_base = tip.clone(),
            Action::Close | Action::Reopen => {}
        }
        Ok(())
    }
}
