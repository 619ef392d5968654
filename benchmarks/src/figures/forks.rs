//! Forks of a ready branch over HTTP: one after the other, and 64 at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use integration::offshoot::{API_TOKEN, connect};
use reqwest::Method;
use serde_json::Value;

use super::{Claim, Figure, Outcome, ms, percent, ratio, short_of_disk};
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::http::Connection;
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
        let mut forks = Forks::new(&site, &opened).await?;
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
            let mut forks = Forks::new(&site, &opened).await?;
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
    address: String,
    connection: Connection,
    make: Vec<u8>,
    health: Vec<u8>,
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
    async fn new(site: &'s Site, opened: &Opened) -> Result<Self> {
        let address = site.offshoot.address();
        let request = |method: &str, path: &str| {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {API_TOKEN}\r\n"
            );
            format!("{head}Content-Length: 0\r\n\r\n").into_bytes()
        };
        let (make, health) =
            (request("POST", &format!("{}/forks", opened.branch.path())), request("GET", "/healthz"));
        let connection = Connection::open(&address).await?;
        Ok(Self { site, address, connection, make, health })
    }

    /// One fork; none where the service has no such call.
    async fn make(&mut self) -> Result<Option<Fork>> {
        fork(&mut self.connection, &self.make).await
    }

    /// The milliseconds of a call that asks nothing of anything.
    async fn health(&mut self) -> Result<f64> {
        let began = Instant::now();
        let (status, _) = self.connection.ask(&self.health).await?;
        let elapsed_ms = milliseconds(began.elapsed());
        ensure!(status == 200, "the service is not well: {status}");
        Ok(elapsed_ms)
    }

    async fn delete(&self, fork: &Fork) -> Result<()> {
        let id = fork.document["id"].as_str().context("a fork without an id")?;
        let deleted = self.site.offshoot.call(Method::DELETE, &format!("/api/v1/forks/{id}"), None).await?;
        ensure!(deleted.status.is_success(), "deleting a fork was answered {}", deleted.status);
        Ok(())
    }

    /// So many at once, over connections that are open: how many a second were made.
    async fn at_once(&self, count: usize) -> Result<f64> {
        let mut connections = try_join_all((0..count).map(|_| Connection::open(&self.address))).await?;
        let began = Instant::now();
        let made = connections.iter_mut().map(|connection| fork(connection, &self.make));
        let made = try_join_all(made).await?;
        ensure!(made.iter().all(Option::is_some), "a fork is refused");
        Ok(count as f64 / began.elapsed().as_secs_f64())
    }
}

async fn fork(connection: &mut Connection, request: &[u8]) -> Result<Option<Fork>> {
    let began = Instant::now();
    let (status, body) = connection.ask(request).await?;
    let elapsed_ms = milliseconds(began.elapsed());
    if [404, 405].contains(&status) {
        return Ok(None);
    }
    ensure!(status == 201, "a fork was answered {status}: {}", String::from_utf8_lossy(body));
    Ok(Some(Fork { elapsed_ms, document: serde_json::from_slice(body)? }))
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
