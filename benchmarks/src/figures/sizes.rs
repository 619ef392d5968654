//! The same pull request on templates of 12 MB, 1 GiB and 5 GiB, with a spare.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use anyhow::Result;

use super::{Claim, Figure, Outcome, ms, ratio, times};
use crate::ballast;
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::results::{Measured, Series};
use crate::server::Server;
use crate::site::{Plan, Site};

pub const OFFSHOOT: &str = "Offshoot with a spare";
pub const FILE_COPY: &str = "bare `CREATE DATABASE … STRATEGY FILE_COPY`";
pub const WAL_LOG: &str = "bare `CREATE DATABASE`, as `createdb -T` does it";
/// In MiB, beside the 12 MB of the chain itself.
const SIZES: [u32; 3] = [0, 1024, 5 * 1024];
/// Makes the sizes small where only a look is wanted.
const QUICK_DIVISOR: u32 = 32;

pub const FIGURE: Figure = Figure {
    name: "sizes",
    title: "The same on a template of 1 GiB and of 5 GiB",
    method: "Three repositories of the same chain, two of them with a seed that fills their template, served by one service; a run opens a pull \
             request in each. As root everything is on an XFS with reflink in a file; without root it is on the disk as it is, and the 5 GiB are \
             left out. Beside it a bare copy of the same template: by files, which the file system may share, in every run; through the WAL, \
             which is what `createdb -T` does, in few.",
    measure,
    claims,
};

struct Size {
    /// Of the ballast.
    mib: f64,
    repository: String,
    template: String,
    ours: Series,
    file_copy: Series,
    wal_log: Series,
}

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        let sizes = if bench.storage.is_ok() { &SIZES[..] } else { &SIZES[..2] };
        let site = Site::start(bench, &Plan::default()).await?;
        let mut measured = Vec::new();
        for (at, mib) in sizes.iter().enumerate() {
            let mib = if bench.quick { mib / QUICK_DIVISOR } else { *mib };
            measured.push(Size::prepare(&site, at, mib).await?);
        }
        let (runs, slow_runs) = (bench.runs(20, 3), bench.runs(3, 1));
        let administrator = site.server.connect("postgres").await?;
        for number in 0..runs {
            for (at, size) in measured.iter_mut().enumerate() {
                let changes = [Chain::one_more(number).change()];
                let opened = site.open(&size.repository, &format!("change-{number}"), &changes)?;
                size.ours.push(site.ready(&opened).await?.elapsed_ms);
                site.settle().await?;
                size.rivals(&site.server, &administrator, at == 0 || number < slow_runs).await?;
            }
            progress(FIGURE.name, format!("{} of {runs}: {}", number + 1, last(&measured)));
        }
        site.finish().await;
        Ok(Outcome::Measured(
            measured.into_iter().flat_map(|size| [size.ours, size.file_copy, size.wal_log]).collect(),
        ))
    }
    .boxed()
}

impl Size {
    async fn prepare(site: &Site, at: usize, ballast_mib: u32) -> Result<Self> {
        let seed = if ballast_mib == 0 { Vec::new() } else { ballast::of_mib(ballast_mib) };
        progress(FIGURE.name, format!("a template with {ballast_mib} MiB of ballast"));
        let repository = site.repository(&format!("size-{at}"), &Chain::generate(0), &seed).await?;
        let template = site.server.template().await?;
        let client = site.server.connect("postgres").await?;
        let sql = "select pg_database_size($1::text::name)::float8 / 1048576 as mib";
        let mib: f64 = client.query_one(sql, &[&template]).await?.get("mib");
        let series = |name: &str| Series::of_ms(name).over(mib.round());
        let (ours, file_copy, wal_log) = (series(OFFSHOOT), series(FILE_COPY), series(WAL_LOG));
        Ok(Self { mib, repository, template, ours, file_copy, wal_log })
    }

    async fn rivals(
        &mut self,
        server: &Server,
        session: &tokio_postgres::Client,
        slow_too: bool,
    ) -> Result<()> {
        self.file_copy.push(server.timed_clone(session, &self.template, "STRATEGY FILE_COPY").await?);
        if slow_too {
            self.wal_log.push(server.timed_clone(session, &self.template, "STRATEGY WAL_LOG").await?);
        }
        Ok(())
    }
}

fn last(sizes: &[Size]) -> String {
    let say = |size: &Size| Some(format!("{:.0} MiB {}", size.mib, ms(*size.ours.values.last()?)));
    sizes.iter().filter_map(say).collect::<Vec<_>>().join(", ")
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let medians: Vec<_> = measured.series.iter().filter(|series| series.name == OFFSHOOT).collect();
    let Some((small, large)) = medians.split_first() else { return Vec::new() };
    let claim = |series: &&Series| {
        let what = format!("a template of {:.1} GiB against one of 12 MB", series.over? / 1024.0);
        Claim::at_most(&what, ratio(series.median(), small.median()), 1.2, times)
    };
    large.iter().filter_map(claim).collect()
}
