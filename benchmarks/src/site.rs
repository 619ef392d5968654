//! A running service, the GitHub that it serves, and what a figure does to the two.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration::git::{Change, Sha};
use integration::github::{NewPullRequest, Settings, SimulatedGitHub, signature};
use integration::offshoot::{API_TOKEN, BranchRef, Offshoot, Options};
use serde_json::Value;

use crate::bench::Bench;
use crate::chain::{Chain, Migration};
use crate::server::Server;

/// For all that a site is waited for; a seed of 5 GiB is among it.
const LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(10);
/// So that a request is under way before the clock starts.
const UNDER_WAY: Duration = Duration::from_millis(3);
/// The same for many.
const ALL_UNDER_WAY: Duration = Duration::from_millis(300);

/// How a site is set up.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What every request to GitHub takes at least.
    pub github_delay_ms: u64,
    /// Spares that wait for each template; the service's own default if none.
    pub pool_size: Option<usize>,
}

#[derive(Debug)]
pub struct Site {
    pub github: SimulatedGitHub,
    pub offshoot: Offshoot,
    pub server: Server,
    http: reqwest::Client,
    pub webhook_secret: String,
    pool_size: usize,
    has_pool: bool,
    _repositories: tempfile::TempDir,
}

/// A pull request that was opened and that the service has not heard of.
#[derive(Debug, Clone)]
pub struct Opened {
    pub branch: BranchRef,
    pub sha: Sha,
    pub webhook: bytes::Bytes,
}

/// How a pull request's branch became ready.
#[derive(Debug, Clone)]
pub struct Ready {
    /// From the first byte of the webhook that was sent to the last of the answer that says ready.
    pub elapsed_ms: f64,
    /// The branch document.
    pub document: Value,
}

/// A long poll that is under way: status, body, and when the last byte of it was there.
type Waiting = tokio::task::JoinHandle<Result<(reqwest::StatusCode, bytes::Bytes, Instant)>>;

/// What came of many webhooks sent at once.
pub struct AllReady {
    pub branches: Vec<Ready>,
    /// From the first webhook to the last branch.
    pub elapsed: Duration,
}

impl Ready {
    /// One of the document's `timings_ms`.
    pub fn timing(&self, part: &str) -> f64 {
        self.document["timings_ms"][part].as_f64().unwrap_or_default()
    }
}

impl Site {
    pub async fn start(bench: &Bench, plan: &Plan) -> Result<Self> {
        let mut options = Options::new(&bench.binary);
        options.data_in = bench.data();
        // As on any server after its first half minute.
        options.environment.push(("OFFSHOOT_CALIBRATE_AFTER".to_owned(), "0s".to_owned()));
        if let Some(size) = plan.pool_size {
            options.environment.push(("OFFSHOOT_POOL_SIZE".to_owned(), size.to_string()));
        }
        let repositories = tempfile::tempdir()?;
        let mut settings = Settings::new(repositories.path());
        settings.delay_ms = plan.github_delay_ms;
        settings.checks_exchanges = false;
        let webhook_secret = settings.webhook_secret.clone();
        let github = SimulatedGitHub::start(settings).await?;
        // A thousand pull requests in a minute are more than GitHub would take in an hour.
        github.set_rate_limit(u64::from(u32::MAX), u64::from(u32::MAX), LIMIT * 24);
        let offshoot = Offshoot::start(options, github.url()).await?;
        calibrated(&offshoot).await?;
        let server = Server::new(&offshoot.administrator_url()?, bench.postgres_bin.clone())?;
        let http = reqwest::Client::builder().timeout(LIMIT).pool_max_idle_per_host(256).build()?;
        let has_pool = knows_spares(&server).await?;
        let pool_size = if has_pool { plan.pool_size.unwrap_or(4) } else { 0 };
        let _repositories = repositories;
        Ok(Self { github, offshoot, server, http, webhook_secret, pool_size, has_pool, _repositories })
    }

    /// Makes a repository of these files and lets a first pull request bring its template, and the pool, about.
    pub async fn repository(&self, name: &str, chain: &Chain, more: &[Change]) -> Result<String> {
        let files = [chain.changes(), more.to_vec()].concat();
        self.github.create_repository("acme", name, "main", &files)?;
        let full_name = format!("acme/{name}");
        let first = Migration { name: "20251231000000_first".to_owned(), sql: "SELECT 1;\n".to_owned() };
        self.ready(&self.open(&full_name, "first", &[first.change()])?).await?;
        self.settle().await?;
        Ok(full_name)
    }

    /// Opens a pull request of these changes, on GitHub alone.
    pub fn open(&self, repository: &str, head: &str, changes: &[Change]) -> Result<Opened> {
        let sha = self.github.push(repository, head, changes)?;
        let number = self.github.open_pull_request(&NewPullRequest::new(repository, "main", head))?;
        let opened = Opened { branch: BranchRef::new(repository, number), sha, webhook: bytes::Bytes::new() };
        self.last_webhook(&opened, "opened")
    }

    /// Delivers the webhook that waits, and waits until the branch is ready for the head.
    pub async fn ready(&self, opened: &Opened) -> Result<Ready> {
        let answer = self.waiting(opened);
        tokio::time::sleep(UNDER_WAY).await;
        self.delivered(opened, answer).await
    }

