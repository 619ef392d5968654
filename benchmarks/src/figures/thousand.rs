//! A thousand branches alive: what they cost the next one, the service's memory, and its next start.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Claim, Figure, Outcome, PARTS, mib, ms, ratio, short_of_disk, times};
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::results::{Measured, Series, Unit};
use crate::site::{Plan, Ready, Site, milliseconds};

pub const OFFSHOOT: &str = "webhook → ready";
const MEMORY: &str = "memory of the service (resident)";
const START: &str = "start of the service, PostgreSQL being up";
const COUNTS: [usize; 4] = [0, 100, 300, 1_000];
const QUICK_COUNTS: [usize; 3] = [0, 4, 12];
/// Opened together on the way there.
const AT_ONCE: usize = 16;
/// 60 MB.
const MEMORY_MIB: f64 = 60e6 / 1_048_576.0;
/// A thousand times 12 MB, and room for the WAL.
const DISK_MIB: f64 = 18.0 * 1024.0;

pub const FIGURE: Figure = Figure {
    name: "thousand",
    title: "A thousand branches alive",
    method: "One repository; pull requests are opened until so many branches are ready and stay, and at each count the first figure is measured again. \
             Memory is the service's `VmRSS`. For the start the service is killed with SIGKILL, so that its PostgreSQL stays up, and \
             started again; the time is from starting the program to `/readyz` answering 200.",
    measure,
    claims,
};

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        if let Some(short) = short_of_disk(bench, DISK_MIB).await? {
            return Ok(short);
        }
        let mut site = Site::start(bench, &Plan::default()).await?;
        let repository = site.repository("crowd", &Chain::generate(0), &[]).await?;
        let counts = if bench.quick { &QUICK_COUNTS[..] } else { &COUNTS[..] };
        let mut series = Vec::new();
        let mut crowd = Crowd { site: &site, repository: &repository, alive: 0 };
        for count in counts {
            crowd.grow(*count).await?;
            let mut latency = Series::of_ms(OFFSHOOT).over(*count as f64);
            let mut parts = PARTS.map(|part| Series::of_ms(format!("timings_ms.{part}")).over(*count as f64));
            for _ in 0..bench.runs(25, 3) {
                let ready = crowd.one_more().await?;
                latency.push(ready.elapsed_ms);
                parts.iter_mut().zip(PARTS).for_each(|(series, part)| series.push(ready.timing(part)));
                site.settle().await?;
            }
            let resident = resident_mib(&site)?;
            progress(
                FIGURE.name,
                format!("{count}: {}, {resident:.0} MiB", ms(latency.median().unwrap_or_default())),
            );
            series.push(latency);
            series.extend(parts);
            series.push(Series::new(MEMORY, Unit::Mebibytes).over(*count as f64).with([resident]));
        }
        let mut start = Series::of_ms(START).over(crowd.alive as f64);
        for _ in 0..bench.runs(20, 3) {
            site.offshoot.kill9()?;
            let began = Instant::now();
            site.offshoot.restart().await?;
            start.push(milliseconds(began.elapsed()));
            site.settle().await?;
        }
        series.push(start);
        site.finish().await;
        Ok(Outcome::Measured(series))
    }
    .boxed()
}

struct Crowd<'s> {
    site: &'s Site,
    repository: &'s str,
    alive: usize,
}

impl Crowd<'_> {
    /// Opens pull requests until so many branches are alive.
    async fn grow(&mut self, count: usize) -> Result<()> {
        while self.alive < count {
            let open =
                |at| self.site.open(self.repository, &format!("crowd-{at}"), &[Chain::one_more(at).change()]);
            let upto = count.min(self.alive + AT_ONCE);
            let opened = (self.alive..upto).map(open).collect::<Result<Vec<_>>>()?;
            self.site.all_ready(&opened).await?;
            self.alive = upto;
        }
        self.site.settle().await
    }

    async fn one_more(&mut self) -> Result<Ready> {
        let (head, changes) = (format!("crowd-{}", self.alive), [Chain::one_more(self.alive).change()]);
        self.alive += 1;
        self.site.ready(&self.site.open(self.repository, &head, &changes)?).await
    }
}

/// The service's resident memory.
fn resident_mib(site: &Site) -> Result<f64> {
    let process = site.offshoot.process_id().context("the service does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let Some(kib) = line.and_then(|line| line.trim().strip_suffix("kB")) else {
        bail!("/proc/{process}/status says nothing of the memory");
    };
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let of =
        |name: &str| measured.series.iter().filter(move |series| series.name == name).collect::<Vec<_>>();
    let (latencies, memory) = (of(OFFSHOOT), of(MEMORY));
    let Some((first, last)) = latencies.first().zip(latencies.last()) else { return Vec::new() };
    let count = last.over.unwrap_or_default();
    [
        Claim::at_most(
            &format!("webhook → ready with {count} branches alive against none"),
            ratio(last.median(), first.median()),
            1.2,
            times,
        ),
        Claim::at_most(
            "the service's memory then",
            memory.last().and_then(|series| series.median()),
            MEMORY_MIB,
            mib,
        ),
        Claim::at_most("start of the service then", measured.median(START), 300.0, ms),
    ]
    .into_iter()
    .flatten()
    .collect()
}
