//! A pull request with one new migration on a known base, from its webhook to ready, beside its rivals.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use integration::prisma::{PrismaCli, PrismaSession};

use super::{Claim, Figure, Outcome, ms, ratio, times};
use crate::bench::{Bench, progress};
use crate::chain::{Chain, Migration};
use crate::results::{Measured, Series};
use crate::server::{Server, run};
use crate::site::{Plan, Site, milliseconds};

pub const OFFSHOOT: &str = "Offshoot: webhook → ready";
const BARE: &str = "the migration on an open connection";
pub const SCRIPT: &str = "script: `createdb -T`, `psql -f`, grants";
pub const PRISMA_CLI: &str = "Prisma's CLI: `migrate deploy` from empty";
const PRISMA_ENGINE: &str = "Prisma's engine alone, Node already started";
/// All that `migrate deploy` wants of a schema.
const SCHEMA: &str = "datasource db {\n  provider = \"postgresql\"\n  url = env(\"DATABASE_URL\")\n}\n";
const PARTS: [&str; 6] = ["queued", "read", "acquire", "migrate", "seed", "total"];

pub const FIGURE: Figure = Figure {
    name: "ready",
    title: "One new migration on a known base",
    method: "A repository with the chain of 434 migrations, whose template and spares are there. Each run opens a pull request with one more \
             migration (a column and an index), posts its webhook and waits in a long poll of the branch that was under way before; the time \
             is from sending the webhook to having the whole answer that says ready. Beside it, in the same run and on the same server: the same \
             migration on a connection that is open to a database of the same content; the script that a user would write, by the real \
             programs; and, in fewer runs, Prisma's own CLI bringing an empty database to the same chain.",
    measure,
    claims,
};

fn measure(bench: &Bench) -> BoxFuture<'_, Result<Outcome>> {
    async move {
        let site = Site::start(bench, &Plan::default()).await?;
        let chain = Chain::generate(0);
        let repository = site.repository("shop", &chain, &[]).await?;
        let mut rivals = Rivals::prepare(&site.server, chain).await?;
        let [mut ours, mut bare, mut script] = [OFFSHOOT, BARE, SCRIPT].map(Series::of_ms);
        let [mut cli, mut engine] = [PRISMA_CLI, PRISMA_ENGINE].map(Series::of_ms);
        let mut parts = PARTS.map(|part| Series::of_ms(format!("timings_ms.{part}")));
        let (runs, prisma_runs) = (bench.runs(40, 5), bench.runs(10, 1));
        for number in 0..runs {
            let migration = Chain::one_more(number);
            let opened = site.open(&repository, &format!("change-{number}"), &[migration.change()])?;
            let ready = site.ready(&opened).await?;
            ours.push(ready.elapsed_ms);
            for (series, part) in parts.iter_mut().zip(PARTS) {
                series.push(ready.timing(part));
            }
            site.settle().await?;
            bare.push(rivals.bare(&migration).await?);
            script.push(rivals.script(number, &migration).await?);
            if number * prisma_runs / runs != (number + 1) * prisma_runs / runs {
                cli.push(rivals.prisma_cli(number).await?);
                engine.push(rivals.prisma_engine(number).await?);
            }
            progress(
                FIGURE.name,
                format!("{} of {runs}: {}", number + 1, last([&ours, &bare, &script, &cli])),
            );
        }
        site.finish().await;
        Ok(Outcome::Measured([vec![ours, bare, script, cli, engine], parts.to_vec()].concat()))
    }
    .boxed()
}

