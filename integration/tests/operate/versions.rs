//! Two versions of the service side by side on one database, as a deployment has them for a while.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::github::{Settings, SimulatedGitHub};
use integration::invariants;
use integration::local_server::{Ending, LocalServer};
use integration::offshoot::{Offshoot, Options, Server};

use crate::shop::{SHOP, base, column, migration};
use crate::world::LIMIT;

/// Names the binary of an earlier version. Whoever changes the control schema builds one from the commit before, in a worktree, and runs this by
/// `--ignored`; there is none at hand where all else is tested.
const OLD_BINARY: &str = "OFFSHOOT_TEST_OLD_BINARY";

const ROUNDS: u64 = 6;
/// What is in order while one version hands over to another.
const EXPECTED: [&str; 2] = ["a newer version of Offshoot has migrated", "took jobs back"];

fn options(binary: impl Into<PathBuf>, server: &LocalServer) -> Options {
    let mut options = Options::new(binary);
    options.server = Server::At(server.url());
    options.environment.push(("OFFSHOOT_POOL_SIZE".to_owned(), "2".to_owned()));
    options.expected_trouble.extend(EXPECTED.map(str::to_owned));
    options
}

struct Deployment {
    github: SimulatedGitHub,
    opened: Vec<(u64, String)>,
}

impl Deployment {
    fn propose(&mut self, round: u64) -> Result<u64> {
        let head = format!("change-{round}");
        let sha = self.github.push(SHOP, &head, &[column(&format!("c{round}"))])?;
        let new = integration::github::NewPullRequest::new(SHOP, "main", &head);
        let number = self.github.open_pull_request(&new)?;
        self.opened.push((number, sha.to_string()));
        Ok(number)
    }

    fn push(&mut self, number: u64, round: u64) -> Result<()> {
        let name = format!("20260301{round:06}_more_{round}");
        let sql = format!("create table more_{round} (id int);\n");
        let sha = self.github.push_to_pull_request(SHOP, number, &[migration(&name, &sql)])?;
        let known = self.opened.iter_mut().find(|(known, _)| *known == number).context("it is open")?;
        known.1 = sha.to_string();
        Ok(())
    }

    fn close(&mut self, number: u64) -> Result<()> {
        self.github.close(SHOP, number)?;
        self.opened.retain(|(known, _)| *known != number);
        Ok(())
    }

    /// Every open pull request is ready for its head, whoever is asked.
    async fn all_ready(&self, asked: &[&Offshoot]) -> Result<()> {
        for offshoot in asked {
            self.github.wait_for_deliveries(LIMIT).await?;
            for (number, sha) in &self.opened {
                let branch = integration::offshoot::BranchRef::new(SHOP, *number);
                offshoot.ready(&branch, sha).await.with_context(|| format!("#{number}"))?;
            }
        }
        Ok(())
    }

    /// Opens, pushes and closes, with each delivery to another of the services.
    async fn work(&mut self, rounds: std::ops::Range<u64>, through: &[&Offshoot]) -> Result<()> {
        for round in rounds {
            for (step, offshoot) in through.iter().cycle().take(3).enumerate() {
                self.github.set_webhook_url(Some(offshoot.webhook_url()));
                match step {
                    0 => drop(self.propose(round)?),
                    1 => {
                        let number = self.opened.first().context("one is open")?.0;
                        self.push(number, round)?;
                    }
                    _ if self.opened.len() > 3 => {
                        let number = self.opened[1].0;
                        self.close(number)?;
                    }
                    _ => {}
                }
                self.github.wait_for_deliveries(LIMIT).await?;
            }
            self.all_ready(through).await.with_context(|| format!("round {round}"))?;
        }
        Ok(())
    }
}

#[tokio::test]
#[ignore = "wants the binary of an earlier version: OFFSHOOT_TEST_OLD_BINARY"]
async fn an_earlier_version_goes_on_beside_the_new_one() -> Result<()> {
    let old_binary = std::env::var_os(OLD_BINARY).with_context(|| format!("{OLD_BINARY} is not set"))?;
    let directory = tempfile::tempdir()?;
    let mut server = LocalServer::create(directory.path()).await?;
    let repositories = tempfile::tempdir()?;
    let options_of_new = options(env!("CARGO_BIN_EXE_offshoot"), &server);
    let mut settings = Settings::new(repositories.path());
    settings.webhook_secret.clone_from(&options_of_new.webhook_secret);
    let github = SimulatedGitHub::start(settings).await?;
    github.create_repository("acme", "shop", "main", &base())?;
    let mut deployment = Deployment { github, opened: Vec::new() };

    let mut old = Offshoot::start(options(Path::new(&old_binary), &server), deployment.github.url()).await?;
    deployment.work(0..2, &[&old]).await.context("the old version alone")?;

    // The new one migrates while the old one works.
    let mut new = Offshoot::start(options_of_new, deployment.github.url()).await?;
    deployment.work(2..2 + ROUNDS, &[&old, &new]).await.context("both")?;
    let branch = integration::offshoot::BranchRef::new(SHOP, deployment.opened[0].0);
    for offshoot in [&old, &new] {
        let reset = offshoot.call(Method::POST, &format!("{}/reset", branch.path()), None).await?;
        ensure!(reset.status == 202, "{reset:?}");
        offshoot.idle(LIMIT).await?;
    }
    deployment.all_ready(&[&old, &new]).await?;

    old.terminate().await?;
    old.restart().await.context("the old version starts beside the newer schema")?;
    deployment.work(20..22, &[&old, &new]).await.context("both, after the old one was restarted")?;

    // Back by one version, then forth.
    new.terminate().await?;
    deployment.work(30..33, &[&old]).await.context("the old version alone on the new schema")?;
    new.restart().await?;
    old.idle(LIMIT).await?;
    old.finish(&deployment.github).await.context("the old version")?;
    deployment.work(40..42, &[&new]).await.context("the new version alone")?;
    new.idle(LIMIT).await?;
    let broken = invariants::broken(&deployment.github, &new).await?;
    ensure!(broken.is_empty(), "invariants that do not hold: {broken:#?}");
    new.finish(&deployment.github).await.context("the new version")?;
    server.end(Ending::Fast)
}
