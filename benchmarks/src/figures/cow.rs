//! Branches of a 1 GiB template on copy-on-write storage: how fast without a spare, and how much disk a hundred take.

use std::time::Instant;

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Claim, Figure, Outcome, mib, ms};
use crate::ballast;
use crate::bench::{Bench, progress};
use crate::chain::Chain;
use crate::results::{Measured, Series, Unit};
use crate::server::Server;
use crate::site::{Plan, Site, milliseconds};
use crate::storage::Storage;

const EMPTY_POOL: &str = "Offshoot, no spare: webhook → ready";
const CLONE: &str = "bare `CREATE DATABASE … STRATEGY FILE_COPY`, blocks shared";
const FILE_COPY: &str = "the same, blocks copied";
const TEMPLATE: &str = "disk: the template alone";
const BRANCHES: &str = "disk: with its branches";
const UPDATE: &str = "update of 1 % of the rows in a branch";
const UPDATE_DISK: &str = "disk: what that update added";
const COPY_UPDATE: &str = "the same update in a full copy";
const COPY_UPDATE_DISK: &str = "disk: what that one added";
const UPDATED: &str = "UPDATE ballast_0 SET filler = reverse(filler) WHERE id % 100 = 0";

pub const FIGURE: Figure = Figure {
    name: "cow",
    title: "A hundred branches of a 1 GiB template on copy-on-write",
    method: "XFS with reflink in a file, `OFFSHOOT_POOL_SIZE=0`, so that every branch is cloned when it is asked for; 100 pull requests one after \
             the other. The disk is what `df` says after a checkpoint and a sync, less the WAL, counted from the empty server: the template and \
             all that was made from it. Then every hundredth row of a table (half of the template) is updated in one branch, and \
             the same in a database that shares nothing.",
    measure,
    claims,
};

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        let storage = match &bench.storage {
            Ok(storage) => storage,
            Err(why) => return Ok(Outcome::Skipped(why.clone())),
        };
        let plan = Plan { pool_size: Some(0), ..Plan::default() };
        let site = Site::start(bench, &plan).await?;
        let disk = Disk::from_here(storage, &site.server).await?;
        let seed = ballast::of_mib(if bench.quick { 64 } else { 1024 });
        let repository = site.repository("large", &Chain::generate(0), &seed).await?;
        let template = site.server.template().await?;
        let taken = |name: &str| Series::new(name, Unit::Mebibytes);
        let alone = taken(TEMPLATE).with([disk.taken().await?]);
        let [mut ours, mut shared, mut copied] = [EMPTY_POOL, CLONE, FILE_COPY].map(Series::of_ms);
        let count = bench.runs(100, 5);
        let administrator = site.server.connect("postgres").await?;
        let mut last = None;
        for number in 0..count {
            let opened =
                site.open(&repository, &format!("change-{number}"), &[Chain::one_more(number).change()])?;
            let ready = site.ready(&opened).await?;
            ours.push(ready.elapsed_ms);
            last = ready.document["database_name"].as_str().map(str::to_owned);
            site.settle().await?;
            if number % 5 == 0 {
                for (method, series) in [("clone", &mut shared), ("copy", &mut copied)] {
                    administrator.batch_execute(&format!("SET file_copy_method = {method}")).await?;
                    series.push(
                        site.server.timed_clone(&administrator, &template, "STRATEGY FILE_COPY").await?,
                    );
                }
                progress(FIGURE.name, format!("{} of {count}: {}", number + 1, ms(ready.elapsed_ms)));
            }
        }
        let branches = taken(BRANCHES).over(count as f64).with([disk.taken().await?]);
        let database = last.expect("the last branch has a database");
        let updated = disk.update(&database, UPDATE, UPDATE_DISK).await?;
        // A session's own setting: the server itself goes on sharing blocks.
        administrator.batch_execute("SET file_copy_method = copy").await?;
        let sql = format!("CREATE DATABASE rival_copy TEMPLATE \"{template}\" STRATEGY FILE_COPY");
        administrator.batch_execute(&sql).await?;
        let full_copy = disk.update("rival_copy", COPY_UPDATE, COPY_UPDATE_DISK).await?;
        administrator.batch_execute("DROP DATABASE rival_copy").await?;
        site.finish().await;
        let times = vec![ours, shared, copied, alone, branches];
        Ok(Outcome::Measured([times, updated.to_vec(), full_copy.to_vec()].concat()))
    }
    .boxed()
}

/// What the data of a server takes, less its WAL, since some moment.
struct Disk<'s> {
    storage: &'s Storage,
    server: &'s Server,
    administrator: tokio_postgres::Client,
    before: f64,
}

impl<'s> Disk<'s> {
    async fn from_here(storage: &'s Storage, server: &'s Server) -> Result<Self> {
        let administrator = server.connect("postgres").await?;
        let mut disk = Self { storage, server, administrator, before: 0.0 };
        disk.before = disk.taken().await?;
        Ok(disk)
    }

    async fn taken(&self) -> Result<f64> {
        self.administrator.batch_execute("CHECKPOINT").await?;
        let sql = "select coalesce(sum(size), 0)::float8 / 1048576 as mib from pg_ls_waldir()";
        let wal: f64 = self.administrator.query_one(sql, &[]).await?.get("mib");
        Ok(self.storage.used_mib().await? - wal - self.before)
    }

    /// Updates one row in a hundred: how long it took, and the disk it added.
    async fn update(&self, database: &str, time: &str, disk: &str) -> Result<[Series; 2]> {
        let client = self.server.connect(database).await?;
        let before = self.taken().await?;
        let began = Instant::now();
        client.batch_execute(UPDATED).await?;
        let elapsed = milliseconds(began.elapsed());
        drop(client);
        let added = self.taken().await? - before;
        Ok([Series::of_ms(time).with([elapsed]), Series::new(disk, Unit::Mebibytes).with([added])])
    }
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let all = measured.series(BRANCHES, None);
    let count = all.and_then(|series| series.over).unwrap_or_default();
    [
        Claim::at_most(
            "pool empty, copy-on-write, 1 GiB: webhook → ready",
            measured.median(EMPTY_POOL),
            250.0,
            ms,
        ),
        Claim::at_most(
            &format!("disk of the template and {count} branches"),
            all.and_then(Series::median),
            1.3 * 1024.0,
            mib,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