fn last(series: [&Series; 4]) -> String {
    let names = ["offshoot", "bare", "script", "prisma"];
    let said = series
        .iter()
        .zip(names)
        .filter_map(|(series, name)| Some(format!("{name} {}", ms(*series.values.last()?))));
    said.collect::<Vec<_>>().join(", ")
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let ours = measured.median(OFFSHOOT);
    let above = ours.zip(measured.median(BARE)).map(|(ours, bare)| ours - bare);
    let p95 = measured.series(OFFSHOOT, None).and_then(Series::p95);
    [
        Claim::at_most("above the migration on an open connection", above, 25.0, ms),
        Claim::at_most("p95 in proportion to the median", ratio(p95, ours), 2.0, times),
        Claim::at_least(
            "faster than Prisma's CLI from empty",
            ratio(measured.median(PRISMA_CLI), ours),
            40.0,
            times,
        ),
        Claim::at_least("faster than the script", ratio(measured.median(SCRIPT), ours), 3.0, times),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a user would do instead, on the service's own server.
struct Rivals {
    server: Server,
    template: String,
    /// Of a database of the same content.
    open: tokio_postgres::Client,
    administrator: tokio_postgres::Client,
    chain: Chain,
    files: tempfile::TempDir,
    cli: PrismaCli,
    engine: PrismaSession,
}

impl Rivals {
    async fn prepare(server: &Server, chain: Chain) -> Result<Self> {
        let administrator = server.connect("postgres").await?;
        let template = server.template().await?;
        administrator.batch_execute(&format!("CREATE DATABASE rival_open TEMPLATE \"{template}\"")).await?;
        let open = server.connect("rival_open").await?;
        let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integration/node");
        let files = tempfile::tempdir()?;
        chain.write_to(&files.path().join("migrations"))?;
        std::fs::write(files.path().join("schema.prisma"), SCHEMA)?;
        let (cli, engine) = (PrismaCli::new(&node)?, PrismaSession::start(&node)?);
        Ok(Self { server: server.clone(), template, open, administrator, chain, files, cli, engine })
    }

    async fn bare(&self, migration: &Migration) -> Result<f64> {
        let began = Instant::now();
        self.open.batch_execute(&migration.sql).await.context("run the migration on the open connection")?;
        Ok(milliseconds(began.elapsed()))
    }

    async fn script(&self, number: usize, migration: &Migration) -> Result<f64> {
        let (name, file) = (format!("rival_script_{number}"), self.files.path().join("migration.sql"));
        std::fs::write(&file, &migration.sql)?;
        let grants = format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'script'; GRANT ALL ON DATABASE {name} TO {name}; GRANT ALL ON SCHEMA public TO {name}; \
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}"
        );
        let began = Instant::now();
        run(self.server.command("createdb").args(["-T", &self.template, &name])).await?;
        let mut psql = self.server.command("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &name, "-f"]).arg(&file).args(["-c", &grants]);
        run(&mut psql).await?;
        let elapsed = milliseconds(began.elapsed());
        self.administrator.batch_execute(&format!("DROP DATABASE {name}")).await?;
        self.administrator.batch_execute(&format!("DROP ROLE {name}")).await?;
        Ok(elapsed)
    }

    async fn prisma_cli(&self, number: usize) -> Result<f64> {
        let database = self.empty_database(number).await?;
        let (migrations, schema) =
            (self.files.path().join("migrations"), self.files.path().join("schema.prisma"));
        let began = Instant::now();
        let outcome = self.cli.migrate_deploy(&self.server.url(&database), &migrations, &schema).await?;
        let elapsed = milliseconds(began.elapsed());
        ensure!(outcome.success, "prisma migrate deploy: {} {}", outcome.stdout, outcome.stderr);
        self.drop(&database).await?;
        Ok(elapsed)
    }

    async fn prisma_engine(&mut self, number: usize) -> Result<f64> {
        let database = self.empty_database(number).await?;
        let (url, migrations) = (self.server.url(&database), self.files.path().join("migrations"));
        let began = Instant::now();
        let applied = self.engine.deploy(&url, &migrations).await??;
        let elapsed = milliseconds(began.elapsed());
        ensure!(applied.len() == self.chain.migrations.len(), "Prisma applied {} migrations", applied.len());
        self.drop(&database).await?;
        Ok(elapsed)
    }

    async fn empty_database(&self, number: usize) -> Result<String> {
        let name = format!("rival_prisma_{number}");
        self.administrator.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
        Ok(name)
    }

    async fn drop(&self, database: &str) -> Result<()> {
        // Prisma's session may still be on its way out.
        self.administrator.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)")).await?;
        Ok(())
    }
}
