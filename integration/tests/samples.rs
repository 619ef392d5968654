//! Every story of every sample through the whole service: webhooks in, GitHub's and PostgreSQL's state out.

mod expectation;
mod prisma;

use anyhow::{Context, Result, ensure};
use integration::offshoot::BranchRef;
use integration::samples::{self, Sample, State};
use integration::story::Player;

use crate::world::World;
use expectation::Seen;
use prisma::Prisma;

#[tokio::test]
async fn crm() -> Result<()> {
    told("crm").await
}

#[tokio::test]
async fn flowhq() -> Result<()> {
    told("flowhq").await
}

#[tokio::test]
async fn isekai() -> Result<()> {
    told("isekai-core").await
}

#[tokio::test]
async fn lumelia() -> Result<()> {
    told("lumelia-saas").await
}

#[tokio::test]
async fn prj_core() -> Result<()> {
    told("prj-core").await
}

/// A sample's story on a service of its own.
async fn told(name: &str) -> Result<()> {
    let world = World::start().await?;
    play(&world, &sample(name)?).await?;
    world.finish().await
}

pub fn sample(name: &str) -> Result<Sample> {
    samples::all()?
        .into_iter()
        .find(|sample| sample.name == name)
        .with_context(|| format!("there is no sample {name}"))
}

/// Plays a sample's story and checks after every step what it says.
pub async fn play(world: &World, sample: &Sample) -> Result<()> {
    let moments = sample.moments()?;
    let mut prisma = Prisma::start(sample)?;
    let mut player = Player::begin(&world.github, sample)?;
    let mut commits = Vec::new();
    for moment in &moments {
        let played = player.play_next()?.context("the story has as many steps as moments")?;
        let place = || format!("{}: {}: {:?}", sample.name, played.pull.slug, played.step.action);
        commits.push(played.head_sha);
        let branch = BranchRef::new(&sample.full_name(), played.number);
        let Some(expect) = played.expect() else {
            world.settle().await.with_context(place)?;
            continue;
        };
        let status = match expect.state {
            State::Ready => 200,
            State::Failed => 409,
            State::Blocked => 423,
            State::Deleted => 410,
        };
        let sha = played.head_sha.to_string();
        world.offshoot.branch_at(&branch, &sha, &[status]).await.with_context(place)?;
        world.settle().await.with_context(place)?;
        let seen = Seen { world, sample, branch: &branch, sha: played.head_sha, moment, expect };
        seen.check().await.with_context(place)?;
        if expect.state == State::Ready {
            let answer = world.offshoot.ready(&branch, &sha).await?;
            prisma.finds_nothing_to_do(answer.database_url()?, moment).await.with_context(place)?;
        }
    }
    ensure!(player.play_next()?.is_none(), "{} goes on", sample.name);
    world.ensure_checks_ended(&sample.full_name(), &commits)
}
