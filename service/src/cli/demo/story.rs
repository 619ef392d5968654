//! What happens in the demo, scene by scene: people act on the simulated GitHub, and what the service makes of it is shown and checked.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use integration::samples::{self, Action, Sample, State};
use integration::story::{Played, Player};
use serde_json::Value;

use super::api::{Settled, until};
use super::check;
use super::narrator::Narrator;
use super::stage::Stage;
use crate::cli::Exit;
use crate::cli::print::table;
use crate::domain::report::COMMENT_MARKER;
use crate::secret::Secret;

/// How much is said of what came of a step.
#[derive(Clone, Copy, PartialEq)]
enum Telling {
    /// One line and the URL.
    Brief,
    /// The report on the pull request too.
    Whole,
}
use Telling::{Brief, Whole};

struct Scene {
    title: &'static str,
    text: &'static str,
    /// In which samples the next step is played, all at once.
    steps: &'static [(&'static str, Telling)],
}

const SCENES: [Scene; 8] = [
    Scene {
        title: "Five pull requests are opened at once",
        text: "A webhook tells of each. The base's migrations and seed become a template, once; each pull request gets a clone \
               of it and its own migrations on top, run as a role of its own that reaches nothing else.",
        steps: &[
            ("crm", Brief),
            ("lumelia", Brief),
            ("prj-core", Brief),
            ("flowhq", Whole),
            ("isekai", Whole),
        ],
    },
    Scene {
        title: "A push brings one more migration",
        text: "What is there stays, data included: only what is new is run, and the URL is the same.",
        steps: &[("flowhq", Whole), ("prj-core", Brief)],
    },
    Scene {
        title: "The author of the broken one pushes a fix",
        text: "Duplicates are removed before the unique index: a migration that failed is run anew, on a fresh clone.",
        steps: &[("isekai", Whole)],
    },
    Scene {
        title: "Two are merged",
        text: "Their databases, roles and passwords go. What they brought is the base of the next pull requests.",
        steps: &[("crm", Brief), ("prj-core", Brief)],
    },
    Scene {
        title: "A pull request edits a migration that has been deployed",
        text: "Prisma says nothing to that, and production would never run the edit. The report does say it.",
        steps: &[("crm", Whole)],
    },
    Scene {
        title: "A migration written before the last merge",
        text: "Its timestamp is older than what the base has by now. Production would run it last, a new machine earlier.",
        steps: &[("prj-core", Whole)],
    },
    Scene {
        title: "It is rebased and renamed",
        text: "The history is another one now, so the database is built anew; name, role and password stay.",
        steps: &[("prj-core", Whole)],
    },
    Scene {
        title: "The fixed one is merged",
        text: "Nothing may be left of it.",
        steps: &[("isekai", Whole)],
    },
];

/// A pull request as it stands.
struct Row {
    state: String,
    migrations: usize,
    /// Those of them that were run for this branch.
    own: usize,
    took: String,
    url: Option<Secret>,
}

pub(super) struct Story<'a> {
    stage: &'a Stage,
    narrator: &'a Narrator,
    samples: Vec<&'static Sample>,
    players: BTreeMap<&'static str, Player<'static>>,
    rows: BTreeMap<(String, u64), Row>,
    untrue: Vec<String>,
}

impl<'a> Story<'a> {
    pub(super) fn begin(stage: &'a Stage, narrator: &'a Narrator) -> anyhow::Result<Self> {
        // A process plays one demo; the samples are a part of it to its end.
        let samples: &'static [Sample] = Vec::leak(samples::all()?);
        Ok(Self {
            stage,
            narrator,
            samples: samples.iter().collect(),
            players: BTreeMap::new(),
            rows: BTreeMap::new(),
            untrue: Vec::new(),
        })
    }

    pub(super) async fn tell(&mut self) -> anyhow::Result<()> {
        for (number, scene) in (1..).zip(&SCENES) {
            self.narrator.scene(number, scene.title, scene.text);
            self.play(scene).await?;
        }
        Ok(())
    }

    async fn play(&mut self, scene: &Scene) -> anyhow::Result<()> {
        let mut played = Vec::new();
        for (sample, telling) in scene.steps {
            let (sample, step) = self.next(sample)?;
            self.narrator.deed(&deed(sample, &step));
            played.push((sample.full_name(), step, *telling));
        }
        for (repository, step, telling) in played {
            self.narrator.waiting(&format!("waiting for {repository}#{}", step.number));
            match step.expect().map(|expect| expect.state) {
                Some(State::Deleted) => self.watch_removal(&repository, &step, telling).await?,
                _ => self.watch_branch(&repository, &step, telling).await?,
            }
        }
        Ok(())
    }

