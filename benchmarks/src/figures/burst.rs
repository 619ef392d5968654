//! 64 pull requests at once, beside as many bare `CREATE DATABASE` at once.

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Claim, Figure, Outcome, PARTS, percent, ratio, times};
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::results::{Measured, Series, Unit};
use crate::site::{AllReady, Plan, Site};

const OFFSHOOT: &str = "Offshoot: branches ready";
const BARE: &str = "bare `CREATE DATABASE`";
const FIRST: &str = "Offshoot: the first of them ready";
const ALONE: &str = "Offshoot: one alone";
const EACH: &str = "Offshoot: each of them ready";

pub const FIGURE: Figure = Figure {
    name: "burst",
    title: "64 pull requests at once",
    method: "64 pull requests with one new migration each are opened, and a long poll for each is begun; then all their webhooks are sent at once, \
             with the pool as full as it was before. The rate counts from the first webhook to the last branch that is ready; a branch that is not ready fails the run. Beside it, \
             64 sessions that are open already make one database each from the same template at once. The pull requests are closed between the rounds.",
    measure,
    claims,
};

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        let site = Site::start(bench, &Plan::default()).await?;
        let repository = site.repository("busy", &Chain::generate(0), &[]).await?;
        let template = site.server.template().await?;
        let [mut ours, mut bare] = [OFFSHOOT, BARE].map(|name| Series::new(name, Unit::PerSecond));
        let [mut first, mut alone, mut each] = [FIRST, ALONE, EACH].map(Series::of_ms);
        let mut parts = PARTS.map(|part| Series::of_ms(format!("the first's timings_ms.{part}")));
        let (rounds, count) = (bench.runs(5, 1), bench.runs(64, 16));
        for round in 0..rounds {
            let open = |at: usize| {
                site.open(&repository, &format!("round-{round}-{at}"), &[Chain::one_more(at).change()])
            };
            let opened = (0..count).map(open).collect::<Result<Vec<_>>>()?;
            let AllReady { branches: ready, elapsed } = site.all_ready(&opened).await?;
            ours.push(count as f64 / elapsed.as_secs_f64());
            let earliest = ready.iter().min_by(|one, other| one.elapsed_ms.total_cmp(&other.elapsed_ms));
            if let Some(earliest) = earliest {
                first.push(earliest.elapsed_ms);
                parts.iter_mut().zip(PARTS).for_each(|(series, part)| series.push(earliest.timing(part)));
            }
            each.values.extend(ready.iter().map(|ready| ready.elapsed_ms));
            site.settle().await?;
            let rivals: Vec<_> = (0..count).map(|at| format!("rival_{at}")).collect();
            bare.push(site.server.clones_at_once(&template, &rivals).await?);
            site.server.drop_databases(&rivals).await?;
            for pull in &opened {
                site.close(pull).await?;
            }
            site.settle().await?;
            for at in count..count + 4 {
                let opened = open(at)?;
                alone.push(site.ready(&opened).await?.elapsed_ms);
                site.settle().await?;
            }
            progress(
                FIGURE.name,
                format!(
                    "{} of {rounds}: {:.1}/s, bare {:.1}/s",
                    round + 1,
                    ours.values[round],
                    bare.values[round]
                ),
            );
        }
        site.finish().await;
        Ok(Outcome::Measured([ours, bare, first, alone, each].into_iter().chain(parts).collect()))
    }
    .boxed()
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let rate = ratio(measured.median(OFFSHOOT), measured.median(BARE));
    let first = ratio(measured.median(FIRST), measured.median(ALONE));
    [
        Claim::at_least("the rate of bare `CREATE DATABASE` at the same concurrency", rate, 0.8, percent),
        // A tenth for the noise between two medians.
        Claim::at_most("the first of 64 against one alone", first, 1.1, times),
    ]
    .into_iter()
    .flatten()
    .collect()
}
