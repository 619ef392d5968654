//! Plays a sample's pull requests on a simulated GitHub, one step at a time, as the people in its story would.

use anyhow::{Context, Result};

use crate::git::{Author, Change, MergeMethod, Parent, Sha};
use crate::github::{NewPullRequest, SimulatedGitHub};
use crate::samples::{Action, Expectation, PullStory, Sample, Step};

/// Where a commit is kept between being made and being pushed.
const WORKBENCH: &str = "refs/story/workbench";

/// Tells a sample's story: each call of [`play_next`](Self::play_next) is one thing that somebody does.
#[derive(Debug)]
pub struct Player<'s> {
    github: SimulatedGitHub,
    sample: &'s Sample,
    pull: usize,
    step: usize,
    /// The pull request that is being told, once it is opened.
    told: Option<Told>,
}

/// A step that was played.
#[derive(Debug, Clone)]
pub struct Played<'s> {
    pub pull: &'s PullStory,
    pub step: &'s Step,
    pub number: u64,
    /// The head of the pull request after the step.
    pub head_sha: Sha,
}

impl<'s> Played<'s> {
    /// What is true once the step has been dealt with, where the story says so.
    pub fn expect(&self) -> Option<&'s Expectation> {
        self.step.expect.as_ref()
    }
}

/// What a pull request has come to so far.
#[derive(Debug)]
struct Told {
    number: u64,
    base_ref: String,
    /// All that it changed since it was opened: what a rebase carries over.
    changes: Vec<Change>,
}

impl<'s> Player<'s> {
    /// Creates the sample's repository with its base.
    pub fn begin(github: &SimulatedGitHub, sample: &'s Sample) -> Result<Self> {
        github
            .create_repository(&sample.owner, &sample.name, &sample.default_branch, &sample.base)
            .with_context(|| format!("create the repository {}", sample.full_name()))?;
        Ok(Self { github: github.clone(), sample, pull: 0, step: 0, told: None })
    }

    /// Plays the next step of the story; none when it is over.
    pub fn play_next(&mut self) -> Result<Option<Played<'s>>> {
        let Some(pull) = self.sample.pulls.get(self.pull) else { return Ok(None) };
        let Some(step) = pull.steps.get(self.step) else {
            (self.pull, self.step, self.told) = (self.pull + 1, 0, None);
            return self.play_next();
        };
        let place = || format!("{}: {}: {:?}", self.sample.full_name(), pull.slug, step.action);
        let told = match self.told.take() {
            None => self.open(pull, step).with_context(place)?,
            Some(told) => self.continue_with(pull, step, told).with_context(place)?,
        };
        let number = told.number;
        let head_sha = self.github.head_sha(&self.sample.full_name(), number)?;
        (self.step, self.told) = (self.step + 1, Some(told));
        Ok(Some(Played { pull, step, number, head_sha }))
    }

    fn open(&self, pull: &'s PullStory, step: &Step) -> Result<Told> {
        anyhow::ensure!(step.action == Action::Open, "a pull request's first step opens it");
        let full_name = self.sample.full_name();
        let mut new = NewPullRequest::new(&full_name, &pull.base_ref, &pull.head_ref)
            .titled(&pull.title)
            .by(&pull.author);
        if let Some(owner) = &pull.from_fork {
            self.github.fork_repository(&full_name, owner)?;
            new = new.from_fork(&self.head_repository(pull));
        }
        self.start_head(pull, step, &pull.base_ref, &step.changes)?;
        let number = self.github.open_pull_request(&new)?;
        Ok(Told { number, base_ref: pull.base_ref.clone(), changes: step.changes.clone() })
    }

    fn continue_with(&self, pull: &'s PullStory, step: &Step, mut told: Told) -> Result<Told> {
        let (github, full_name) = (&self.github, self.sample.full_name());
        match &step.action {
            Action::Open => anyhow::bail!("it is opened already"),
            Action::Push => {
                let (head, author) = (self.head_repository(pull), Some(pull.author.as_str()));
                github.push_as(&head, &pull.head_ref, message(step)?, author, &step.changes)?;
                told.changes.extend(step.changes.iter().cloned());
            }
            Action::PushToBase => {
                github.push_as(&full_name, &told.base_ref, message(step)?, None, &step.changes)?;
            }
            Action::Rebase => {
                told.changes.extend(step.changes.iter().cloned());
                self.start_head(pull, step, &told.base_ref, &told.changes)?;
            }
            Action::Retarget { onto } => {
                github.edit_base(&full_name, told.number, onto)?;
                told.base_ref.clone_from(onto);
            }
            Action::Close => github.close(&full_name, told.number)?,
            Action::Reopen => github.reopen(&full_name, told.number)?,
            Action::Merge => {
                github.merge(&full_name, told.number, MergeMethod::Merge)?;
            }
        }
        Ok(told)
    }

    /// Pushes the head as one commit on the base's tip, whatever it was before.
    fn start_head(&self, pull: &PullStory, step: &Step, base_ref: &str, changes: &[Change]) -> Result<()> {
        let git = self.github.git(&self.sample.full_name())?;
        let tip = git.tip(base_ref)?.with_context(|| format!("there is no branch {base_ref}"))?;
        let author = Author::named(&pull.author);
        let head = git.commit(WORKBENCH, Parent::Commit(tip), message(step)?, &author, changes)?;
        git.delete_ref(WORKBENCH)?;
        self.github.push_commit(&self.head_repository(pull), &pull.head_ref, head)
    }

    fn head_repository(&self, pull: &PullStory) -> String {
        match &pull.from_fork {
            Some(owner) => format!("{owner}/{}", self.sample.name),
            None => self.sample.full_name(),
        }
    }
}

fn message(step: &Step) -> Result<&str> {
    step.message.as_deref().context("the commit of a step needs a `message`")
}

#[cfg(test)]
mod tests;