    /// Plays the next step of a sample, whose directory is called after the repository or its owner.
    fn next(&mut self, name: &'static str) -> anyhow::Result<(&'static Sample, Played<'static>)> {
        let sample = self.samples.iter().find(|sample| sample.name == name || sample.owner == name);
        let sample = *sample.with_context(|| format!("there is no sample {name}"))?;
        let player = match self.players.entry(name) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(Player::begin(&self.stage.github, sample)?)
            }
        };
        let step = player.play_next()?.with_context(|| format!("the story of {name} is over"))?;
        Ok((sample, step))
    }

    async fn watch_branch(
        &mut self,
        repository: &str,
        step: &Played<'_>,
        telling: Telling,
    ) -> anyhow::Result<()> {
        let Some(expected) = step.expect() else {
            bail!("the story does not say what comes of {:?}", step.step.action)
        };
        let settled = self.stage.api.settled(repository, step.number, &step.head_sha.to_string()).await?;
        let differences = check::settled(expected, &settled).await?;
        let name = format!("{repository}#{}", step.number);
        let row = row(&settled);
        let ready = settled.branch["state"] == "ready";
        let line = format!(
            "{name}: {} {} after the webhook; {} of {} migrations are its own",
            row.state, row.took, row.own, row.migrations
        );
        if ready {
            self.narrator.good(&line)
        } else {
            self.narrator.bad(&line)
        }
        if telling == Whole {
            let sha = step.head_sha.to_string();
            let comment = self.comment(repository, step.number, &format!("`{}`", &sha[..7])).await?;
            self.narrator.comment(&name, &comment);
        }
        match &row.url {
            Some(url) => self.narrator.aside(url.expose()),
            None => self.narrator.aside(
                "The API answers 409 with the same facts: a CI job that waits for this commit stops here.",
            ),
        }
        self.note(&name, differences);
        self.rows.insert((repository.to_owned(), step.number), row);
        Ok(())
    }

    async fn watch_removal(
        &mut self,
        repository: &str,
        step: &Played<'_>,
        telling: Telling,
    ) -> anyhow::Result<()> {
        self.stage.api.gone(repository, step.number).await?;
        let name = format!("{repository}#{}", step.number);
        let known = self.rows.get_mut(&(repository.to_owned(), step.number));
        let row = known.with_context(|| format!("{name} was closed before it was opened"))?;
        "removed".clone_into(&mut row.state);
        let url = row.url.take();
        let differences = match &url {
            Some(url) => check::closed(url).await,
            None => Vec::new(),
        };
        self.narrator
            .good(&format!("{name}: its database and its roles are gone; its URL opens nothing any more"));
        if telling == Whole {
            let comment = self.comment(repository, step.number, "removed").await?;
            self.narrator.comment(&name, &comment);
        }
        self.note(&name, differences);
        Ok(())
    }

    /// The report's comment, once it speaks of `this` and of nothing under way.
    async fn comment(&self, repository: &str, number: u64, this: &str) -> anyhow::Result<String> {
        until(&format!("the report on {repository}#{number}"), || {
            let comments = self.stage.github.comments(repository, number)?;
            let report =
                comments.into_iter().map(|comment| comment.body).find(|body| body.contains(COMMENT_MARKER));
            Ok(report.filter(|body| body.contains(this) && !body.contains("### ⏳")))
        })
        .await
    }

    fn note(&mut self, name: &str, differences: Vec<String>) {
        for difference in differences {
            let difference = format!("{name}: {difference}");
            self.narrator.untrue(&difference);
            self.untrue.push(difference);
        }
    }

    /// Sums it up, and says whether all was as it was expected.
    pub(super) fn end(&self) -> Exit {
        let row = |((repository, number), row): (&(String, u64), &Row)| {
            let url = row.url.as_ref().map_or("-", Secret::expose).to_owned();
            [
                format!("{repository}#{number}"),
                row.state.clone(),
                row.migrations.to_string(),
                row.own.to_string(),
                row.took.clone(),
                url,
            ]
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        self.narrator.rest();
        self.narrator.say("");
        self.narrator
            .say(&table(["PULL REQUEST", "STATE", "MIGRATIONS", "OWN", "READY AFTER", "URL"], &rows));
        self.narrator.say("");
        if self.untrue.is_empty() {
            self.narrator.good(
                "Everything came out as the story expects, by the API's word and by the databases' own.",
            );
            return Exit::Done;
        }
        self.narrator.bad(&format!("{} expectations were not met:", self.untrue.len()));
        for difference in &self.untrue {
            self.narrator.say(&format!("     {difference}"));
        }
        Exit::Failed
    }

    /// A URL worth a look.
    pub(super) fn best_branch(&self) -> Option<&str> {
        let flowhq = self
            .rows
            .iter()
            .find(|((repository, _), row)| repository == "flowhq/flowhq" && row.url.is_some());
        flowhq
            .or_else(|| self.rows.iter().find(|(_, row)| row.url.is_some()))
            .and_then(|(_, row)| row.url.as_ref())
            .map(Secret::expose)
    }
}

fn row(settled: &Settled) -> Row {
    let branch = &settled.branch;
    let applied = branch["migrations"]["applied"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = applied.iter().filter(|migration| !migration["duration_ms"].is_null()).count();
    Row {
        state: branch["state"].as_str().unwrap_or_default().to_owned(),
        migrations: applied.len(),
        own,
        took: milliseconds(&branch["timings_ms"]["total"]),
        url: settled.url.clone(),
    }
}

fn milliseconds(ms: &Value) -> String {
    ms.as_f64().map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"))
}

/// What somebody did, as a sentence.
fn deed(sample: &Sample, played: &Played<'_>) -> String {
    let (pull, name) = (played.pull, format!("{}#{}", sample.full_name(), played.number));
    let message = played.step.message.as_deref().unwrap_or_default();
    match &played.step.action {
        Action::Open => format!("{} opens {name}: “{}”", pull.author, pull.title),
        Action::Push => format!("{} pushes to {name}: “{message}”", pull.author),
        Action::PushToBase => format!("somebody pushes to {} meanwhile: “{message}”", pull.base_ref),
        Action::Rebase => format!("{} rebases {name}", pull.author),
        Action::Retarget { onto } => format!("{} points {name} at {onto}", pull.author),
        Action::Close => format!("{} closes {name}", pull.author),
        Action::Reopen => format!("{} reopens {name}", pull.author),
        Action::Merge => format!("{name} is merged"),
    }
}
