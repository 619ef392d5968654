//! Measures Offshoot from outside, each figure beside its rivals in the same run: `make bench`.

mod ballast;
mod bench;
mod chain;
mod figures;
mod http;
mod machine;
mod page;
mod pictures;
mod results;
mod server;
mod site;
mod storage;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use bench::Bench;
use figures::{Figure, Outcome};
use machine::Machine;
use results::{Measured, Results};

#[derive(Debug, Parser)]
#[command(about = "Measures a built offshoot and writes benchmarks.md with its pictures")]
struct Arguments {
    /// The built `offshoot`; without it the page is written again from the results that are there.
    binary: Option<PathBuf>,
    /// Only these figures; the others stay as they were measured before.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Few runs, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Where `benchmarks.md` and `benchmarks/results.json` are.
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
    /// The directory of PostgreSQL's programs.
    #[arg(long, env = "OFFSHOOT_POSTGRES_BIN")]
    postgres_bin: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Servers and mounts go with what holds them, so an interruption has to end as an error does.
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = measure_and_write(&arguments) => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn measure_and_write(arguments: &Arguments) -> Result<()> {
    let path = arguments.docs.join("benchmarks/results.json");
    let mut results = Results::read(&path)?;
    let mut failed = Vec::new();
    if let Some(binary) = &arguments.binary {
        let mut bench = Bench::new(binary, arguments.postgres_bin.clone(), arguments.quick)?;
        for figure in chosen(&arguments.only)? {
            bench.furnish().await?;
            match measure(&bench, &Machine::look(&bench), figure).await {
                Ok(measured) => drop(results.figures.insert(figure.name.to_owned(), measured)),
                // One that fails costs only itself.
                Err(error) => {
                    eprintln!("  failed: {error:#}");
                    failed.push(figure.name);
                }
            }
            results.write(&path)?;
        }
    }
    page::write(&results, &arguments.docs)?;
    eprintln!("{} is written", arguments.docs.join("benchmarks.md").display());
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

fn chosen(only: &[String]) -> Result<Vec<&'static Figure>> {
    let unknown = only.iter().find(|name| figures::ALL.iter().all(|figure| figure.name != *name));
    if let Some(name) = unknown {
        let names: Vec<_> = figures::ALL.iter().map(|figure| figure.name).collect();
        bail!("there is no figure `{name}`: they are {}", names.join(", "));
    }
    Ok(figures::ALL
        .iter()
        .filter(|figure| only.is_empty() || only.iter().any(|name| name == figure.name))
        .collect())
}

async fn measure(bench: &Bench, machine: &Machine, figure: &Figure) -> Result<Measured> {
    eprintln!("{}: {}", figure.name, figure.title);
    let began = Instant::now();
    let (series, skipped) = match (figure.measure)(bench).await? {
        Outcome::Measured(series) => (series, None),
        Outcome::Skipped(why) => (Vec::new(), Some(why)),
    };
    let measured = Measured {
        at: chrono::Utc::now(),
        machine: machine.clone(),
        quick: bench.quick,
        seconds: began.elapsed().as_secs_f64(),
        skipped,
        series,
    };
    tell(figure, &measured);
    Ok(measured)
}

/// The figure's numbers and claims, for whoever runs it.
fn tell(figure: &Figure, measured: &Measured) {
    if let Some(why) = &measured.skipped {
        eprintln!("  skipped: {why}");
    }
    for series in &measured.series {
        let (median, p95) = (series.median().unwrap_or_default(), series.p95().unwrap_or_default());
        let over = series.over.map(|over| format!(" over {over}")).unwrap_or_default();
        let (unit, count) = (series.unit.symbol(), series.values.len());
        eprintln!(
            "  {:<50} median {median:>9.1} {unit}, p95 {p95:>9.1} {unit}, n {count}",
            format!("{}{over}", series.name)
        );
    }
    for claim in (figure.claims)(measured) {
        let met = if claim.is_met { "reached" } else { "MISSED" };
        eprintln!("  {met}: {}: {} (to reach: {})", claim.what, claim.measured, claim.goal);
    }
}
