//! The first figure again with a GitHub that takes 80 ms for every request.

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Claim, Figure, Outcome, ms};
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::results::{Measured, Series, Unit};
use crate::site::{Plan, Site};

const DELAYS: [u64; 2] = [0, 80];
const LATENCY: &str = "webhook → ready, GitHub at";
const REQUESTS: &str = "requests to GitHub until then, GitHub at";

pub const FIGURE: Figure = Figure {
    name: "github",
    title: "GitHub at 80 ms a request",
    method: "Two services side by side, one with a GitHub that answers at once and one with a GitHub that takes 80 ms for each request; runs alternate. \
             What is on the way for longer than the first is round trips that wait for one another.",
    measure,
    claims,
};

struct Place {
    site: Site,
    repository: String,
    latency: Series,
    requests: Series,
}

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        let mut places = Vec::new();
        for delay in DELAYS {
            let site = Site::start(bench, &Plan { github_delay_ms: delay, ..Plan::default() }).await?;
            let repository = site.repository("far", &Chain::generate(0), &[]).await?;
            let latency = Series::of_ms(format!("{LATENCY} {delay} ms"));
            let requests = Series::new(format!("{REQUESTS} {delay} ms"), Unit::Count);
            places.push(Place { site, repository, latency, requests });
        }
        let runs = bench.runs(20, 3);
        for number in 0..runs {
            for place in &mut places {
                place.run(number).await?;
            }
            let said: Vec<_> = places.iter().map(|place| ms(place.latency.values[number])).collect();
            progress(FIGURE.name, format!("{} of {runs}: {}", number + 1, said.join(", ")));
        }
        let mut series = Vec::new();
        for place in places {
            place.site.finish().await;
            series.extend([place.latency, place.requests]);
        }
        Ok(Outcome::Measured(series))
    }
    .boxed()
}

impl Place {
    async fn run(&mut self, number: usize) -> Result<()> {
        let changes = [Chain::one_more(number).change()];
        let opened = self.site.open(&self.repository, &format!("change-{number}"), &changes)?;
        let mark = self.site.github.mark();
        self.latency.push(self.site.ready(&opened).await?.elapsed_ms);
        self.requests.push(self.site.github.requests_since(mark).len() as f64);
        self.site.settle().await
    }
}

/// What is to be reached here is left to the reader: it says how far away GitHub is felt.
fn claims(_: &Measured) -> Vec<Claim> {
    Vec::new()
}
