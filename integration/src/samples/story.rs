//! Reading `story.toml` and the files beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use include_dir::Dir;
use serde::Deserialize;

use super::{Action, Expectation, ExpectedFailure, FindingKind, PullStory, Relation, Sample, State, Step};
use crate::git::Change;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoryToml {
    owner: String,
    name: String,
    default_branch: String,
    migrations: String,
    #[serde(rename = "pull")]
    pulls: Vec<PullToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PullToml {
    slug: String,
    title: String,
    author: String,
    head_ref: String,
    base_ref: Option<String>,
    from_fork: Option<String>,
    #[serde(rename = "step")]
    steps: Vec<StepToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepToml {
    action: ActionToml,
    onto: Option<String>,
    message: Option<String>,
    overlay: Option<String>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    rename: Vec<RenameToml>,
    expect: Option<ExpectToml>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
enum ActionToml {
    Open,
    Push,
    PushToBase,
    Rebase,
    Retarget,
    Close,
    Reopen,
    Merge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenameToml {
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectToml {
    state: State,
    applied: Option<Vec<String>>,
    #[serde(default)]
    findings: Vec<FindingKind>,
    #[serde(default)]
    exists: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    rows: BTreeMap<String, i64>,
    failure: Option<ExpectedFailure>,
}

pub(super) fn read(dir: &Dir<'_>) -> Result<Sample> {
    let path = dir.path().join("story.toml");
    let text = dir.get_file(&path).and_then(|file| file.contents_utf8());
    let text = text.with_context(|| format!("{} is missing or not UTF-8", path.display()))?;
    let story: StoryToml = toml::from_str(text).with_context(|| format!("parse {}", path.display()))?;
    let pull = |pull: PullToml| {
        let slug = pull.slug.clone();
        read_pull(dir, pull, &story.default_branch)
            .with_context(|| format!("{}: pull request {slug}", path.display()))
    };
    let pulls: Vec<PullStory> = story.pulls.into_iter().map(pull).collect::<Result<_>>()?;
    let told = pulls.iter().map(|pull| pull.slug.as_str()).collect();
    ensure_all_used(dir, &told).with_context(|| path.display().to_string())?;
    let base = written_below(dir, Path::new("base"))?;
    Ok(Sample {
        owner: story.owner,
        name: story.name,
        default_branch: story.default_branch,
        migrations: story.migrations,
        base,
        pulls,
    })
}

fn read_pull(sample: &Dir<'_>, pull: PullToml, default_branch: &str) -> Result<PullStory> {
    let overlays = Path::new("pulls").join(&pull.slug);
    let used: BTreeSet<&str> = pull.steps.iter().filter_map(|step| step.overlay.as_deref()).collect();
    if let Some(dir) = sample.get_dir(sample.path().join(&overlays)) {
        for overlay in dir.dirs() {
            let name = overlay.path().file_name().unwrap_or_default().to_string_lossy();
            ensure!(used.contains(name.as_ref()), "no step uses the overlay {}", overlay.path().display());
        }
    }
    let step = |(index, step): (usize, StepToml)| {
        read_step(sample, &overlays, step).with_context(|| format!("step {}", index + 1))
    };
    Ok(PullStory {
        slug: pull.slug,
        title: pull.title,
        author: pull.author,
        head_ref: pull.head_ref,
        base_ref: pull.base_ref.unwrap_or_else(|| default_branch.to_owned()),
        from_fork: pull.from_fork,
        steps: pull.steps.into_iter().enumerate().map(step).collect::<Result<_>>()?,
    })
}

fn read_step(sample: &Dir<'_>, overlays: &Path, step: StepToml) -> Result<Step> {
    let renames = step.rename.into_iter().map(|rename| Change::Rename { from: rename.from, to: rename.to });
    let mut changes: Vec<Change> = renames.collect();
    changes.extend(step.remove.into_iter().map(Change::remove));
    if let Some(overlay) = &step.overlay {
        changes.extend(written_below(sample, &overlays.join(overlay))?);
    }
    let commits = matches!(
        step.action,
        ActionToml::Open | ActionToml::Push | ActionToml::PushToBase | ActionToml::Rebase
    );
    ensure!(commits || changes.is_empty(), "a step of action {:?} changes no files", step.action);
    ensure!(!commits || step.message.is_some(), "the commit of a step needs a `message`");
    Ok(Step {
        action: action(step.action, step.onto)?,
        message: step.message,
        changes,
        expect: step.expect.map(expectation),
    })
}

fn action(action: ActionToml, onto: Option<String>) -> Result<Action> {
    Ok(match (action, onto) {
        (ActionToml::Retarget, Some(onto)) => Action::Retarget { onto },
        (ActionToml::Retarget, None) => bail!("a retarget says `onto` which branch"),
        (other, Some(_)) => bail!("only a retarget has `onto`, not {other:?}"),
        (ActionToml::Open, None) => Action::Open,
        (ActionToml::Push, None) => Action::Push,
        (ActionToml::PushToBase, None) => Action::PushToBase,
        (ActionToml::Rebase, None) => Action::Rebase,
        (ActionToml::Close, None) => Action::Close,
        (ActionToml::Reopen, None) => Action::Reopen,
        (ActionToml::Merge, None) => Action::Merge,
    })
}

fn expectation(expect: ExpectToml) -> Expectation {
    let relations = |names: Vec<String>| {
        let relation = |name: String| match name.split_once('.') {
            Some((table, column)) => Relation { table: table.to_owned(), column: Some(column.to_owned()) },
            None => Relation { table: name, column: None },
        };
        names.into_iter().map(relation).collect()
    };
    Expectation {
        state: expect.state,
        applied: expect.applied,
        findings: expect.findings,
        exists: relations(expect.exists),
        absent: relations(expect.absent),
        rows: expect.rows,
        failure: expect.failure,
    }
}

/// Every file below a directory of the sample, as a change that writes it at its path below that directory.
fn written_below(sample: &Dir<'_>, below: &Path) -> Result<Vec<Change>> {
    let root = sample.path().join(below);
    let dir = sample.get_dir(&root).with_context(|| format!("{} does not exist", root.display()))?;
    let mut changes = Vec::new();
    let mut pending = vec![dir];
    while let Some(dir) = pending.pop() {
        pending.extend(dir.dirs());
        for file in dir.files() {
            let path = file.path().strip_prefix(&root).context("a file outside of its directory")?;
            changes.push(Change::write(path.to_string_lossy().replace('\\', "/"), file.contents()));
        }
    }
    Ok(changes)
}

fn ensure_all_used(sample: &Dir<'_>, told: &BTreeSet<&str>) -> Result<()> {
    let Some(pulls) = sample.get_dir(sample.path().join("pulls")) else { return Ok(()) };
    for dir in pulls.dirs() {
        let slug = dir.path().file_name().unwrap_or_default().to_string_lossy();
        ensure!(told.contains(slug.as_ref()), "no pull request is called {slug}, but it has overlays");
    }
    Ok(())
}
