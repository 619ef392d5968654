//! Webhooks stored per second, beside pgbench doing the same insert; and how long one takes at 500 a second.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use integration::github::signature;
use tokio::process::Command;
use tokio::time::Instant;

use super::{Claim, Figure, Outcome, ms, percent, ratio};
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::http::Sender;
use crate::results::{Measured, Series, Unit, quantile};
use crate::server::run;
use crate::site::{Plan, Site, milliseconds};

const OFFSHOOT: &str = "Offshoot: webhooks stored";
const PGBENCH: &str = "pgbench: the same insert";
const LATENCY: &str = "one webhook at 500/s";
const SENDERS: [usize; 3] = [1, 8, 32];
const OPEN_LOOP_RATE: u32 = 500;
/// More than are ever on the way at once.
const OPEN_LOOP_SENDERS: u32 = 64;

pub const FIGURE: Figure = Figure {
    name: "webhooks",
    title: "Webhooks stored per second",
    method: "The webhook of a closed pull request, each time under a new delivery id, sent over 1, 8 and 32 connections as fast as they are answered; an \
             answer other than 202 fails the run. Beside it pgbench, on as many connections to the same server, runs the service's own \
             statement with the same payload (prepared, `convert_to` in place of bytes) on copies of the two tables; rounds alternate. \
             Meanwhile the service also works the job off that the webhooks ask for, which pgbench does not. Then, after a checkpoint and \
             a sync of what those loops left to be written, 500 a second at fixed times for a minute: how long each took from the time it \
             was due.",
    measure,
    claims,
};

/// What the service does with a delivery, on tables that nobody works off.
const STATEMENT: &str = "with stored as (insert into rival.deliveries (id, event, action, subject, repository, payload, outcome, absorbed_at) \
     values (gen_random_uuid()::text, 'pull_request', 'closed', '1#1', 'acme/noisy', convert_to(:payload, 'UTF8'), null, null) \
     on conflict (id) do nothing returning id), \
     queued as (insert into rival.jobs as waiting (kind, subject, priority) select 'reconcile_pull', '1#1', 10::smallint from stored \
     on conflict (kind, subject) where state = 'available' do update set run_at = excluded.run_at where waiting.run_at > excluded.run_at) \
     select exists (select from stored) as stored;";

const COPIES: &str = "create schema rival; create table rival.deliveries (like public.deliveries including all); \
                      create table rival.jobs (like public.jobs including all)";

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        let site = Site::start(bench, &Plan::default()).await?;
        let repository = site.repository("noisy", &Chain::default(), &[]).await?;
        let opened = site.open(&repository, "change", &[Chain::generate(0).migrations[0].change()])?;
        site.ready(&opened).await?;
        site.github.close(&repository, opened.branch.number)?;
        let closed = site.last_webhook(&opened, "closed")?;
        site.deliver(&closed).await?;
        site.settle().await?;
        site.server.connect("postgres").await?.batch_execute(COPIES).await?;
        let load = Load::new(&site, &closed.webhook)?;
        let mut series = Vec::new();
        let (rounds, length) = (bench.runs(3, 1), Duration::from_secs(bench.runs(5, 1) as u64));
        for senders in SENDERS {
            let named = |name: &str| Series::new(name, Unit::PerSecond).over(senders as f64);
            let (mut ours, mut pgbench) = (named(OFFSHOOT), named(PGBENCH));
            for round in 0..rounds {
                ours.push(load.closed_loop(senders, length).await?);
                site.settle().await?;
                pgbench.push(load.pgbench(senders, length).await?);
                let said = format!("{:.0}/s, pgbench {:.0}/s", ours.values[round], pgbench.values[round]);
                progress(FIGURE.name, format!("{senders} senders: {said}"));
            }
            series.extend([ours, pgbench]);
        }
        site.server.connect("postgres").await?.batch_execute("checkpoint").await?;
        run(&mut Command::new("sync")).await?;
        let seconds = u32::try_from(bench.runs(60, 2))?;
        series.push(Series::of_ms(LATENCY).with(load.open_loop(OPEN_LOOP_RATE, seconds).await?));
        site.settle().await?;
        site.finish().await;
        Ok(Outcome::Measured(series))
    }
    .boxed()
}

