//! Pull requests by the dozen, opened, pushed to, broken, mended, rebased, closed, reopened and merged at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::local_server::LocalServer;
use integration::offshoot::{Offshoot, Server};
use integration::storm::{self, Disorder, End, Expected, Postman, Size, Storm};
use tokio::time::Instant;

use crate::world::World;

const SIZE: Size = Size { repositories: 5, pulls: 50, actions: 250, pause: Duration::from_millis(10) };
const SENDERS: usize = 16;
/// A quiet machine needs 15 s; one that runs other tests, several times that.
const REST: Duration = Duration::from_secs(180);
const DISORDER: Disorder = Disorder { twice: 0.1, late: 0.1, latest: Duration::from_millis(400) };

#[tokio::test(flavor = "multi_thread")]
async fn fifty_pull_requests_at_once_end_as_they_must() -> Result<()> {
    let seed = storm::seed("storm")?;
    let directory = tempfile::Builder::new().prefix("offshoot-storm-").tempdir()?;
    let server = LocalServer::create(directory.path()).await?;
    let world = World::start_with(|options| options.server = Server::At(server.url())).await?;
    let secret = world.offshoot.webhook_secret();
    let postman = Postman::new(&world.github, secret, SENDERS, DISORDER, seed)?;
    postman.receivers().set(vec![world.offshoot.webhook_url()]);
    let mut storm = Storm::new(&world.github, SIZE, seed, postman)?;
    let started = Instant::now();
    storm.rage().await?;
    let tally = storm.postman.tally();
    ensure!(tally.missed == 0, "a service that runs missed deliveries: {tally:?}");
    world.offshoot.idle(REST).await?;
    println!("storm: {tally:?}, at rest after {:?}", started.elapsed());
    for expected in storm.crowd.expected()? {
        ended(&world.offshoot, &expected).await.with_context(|| format!("seed {seed}"))?;
    }
    world.finish().await.with_context(|| format!("seed {seed}"))
}

/// What the API says of a pull request is what must have come of it.
pub async fn ended(offshoot: &Offshoot, expected: &Expected) -> Result<()> {
    let path = format!("{}?sha={}", expected.branch.path(), expected.sha);
    let answer = offshoot.call(http::Method::GET, &path, None).await?;
    let is_right = match &expected.end {
        End::Ready => answer.status == 200,
        End::Failed(migration) => answer.status == 409 && answer.text("migration") == migration,
        // One that nobody told of before it was closed is not known.
        End::Gone => answer.status == 410 || answer.status == 404,
    };
    ensure!(is_right, "{expected:?}: {} {}", answer.status, answer.body);
    Ok(())
}
