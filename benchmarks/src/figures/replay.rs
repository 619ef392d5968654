//! From empty: the whole chain, beside a bare loop that sends the same files.

use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Claim, Figure, Outcome, ms, ratio, times};
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::results::{Measured, Series};
use crate::server::Server;
use crate::site::milliseconds;
use crate::site::{Plan, Site};

const OFFSHOOT: &str = "Offshoot: the replay (`timings_ms.migrate`)";
const WHOLE: &str = "Offshoot: webhook → ready";
const LOOP: &str = "bare loop, `synchronous_commit` off";
const DURABLE_LOOP: &str = "bare loop, `synchronous_commit` on";

pub const FIGURE: Figure = Figure {
    name: "replay",
    title: "All 434 from empty",
    method: "A repository whose base has no migration, and a pull request that brings all 434, differing in the first file from every one before, so \
             that nothing made earlier serves it. Offshoot's time is what the branch document says of the replay, bookkeeping and all; webhook to \
             ready, which includes reading 434 files from GitHub, is beside it. The bare loop sends each file as one simple query on one \
             connection to an empty database of the same server, without bookkeeping. No database is dropped meanwhile.",
    measure,
    claims,
};

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        let site = Site::start(bench, &Plan::default()).await?;
        let repository = site.repository("empty", &Chain::default(), &[]).await?;
        let [mut ours, mut whole] = [OFFSHOOT, WHOLE].map(Series::of_ms);
        let [mut bare, mut durable] = [LOOP, DURABLE_LOOP].map(Series::of_ms);
        let runs = bench.runs(20, 2);
        for number in 0..runs {
            let chain = Chain::generate(u32::try_from(number)? + 1);
            let opened = site.open(&repository, &format!("all-{number}"), &chain.changes())?;
            let ready = site.ready(&opened).await?;
            ours.push(ready.timing("migrate"));
            whole.push(ready.elapsed_ms);
            site.settle().await?;
            bare.push(bare_loop(&site.server, &chain, number, "off").await?);
            durable.push(bare_loop(&site.server, &chain, number, "on").await?);
            let said = [&ours, &bare].map(|series| ms(series.values[number]));
            progress(
                FIGURE.name,
                format!("{} of {runs}: offshoot {}, loop {}", number + 1, said[0], said[1]),
            );
        }
        site.finish().await;
        Ok(Outcome::Measured(vec![ours, whole, bare, durable]))
    }
    .boxed()
}

/// The database stays: on some file systems the first files after many were removed take long to make, and only who comes next would pay.
async fn bare_loop(server: &Server, chain: &Chain, number: usize, synchronous_commit: &str) -> Result<f64> {
    let administrator = server.connect("postgres").await?;
    let database = format!("rival_{synchronous_commit}_{number}");
    administrator.batch_execute(&format!("CREATE DATABASE {database} TEMPLATE template0")).await?;
    let client = server.connect(&database).await?;
    client.batch_execute(&format!("SET synchronous_commit = {synchronous_commit}")).await?;
    let began = Instant::now();
    for migration in &chain.migrations {
        client.batch_execute(&migration.sql).await.with_context(|| format!("run {}", migration.name))?;
    }
    Ok(milliseconds(began.elapsed()))
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let ratio = ratio(measured.median(OFFSHOOT), measured.median(LOOP));
    Claim::at_most("the replay of 434 against a bare loop on the same settings", ratio, 1.15, times)
        .into_iter()
        .collect()
}
