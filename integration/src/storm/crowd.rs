//! What people do on GitHub: open, push, break, mend, rebase, close, reopen, merge. By a seed, so that it can be repeated.

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::repositories::{self, script};
use crate::git::MergeMethod;
use crate::github::{NewPullRequest, SimulatedGitHub};
use crate::offshoot::BranchRef;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Unopened,
    Open,
    Closed,
    Merged,
}

/// A migration of a pull request's own.
#[derive(Debug)]
struct Own {
    name: String,
    broken: bool,
}

#[derive(Debug)]
struct Pull {
    repository: String,
    head: String,
    index: usize,
    number: u64,
    life: Life,
    own: Vec<Own>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Open,
    Extend,
    Edit,
    Break,
    Mend,
    Rebase,
    Close,
    Reopen,
    Merge,
}

/// What must come of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Ready,
    /// By this migration.
    Failed(String),
    Gone,
}

/// A pull request and what must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub branch: BranchRef,
    pub sha: String,
    pub end: End,
}

/// The people and their pull requests.
#[derive(Debug)]
pub struct Crowd {
    github: SimulatedGitHub,
    repositories: Vec<String>,
    pulls: Vec<Pull>,
    rng: StdRng,
    /// Makes every file that is written another.
    edits: usize,
}

impl Crowd {
    /// Makes the repositories and shares the pull requests out among them. None is opened yet.
    pub(super) fn gather(
        github: SimulatedGitHub,
        repositories: usize,
        pulls: usize,
        seed: u64,
    ) -> Result<Self> {
        let repositories = repositories::create(&github, repositories)?;
        let pull = |index: usize| Pull {
            repository: repositories[index % repositories.len()].clone(),
            head: format!("topic-{index}"),
            index,
            number: 0,
            life: Life::Unopened,
            own: Vec::new(),
        };
        let pulls = (0..pulls).map(pull).collect();
        Ok(Self { github, repositories, pulls, rng: StdRng::seed_from_u64(seed), edits: 0 })
    }

    pub(super) fn has_unopened(&self) -> bool {
        self.pulls.iter().any(|pull| pull.life == Life::Unopened)
    }

    /// Somebody does something.
    pub(super) fn act(&mut self) -> Result<()> {
        self.edits += 1;
        if self.rng.random_bool(0.03) {
            return self.advance_a_base();
        }
        let at = self.rng.random_range(0..self.pulls.len());
        let choices = self.pulls[at].choices();
        // Of one that was merged, nothing more comes.
        let Some(action) = choices.choose(&mut self.rng).copied() else { return Ok(()) };
        self.carry_out(at, action).with_context(|| {
            format!("{action:?} of {} in {}", self.pulls[at].head, self.pulls[at].repository)
        })
    }

    /// What must come of each pull request, as things stand.
    pub fn expected(&self) -> Result<Vec<Expected>> {
        let opened = self.pulls.iter().filter(|pull| pull.life != Life::Unopened);
        opened
            .map(|pull| {
                let sha = self.github.head_sha(&pull.repository, pull.number)?.to_string();
                Ok(Expected { branch: BranchRef::new(&pull.repository, pull.number), sha, end: pull.end() })
            })
            .collect()
    }

    fn carry_out(&mut self, at: usize, action: Action) -> Result<()> {
        let edit = self.edits;
        let any = self.rng.random_range(0..self.pulls[at].own.len().max(1));
        let github = &self.github;
        let pull = &mut self.pulls[at];
        match action {
            Action::Open => {
                let change = pull.extend(edit);
                github.push(&pull.repository, &pull.head, &[change])?;
                let new = NewPullRequest::new(&pull.repository, "main", &pull.head);
                pull.number = github.open_pull_request(&new)?;
                pull.life = Life::Open;
            }
            Action::Extend => pull.push(github, |pull| pull.extend(edit))?,
            Action::Edit => pull.push(github, |pull| pull.write(any, false, edit))?,
            Action::Break => pull.push(github, |pull| pull.write(any, true, edit))?,
            Action::Mend => {
                let broken = pull.own.iter().position(|own| own.broken).unwrap_or(any);
                pull.push(github, |pull| pull.write(broken, false, edit))?;
            }
            Action::Rebase => {
                github.rebase_pull_request(&pull.repository, pull.number)?;
            }
            Action::Close => {
                github.close(&pull.repository, pull.number)?;
                pull.life = Life::Closed;
            }
            Action::Reopen => {
                github.reopen(&pull.repository, pull.number)?;
                pull.life = Life::Open;
            }
            Action::Merge => {
                github.merge(&pull.repository, pull.number, MergeMethod::Merge)?;
                pull.life = Life::Merged;
            }
        }
        Ok(())
    }

    /// A commit to a base of somebody who makes no pull requests.
    fn advance_a_base(&mut self) -> Result<()> {
        let edit = self.edits;
        let repository = self.repositories.choose(&mut self.rng).context("there are repositories")?;
        let sql = format!("create table base_{edit} (id serial primary key);\n");
        self.github.push(repository, "main", &[script(&format!("20260201{edit:06}_base"), &sql)])?;
        Ok(())
    }
}

impl Pull {
    /// What may happen to it next; the likelier the more often it is named.
    fn choices(&self) -> Vec<Action> {
        use Action::{Break, Close, Edit, Extend, Mend, Merge, Open, Rebase, Reopen};
        match self.life {
            Life::Unopened => vec![Open],
            Life::Closed => vec![Reopen],
            Life::Merged => Vec::new(),
            Life::Open if self.own.iter().any(|own| own.broken) => {
                vec![Mend, Mend, Mend, Extend, Rebase, Close]
            }
            Life::Open => {
                vec![Extend, Extend, Extend, Extend, Edit, Edit, Break, Break, Rebase, Close, Close, Merge]
            }
        }
    }

    fn end(&self) -> End {
        match self.life {
            Life::Open => {
                let broken = self.own.iter().find(|own| own.broken);
                broken.map_or(End::Ready, |own| End::Failed(own.name.clone()))
            }
            Life::Unopened | Life::Closed | Life::Merged => End::Gone,
        }
    }

    fn push(
        &mut self,
        github: &SimulatedGitHub,
        change: impl FnOnce(&mut Self) -> crate::git::Change,
    ) -> Result<()> {
        let change = change(self);
        github.push_to_pull_request(&self.repository, self.number, &[change])?;
        Ok(())
    }

    fn extend(&mut self, edit: usize) -> crate::git::Change {
        let name = format!("202603{:03}{:03}00_own", self.index, self.own.len());
        self.own.push(Own { name, broken: false });
        self.write(self.own.len() - 1, false, edit)
    }

    /// Every migration stands for itself, so that it fails or not whatever was applied before.
    fn write(&mut self, at: usize, broken: bool, edit: usize) -> crate::git::Change {
        let own = &mut self.own[at];
        own.broken = broken;
        let sql = if broken {
            format!("create table half (id int);\nalter table missing_{edit} add column x int;\n")
        } else {
            let table = format!("own_{}_{at}", self.index);
            format!(
                "create table {table} (id serial primary key, edit_{edit} text);\ninsert into {table} default values;\n"
            )
        };
        script(&own.name, &sql)
    }
}