/// One webhook, to be sent again and again.
struct Load<'s> {
    site: &'s Site,
    body: &'s [u8],
    address: String,
    signature: String,
    script: tempfile::NamedTempFile,
}

impl<'s> Load<'s> {
    fn new(site: &'s Site, body: &'s [u8]) -> Result<Self> {
        let script = tempfile::NamedTempFile::new()?;
        std::fs::write(script.path(), STATEMENT)?;
        let address = site.offshoot.address();
        Ok(Self { site, body, address, signature: signature(&site.webhook_secret, body), script })
    }

    async fn sender(&self) -> Result<Sender> {
        Sender::connect(&self.address, "pull_request", &self.signature, self.body).await
    }

    /// As fast as they are answered: how many a second.
    async fn closed_loop(&self, senders: usize, length: Duration) -> Result<f64> {
        let connected = try_join_all((0..senders).map(|_| self.sender())).await?;
        let began = Instant::now();
        let tasks = connected.into_iter().map(|mut sender| {
            tokio::spawn(async move {
                let mut sent = 0_u32;
                while began.elapsed() < length {
                    ensure_stored(sender.send().await?)?;
                    sent += 1;
                }
                anyhow::Ok(sent)
            })
        });
        let sent = try_join_all(tasks).await?.into_iter().sum::<Result<u32>>()?;
        Ok(f64::from(sent) / began.elapsed().as_secs_f64())
    }

    /// At fixed times, whatever the answers: the milliseconds of each from when it was due.
    async fn open_loop(&self, rate: u32, seconds: u32) -> Result<Vec<f64>> {
        let connected = try_join_all((0..OPEN_LOOP_SENDERS).map(|_| self.sender())).await?;
        let (began, count) = (Instant::now() + Duration::from_millis(100), rate * seconds);
        let tasks = (0..).zip(connected).map(|(first, mut sender)| {
            tokio::spawn(async move {
                let mut took = Vec::new();
                for number in (first..count).step_by(OPEN_LOOP_SENDERS as usize) {
                    let due = began + Duration::from_secs(1) * number / rate;
                    tokio::time::sleep_until(due).await;
                    ensure_stored(sender.send().await?)?;
                    took.push(milliseconds(due.elapsed()));
                }
                anyhow::Ok(took)
            })
        });
        let took = try_join_all(tasks).await?.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(took.concat())
    }

    /// The rival's rate.
    async fn pgbench(&self, clients: usize, length: Duration) -> Result<f64> {
        let mut pgbench = self.site.server.command("pgbench");
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
        pgbench.arg(format!("--client={clients}")).arg(format!("--time={}", length.as_secs()));
        let payload = std::str::from_utf8(self.body).context("a webhook is text")?;
        pgbench.arg("-D").arg(format!("payload={payload}")).arg("-f").arg(self.script.path()).arg("postgres");
        let said = run(&mut pgbench).await?;
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.with_context(|| format!("no rate in what pgbench said: {said}"))
    }
}

fn ensure_stored(status: u16) -> Result<()> {
    ensure!(status == 202, "a webhook was answered {status}");
    Ok(())
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let rate = |senders: &usize| {
        let over = *senders as f64;
        let share = ratio(measured.median_over(OFFSHOOT, over), measured.median_over(PGBENCH, over));
        Claim::at_least(&format!("of pgbench's rate, {senders} senders"), share, 0.7, percent)
    };
    let latency = measured.series(LATENCY, None).and_then(|series| quantile(&series.values, 0.99));
    let latency = Claim::at_most("p99 of a webhook at 500/s", latency, 20.0, ms);
    SENDERS.iter().filter_map(rate).chain(latency).collect()
}
