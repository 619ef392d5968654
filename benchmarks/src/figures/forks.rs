//! Forks of a ready branch over HTTP: one after the other, and 64 at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use integration::offshoot::{API_TOKEN, connect};
use serde_json::Value;

use super::{Claim, Figure, Outcome, ms, percent, ratio, short_of_disk};
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::results::{Measured, Series, Unit};
use crate::site::{Opened, Plan, Site, milliseconds};

const WARM: &str = "a fork over HTTP, warm";
const HTTP: &str = "HTTP alone: `GET /healthz`";
const UPDATE: &str = "an `UPDATE` of one row on an open connection";
const AT_ONCE: &str = "forks over HTTP, 64 at once";
const BARE: &str = "bare `CREATE DATABASE`, 64 at once";
const ONE_ROW: &str = "set synchronous_commit = off; create schema rival; \
                       create table rival.one_row (id int primary key, at timestamptz); insert into rival.one_row values (1)";
/// Between two warm ones, when the pool is full again: time for the server to write what it has to.
const PAUSE: Duration = Duration::from_millis(150);
/// Ten times 64 databases of 12 MB, and room for the WAL.
const DISK_MIB: f64 = 12.0 * 1024.0;

pub const FIGURE: Figure = Figure {
    name: "forks",
    title: "Forks for test runs",
    method: "A ready branch and its own small pool of forks, begun by a first fork. A warm fork is one `POST …/branch/forks` to its answer with a \
             URL, when the pool is full and the one before is deleted. What it cannot do without is measured beside it, as rarely: a call \
             over HTTP that does nothing, and one row updated without waiting for the disk. Then 64 such calls at once for a branch with a new pool, \
             beside 64 sessions that make one database each from the same template at once; meanwhile none is dropped, because for \
             minutes after it some file systems make files more slowly.",
    measure,
    claims,
};

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        if let Some(short) = short_of_disk(bench, DISK_MIB).await? {
            return Ok(short);
        }
        let site = Site::start(bench, &Plan::default()).await?;
        let repository = site.repository("forked", &Chain::generate(0), &[]).await?;
        let opened = site.open(&repository, "change", &[Chain::one_more(0).change()])?;
        site.ready(&opened).await?;
        site.settle().await?;
        let forks = Forks::new(&site, &opened)?;
        let Some(first) = forks.make().await? else {
            site.finish().await;
            return Ok(Outcome::Skipped("this build of the service makes no forks".to_owned()));
        };
        // A URL that leads nowhere would be fast too.
        drop(connect(first.url()?).await.context("connect to a fork")?);
        forks.delete(&first).await?;
        let [mut warm, mut http, mut update] = [WARM, HTTP, UPDATE].map(Series::of_ms);
        let row = site.server.connect("postgres").await?;
        row.batch_execute(ONE_ROW).await?;
        let statement = row.prepare("update rival.one_row set at = now() where id = 1").await?;
        for _ in 0..bench.runs(100, 5) {
            site.settle().await?;
            tokio::time::sleep(PAUSE).await;
            let fork = forks.make().await?.context("a fork is refused")?;
            warm.push(fork.elapsed_ms);
            forks.delete(&fork).await?;
            site.settle().await?;
            tokio::time::sleep(PAUSE).await;
            http.push(forks.health().await?);
            tokio::time::sleep(PAUSE).await;
            let began = Instant::now();
            row.execute(&statement, &[]).await?;
            update.push(milliseconds(began.elapsed()));
        }
        let template = site.server.template().await?;
        let [mut ours, mut bare] = [AT_ONCE, BARE].map(|name| Series::new(name, Unit::PerSecond));
        let (rounds, count) = (bench.runs(5, 1), bench.runs(64, 8));
        for round in 0..rounds {
            let change = [Chain::one_more(round + 1).change()];
            let opened = site.open(&repository, &format!("round-{round}"), &change)?;
            site.ready(&opened).await?;
            let forks = Forks::new(&site, &opened)?;
            forks.make().await?.context("a fork is refused")?;
            site.settle().await?;
            ours.push(forks.at_once(count).await?);
            site.settle().await?;
            let rivals: Vec<_> = (0..count).map(|at| format!("rival_{round}_{at}")).collect();
            bare.push(site.server.clones_at_once(&template, &rivals).await?);
            progress(
                FIGURE.name,
                format!("{}: {:.1}/s, bare {:.1}/s", round + 1, ours.values[round], bare.values[round]),
            );
        }
        site.finish().await;
        Ok(Outcome::Measured(vec![warm, http, update, ours, bare]))
    }
    .boxed()
}

/// The API's calls about the forks of one branch.
struct Forks<'s> {
    site: &'s Site,
    http: reqwest::Client,
    path: String,
}

/// A fork as it was answered.
struct Fork {
    elapsed_ms: f64,
    document: Value,
}

impl Fork {
    fn url(&self) -> Result<&str> {
        self.document["database_url"].as_str().context("a fork without a URL")
    }
}

impl<'s> Forks<'s> {
    fn new(site: &'s Site, opened: &Opened) -> Result<Self> {
        let http = reqwest::Client::builder().pool_max_idle_per_host(256).build()?;
        Ok(Self { site, http, path: format!("{}/forks", opened.branch.path()) })
    }

    /// One fork; none where the service has no such call.
    async fn make(&self) -> Result<Option<Fork>> {
        let url = format!("{}{}", self.site.offshoot.url(), self.path);
        let began = Instant::now();
        let response = self.http.post(url).bearer_auth(API_TOKEN).send().await?;
        let (status, body) = (response.status().as_u16(), response.bytes().await?);
        let elapsed_ms = milliseconds(began.elapsed());
        if [404, 405].contains(&status) {
            return Ok(None);
        }
        ensure!(status == 201, "a fork was answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(Some(Fork { elapsed_ms, document: serde_json::from_slice(&body)? }))
    }

    /// The milliseconds of a call that asks nothing of anything.
    async fn health(&self) -> Result<f64> {
        let began = Instant::now();
        let response = self.http.get(format!("{}/healthz", self.site.offshoot.url())).send().await?;
        response.error_for_status()?.bytes().await?;
        Ok(milliseconds(began.elapsed()))
    }

    async fn delete(&self, fork: &Fork) -> Result<()> {
        let id = fork.document["id"].as_str().context("a fork without an id")?;
        let url = format!("{}/api/v1/forks/{id}", self.site.offshoot.url());
        let status = self.http.delete(url).bearer_auth(API_TOKEN).send().await?.status();
        ensure!(status.is_success(), "deleting a fork was answered {status}");
        Ok(())
    }

    /// So many at once: how many a second were made.
    async fn at_once(&self, count: usize) -> Result<f64> {
        let began = Instant::now();
        let forks = try_join_all((0..count).map(|_| self.make())).await?;
        ensure!(forks.iter().all(Option::is_some), "a fork is refused");
        Ok(count as f64 / began.elapsed().as_secs_f64())
    }
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let rate = ratio(measured.median(AT_ONCE), measured.median(BARE));
    [
        Claim::at_most("a fork over HTTP, warm", measured.median(WARM), 1.0, ms),
        Claim::at_least("64 forks at once against bare `CREATE DATABASE`", rate, 1.0, percent),
    ]
    .into_iter()
    .flatten()
    .collect()
}
