//! A branch that does nothing but its work, and how long that takes.

use std::time::Duration;

use anyhow::{Context, Result};
use integration::offshoot::connect;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

/// What an application does all day: a read by key and a write.
const WORK: [&str; 2] = [
    "select name from items where id = 1 + (random() * 999)::int",
    "update items set name = name where id = 1 + (random() * 999)::int",
];
const PACE: Duration = Duration::from_millis(5);

/// How long each round of the work took.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// The time within which this part of the rounds was done.
    pub fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        sorted.get(at).copied().unwrap_or_default()
    }

    pub fn rounds(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |part| self.quantile(part).as_secs_f64() * 1e3;
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, longest {:.1} ms, {} rounds",
            ms(0.5),
            ms(0.99),
            ms(1.0),
            self.0.len()
        )
    }
}

/// A neighbour at work until it is told to stop.
pub struct Working {
    stop: watch::Sender<()>,
    task: JoinHandle<Result<Latencies>>,
}

impl Working {
    pub fn begin(url: &str) -> Self {
        let (stop, stopped) = watch::channel(());
        Self { stop, task: tokio::spawn(work(url.to_owned(), stopped)) }
    }

    pub async fn end(self) -> Result<Latencies> {
        drop(self.stop);
        self.task.await.context("the neighbour's task")?
    }
}

/// Works at a steady pace. Whatever fails it fails the suite: nobody is to harm a neighbour.
async fn work(url: String, mut stopped: watch::Receiver<()>) -> Result<Latencies> {
    let client = connect(&url).await?;
    let mut pace = interval(PACE);
    let mut latencies = Latencies::default();
    loop {
        tokio::select! {
            _ = stopped.changed() => return Ok(latencies),
            _ = pace.tick() => {}
        }
        let begun = Instant::now();
        for sql in WORK {
            client.batch_execute(sql).await.context("a neighbour's query")?;
        }
        latencies.0.push(begun.elapsed());
    }
}