    /// A long poll for a branch, on its way.
    fn waiting(&self, opened: &Opened) -> Waiting {
        let path = format!("{}?sha={}&wait=250", opened.branch.path(), opened.sha);
        let request = self.http.get(format!("{}{path}", self.offshoot.url())).bearer_auth(API_TOKEN);
        tokio::spawn(async move {
            let response = request.send().await?;
            let (status, body) = (response.status(), response.bytes().await?);
            anyhow::Ok((status, body, Instant::now()))
        })
    }

    /// Posts the webhook, and takes the answer of the long poll.
    async fn delivered(&self, opened: &Opened, answer: Waiting) -> Result<Ready> {
        let began = Instant::now();
        self.deliver(opened).await?;
        let (status, body, ended) = answer.await??;
        ensure!(
            status.is_success() && status.as_u16() == 200,
            "{} is not ready: {status}: {}",
            opened.branch.path(),
            String::from_utf8_lossy(&body)
        );
        Ok(Ready { elapsed_ms: milliseconds(ended - began), document: serde_json::from_slice(&body)? })
    }

    /// Posts the webhook of an opened pull request, signed.
    pub async fn deliver(&self, opened: &Opened) -> Result<()> {
        let request = self
            .http
            .post(self.offshoot.webhook_url())
            .header("Content-Type", "application/json")
            .header("X-GitHub-Event", "pull_request")
            .header("X-GitHub-Delivery", uuid::Uuid::new_v4().to_string())
            .header("X-Hub-Signature-256", signature(&self.webhook_secret, &opened.webhook))
            .body(opened.webhook.clone());
        let status = request.send().await.context("deliver a webhook")?.status();
        ensure!(status.is_success(), "the webhook was answered {status}");
        Ok(())
    }

    /// All of their webhooks at once, when all long polls are under way. The branches come in the order in which they became ready.
    pub async fn all_ready(&self, opened: &[Opened]) -> Result<AllReady> {
        let waiting: Vec<_> = opened.iter().map(|opened| (opened, self.waiting(opened))).collect();
        tokio::time::sleep(ALL_UNDER_WAY).await;
        let began = Instant::now();
        let mut delivered: futures_util::stream::FuturesUnordered<_> =
            waiting.into_iter().map(|(opened, answer)| self.delivered(opened, answer)).collect();
        let mut branches = Vec::new();
        while let Some(ready) = futures_util::StreamExt::next(&mut delivered).await {
            branches.push(ready?);
        }
        Ok(AllReady { branches, elapsed: began.elapsed() })
    }

    /// Closes a pull request and lets the service hear of it.
    pub async fn close(&self, opened: &Opened) -> Result<()> {
        self.github.close(&opened.branch.repository, opened.branch.number)?;
        self.deliver(&self.last_webhook(opened, "closed")?).await
    }

    /// The webhook that GitHub made last of what was done, for a pull request's head. What the service writes makes webhooks as well.
    pub fn last_webhook(&self, of: &Opened, action: &str) -> Result<Opened> {
        let done = |event: &str, told: Option<&str>| event == "pull_request" && told == Some(action);
        let made = self.github.deliveries().into_iter().rev();
        let mut made = made.filter(|delivery| done(&delivery.event, delivery.action.as_deref()));
        let delivery = made.next().with_context(|| format!("GitHub made no webhook of {action}"))?;
        Ok(Opened { webhook: delivery.body, ..of.clone() })
    }

    /// Waits until no job is left and every template has its spares.
    pub async fn settle(&self) -> Result<()> {
        self.offshoot.idle(LIMIT).await?;
        let client = self.server.connect("postgres").await?;
        let deadline = Instant::now() + LIMIT;
        let sql = "select not exists (select from templates where $1 > \
                   (select count(*) from instances where state = 'spare' and layer = templates.layer)) as full";
        let floor = i64::try_from(self.pool_size)?;
        while self.has_pool && !client.query_one(sql, &[&floor]).await?.get::<_, bool>("full") {
            ensure!(Instant::now() < deadline, "the pool is not full after {LIMIT:?}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Ends the service and says so if it logged any trouble: numbers that were taken then are to be doubted, not lost.
    pub async fn finish(self) {
        if let Err(error) = self.offshoot.finish(&self.github).await {
            eprintln!("  the service did not end well: {error:#}");
        }
    }
}

/// Waits until the service has measured how databases are cloned here.
async fn calibrated(offshoot: &Offshoot) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !offshoot.log()?.contains("measured how databases are cloned") {
        ensure!(Instant::now() < deadline, "how databases are cloned was not measured within {LIMIT:?}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Whether the table of instances knows the state of a spare.
async fn knows_spares(server: &Server) -> Result<bool> {
    let sql = "select coalesce(bool_or(pg_get_constraintdef(oid) like '%spare%'), false) from pg_constraint \
               where conrelid = 'instances'::regclass";
    Ok(server.connect("postgres").await?.query_one(sql, &[]).await?.get(0))
}

/// A duration as every series counts it.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
