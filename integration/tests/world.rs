//! A service and the GitHub that it serves, and what every test asks of both at its end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::github::{Settings, SimulatedGitHub};
use integration::invariants;
use integration::offshoot::{API_TOKEN, BranchRef, Credentials, Offshoot, Options};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How long everything that was asked for may take to be done.
pub const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// The first line of the one comment on a pull request.
const MARKER: &str = "<!-- offshoot";

pub struct World {
    pub github: SimulatedGitHub,
    pub offshoot: Offshoot,
    _repositories: tempfile::TempDir,
}

impl World {
    /// An App's service on an embedded server.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// The same with other options; those that speak of a token bring a GitHub without an App.
    pub async fn start_with(adjust: impl FnOnce(&mut Options)) -> Result<Self> {
        Self::start_between(adjust, |_| Ok(())).await
    }

    /// The same where something happened at GitHub before the service was there to hear of it.
    pub async fn start_between(
        adjust: impl FnOnce(&mut Options),
        before: impl FnOnce(&SimulatedGitHub) -> Result<()>,
    ) -> Result<Self> {
        let mut options = Options::new(env!("CARGO_BIN_EXE_offshoot"));
        // Enough to meet both ways to a database, with a spare and without.
        options.environment.push(("OFFSHOOT_POOL_SIZE".to_owned(), "1".to_owned()));
        adjust(&mut options);
        let repositories = tempfile::tempdir()?;
        let mut settings = Settings::new(repositories.path());
        settings.webhook_secret.clone_from(&options.webhook_secret);
        if let Credentials::Token(token) = &options.credentials {
            (settings.app, settings.token) = (None, Some(token.clone()));
        }
        let github = SimulatedGitHub::start(settings).await?;
        before(&github)?;
        let offshoot = Offshoot::start(options, github.url()).await?;
        github.set_webhook_url(Some(offshoot.webhook_url()));
        Ok(Self { github, offshoot, _repositories: repositories })
    }

    /// Waits until every webhook was answered and all that followed from it is done.
    pub async fn settle(&self) -> Result<()> {
        self.github.wait_for_deliveries(LIMIT).await?;
        self.offshoot.idle(LIMIT).await
    }

    /// Waits until a query of one boolean on the administrator's connection is true.
    pub async fn until(&self, sql: &str) -> Result<()> {
        let client = self.offshoot.administrator().await?;
        let deadline = Instant::now() + LIMIT;
        while !client.query_one(sql, &[]).await?.try_get::<_, bool>(0)? {
            ensure!(Instant::now() < deadline, "never true: {sql}");
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until GitHub was asked for something.
    pub async fn asked(&self, method: &http::Method, path: &str) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let is_it = |asked: &integration::github::LoggedRequest| asked.method == method && asked.path == path;
        while !self.github.requests().iter().any(is_it) {
            ensure!(Instant::now() < deadline, "nobody asked GitHub for {method} {path}");
            sleep(POLL).await;
        }
        Ok(())
    }

    /// A branch's document as the list shows it: without URLs, whatever its state.
    pub async fn listed(&self, branch: &BranchRef) -> Result<Value> {
        for state in ["", "&state=deleted"] {
            let path = format!("/api/v1/branches?repository={}{state}", branch.repository);
            let list = self.offshoot.call(http::Method::GET, &path, None).await?;
            let branches = list.body["branches"].as_array().context("a list of branches")?;
            if let Some(found) = branches.iter().find(|found| found["pull_request"] == branch.number) {
                return Ok(found.clone());
            }
        }
        anyhow::bail!("{branch:?} is in no list")
    }

    /// A page of the dashboard, as an administrator sees it.
    pub async fn page(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.offshoot.url());
        let page = reqwest::Client::new().get(url).bearer_auth(API_TOKEN).send().await?;
        ensure!(page.status().is_success(), "{path} answers {}", page.status());
        page.text().await.with_context(|| format!("read {path}"))
    }

    /// Asks for a job as the clock does, and waits until all is done.
    pub async fn run(&self, kind: &str) -> Result<()> {
        self.ask_for(kind).await?;
        self.settle().await
    }

    pub async fn ask_for(&self, kind: &str) -> Result<()> {
        let sql = "with queued as (
                       insert into jobs (kind, subject, priority) values ($1, '', 20)
                       on conflict (kind, subject) where state = 'available' do update set run_at = now() returning kind
                   ) select pg_notify('offshoot_jobs', kind) from queued";
        self.offshoot.administrator().await?.execute(sql, &[&kind]).await?;
        Ok(())
    }

    /// Waits until a figure is that high; gauges follow a clock.
    pub async fn at_least(&self, series: &str, least: f64) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let figure = self.offshoot.figure(series).await?;
            if figure >= least {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{series} stays {figure}");
            sleep(POLL).await;
        }
    }

    /// There is exactly one comment of the service's on the pull request; its text.
    pub fn the_comment(&self, branch: &BranchRef) -> Result<String> {
        let comments = self.github.comments(&branch.repository, branch.number)?;
        let mut own = comments.into_iter().filter(|comment| comment.body.contains(MARKER));
        let comment = own.next().with_context(|| format!("no comment on {branch:?}"))?;
        ensure!(own.next().is_none(), "more than one comment on {branch:?}");
        Ok(comment.body)
    }

    /// Waits until the comment on a pull request says something.
    pub async fn is_told(&self, branch: &BranchRef, text: &str) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.the_comment(branch).is_ok_and(|comment| comment.contains(text)) {
            ensure!(Instant::now() < deadline, "no {text:?} in {:?}", self.the_comment(branch));
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Every check run at these commits has ended.
    pub fn ensure_checks_ended(&self, repository: &str, commits: &[integration::git::Sha]) -> Result<()> {
        for sha in commits {
            for run in self.github.check_runs(repository, *sha)? {
                ensure!(run.status == "completed", "{repository}: a check run at {sha} is {}", run.status);
            }
        }
        Ok(())
    }

    /// Ends the service and checks what must hold whatever was tested.
    pub async fn finish(self) -> Result<()> {
        self.settle().await?;
        let broken = invariants::broken(&self.github, &self.offshoot).await?;
        ensure!(broken.is_empty(), "invariants that do not hold: {broken:#?}");
        let violations = self.github.violations()?;
        ensure!(violations.is_empty(), "against GitHub's description: {violations:#?}");
        self.offshoot.finish(&self.github).await
    }
}
