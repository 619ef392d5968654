//! The real CLI, as its users start it, has nothing left to do on the branch of each sample's base and of a pull request.

use std::path::Path;

use anyhow::{Context, Result};
use integration::git::{Author, Change, GitRepository, Parent};
use integration::prisma::{CliOutcome, PrismaCli};
use integration::samples::{self, Action, Files, Sample, State};

use super::bench::Bench;

const UP_TO_DATE: &str = "Database schema is up to date!";
const NOTHING_PENDING: &str = "No pending migrations to apply.";

/// The base, and the head of the first pull request that is opened onto it and ends ready.
struct Sides {
    base: Files,
    head: Files,
}

fn sides(sample: &Sample) -> Result<Sides> {
    let moments = sample.moments()?;
    let is_ready = |moment: &&samples::Moment<'_>| {
        let plain = moment.step.expect.as_ref().is_some_and(|expect| {
            expect.state == State::Ready && expect.findings.is_empty() && expect.applied.is_some()
        });
        let brings = moment.head.below(&sample.migrations).count()
            > moment.merge_base.below(&sample.migrations).count();
        plain && brings && matches!(moment.step.action, Action::Open | Action::Push | Action::Rebase)
    };
    let moment = moments
        .iter()
        .find(is_ready)
        .with_context(|| format!("{}: no pull request is plain", sample.name))?;
    Ok(Sides { base: moment.merge_base.clone(), head: moment.head.clone() })
}

/// What the sample has for its database: Prisma's directory, with the seeds in it, and the configuration.
fn database_files(sample: &Sample, files: &Files) -> Result<Vec<(String, Vec<u8>)>> {
    let prisma =
        sample.migrations.strip_suffix("/migrations").context("the migrations are in Prisma's directory")?;
    let config = files.get(".offshoot.toml").map(|bytes| (".offshoot.toml".to_owned(), bytes.to_vec()));
    let inside = files.below(prisma).map(|(path, bytes)| (format!("{prisma}/{path}"), bytes.to_vec()));
    Ok(inside.chain(config).collect())
}

fn write(files: &[(String, Vec<u8>)], to: &Path) -> Result<()> {
    for (path, bytes) in files {
        let path = to.join(path);
        std::fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

fn changes(files: &[(String, Vec<u8>)]) -> Vec<Change> {
    files.iter().map(|(path, bytes)| Change::write(path, bytes)).collect()
}

/// The `schema.prisma`, or the directory of such files, beside the migrations.
fn schema_beside(migrations: &Path) -> Result<std::path::PathBuf> {
    let prisma = migrations.parent().context("the migrations are in a directory")?;
    let file = prisma.join("schema.prisma");
    Ok(if file.is_file() { file } else { prisma.join("schema") })
}

async fn agrees(
    bench: &Bench,
    cli: &PrismaCli,
    sample: &Sample,
    base: &Files,
    head: &Files,
    name: &str,
) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (base, head) = (database_files(sample, base)?, database_files(sample, head)?);
    let repository = directory.path().join(format!("{}-{name}", sample.name));
    let git = GitRepository::init(&repository, "main")?;
    let author = Author::named("ada");
    let tip = git.commit("refs/heads/main", Parent::None, "base", &author, &changes(&base))?;
    git.commit("refs/heads/pull", Parent::Commit(tip), "head", &author, &changes(&head))?;
    let documents = bench.offshoot_preview(&repository).await?;
    let url = documents[0].database_url.as_deref().context("there is no database to look at")?;

    let checkout = directory.path().join("checkout");
    write(&head, &checkout)?;
    let migrations = checkout.join(&sample.migrations);
    let schema = schema_beside(&migrations)?;
    let status = cli.migrate_status(url, &migrations, &schema).await?;
    said(&status, UP_TO_DATE, sample, name);
    let deploy = cli.migrate_deploy(url, &migrations, &schema).await?;
    said(&deploy, NOTHING_PENDING, sample, name);
    Ok(())
}

fn said(outcome: &CliOutcome, words: &str, sample: &Sample, name: &str) {
    assert!(outcome.success && outcome.stdout.contains(words), "{}, {name}: {outcome:?}", sample.name);
}

#[tokio::test]
async fn the_real_cli_finds_nothing_to_do() {
    let bench = Bench::start().await.unwrap();
    let cli = PrismaCli::of_this_crate().unwrap();
    for sample in samples::all().unwrap() {
        let Sides { base, head } = sides(&sample).unwrap();
        agrees(&bench, &cli, &sample, &base, &base, "base").await.unwrap();
        agrees(&bench, &cli, &sample, &base, &head, "pull").await.unwrap();
    }
}
