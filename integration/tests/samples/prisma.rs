//! Prisma itself on the branches: it finds nothing to do.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use integration::prisma::{PrismaCli, PrismaSession};
use integration::samples::{Moment, Sample};

/// Prisma's engine for every branch, and its CLI for the first.
pub struct Prisma<'s> {
    sample: &'s Sample,
    session: PrismaSession,
    cli: Option<PrismaCli>,
}

impl<'s> Prisma<'s> {
    pub fn start(sample: &'s Sample) -> Result<Self> {
        let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integration/node");
        Ok(Self { sample, session: PrismaSession::start(&node)?, cli: Some(PrismaCli::new(node)?) })
    }

    /// Neither `migrate status` nor `migrate deploy` sees a difference between the branch and the head's directory.
    pub async fn finds_nothing_to_do(&mut self, url: &str, moment: &Moment<'_>) -> Result<()> {
        let root = tempfile::tempdir()?;
        let project = Path::new(&self.sample.migrations).parent().context("migrations are in a directory")?;
        for (path, bytes) in moment.head.below(&project.to_string_lossy()) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
            std::fs::write(path, bytes)?;
        }
        let migrations = root.path().join("migrations");
        let diagnosis = self.session.diagnose(url, &migrations).await??;
        let clean = diagnosis.has_migrations_table
            && diagnosis.history.is_none()
            && diagnosis.edited_migration_names.is_empty()
            && diagnosis.failed_migration_names.is_empty();
        ensure!(clean, "{diagnosis:?}");
        let applied = self.session.deploy(url, &migrations).await??;
        ensure!(applied.is_empty(), "Prisma had to apply {applied:?}");
        // The CLI takes seconds to start: once a sample.
        if let Some(cli) = self.cli.take() {
            let file = root.path().join("schema.prisma");
            let schema = if file.is_file() { file } else { root.path().join("schema") };
            let status = cli.migrate_status(url, &migrations, &schema).await?;
            ensure!(status.success && status.stdout.contains("Database schema is up to date!"), "{status:?}");
            let deployed = cli.migrate_deploy(url, &migrations, &schema).await?;
            ensure!(
                deployed.success && deployed.stdout.contains("No pending migrations to apply"),
                "{deployed:?}"
            );
        }
        Ok(())
    }
}
