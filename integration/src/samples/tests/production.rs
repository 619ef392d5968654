//! Whether production, where Prisma itself deploys the base and then the pull request, ends as the stories expect.

use std::path::Path;

use super::truth::{Chain, run_seed, scratch};
use super::*;
use crate::containers::PostgresContainer;
use crate::prisma::{PrismaSession, bookkeeping_rows};

/// The findings of which Prisma says nothing: production does not hold the head's chain afterwards.
const SILENT: [FindingKind; 2] = [FindingKind::EditedApplied, FindingKind::RemovedApplied];

fn write(files: &Files, directory: &str, to: &Path) {
    for (path, bytes) in files.below(directory) {
        let path = to.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn production_ends_as_the_stories_expect() {
    let server = PostgresContainer::start(18).await.unwrap();
    let url = server.url();
    let node_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    let mut prisma = PrismaSession::start(&node_dir).unwrap();
    for sample in all().unwrap() {
        for (index, moment) in sample.moments().unwrap().iter().enumerate() {
            let Some(expect) = &moment.step.expect else { continue };
            let Some(applied) = &expect.applied else { continue };
            let place = format!("{} {} step {:?}", sample.name, moment.pull.slug, moment.step.action);
            let database = format!("production_{}_{index}", sample.name.replace('-', "_"));
            let client = scratch(&url, &database).await;
            let database_url = format!("{}/{database}", url.rsplit_once('/').unwrap().0);
            let directory = tempfile::tempdir().unwrap();
            let (base, head) = (directory.path().join("base"), directory.path().join("head"));
            write(&moment.merge_base, &sample.migrations, &base);
            write(&moment.head, &sample.migrations, &head);

            prisma.deploy(&database_url, &base).await.unwrap().unwrap();
            run_seed(&client, &Chain::of(&sample, moment).seed).await;
            let outcome = prisma.deploy(&database_url, &head).await.unwrap();
            // Production runs a renamed migration a second time, which is why it is a finding.
            if expect.findings.contains(&FindingKind::RenamedApplied) {
                assert!(outcome.is_err(), "{place}");
                continue;
            }
            assert_eq!(outcome.is_ok(), expect.failure.is_none(), "{place}: {outcome:?}");
            let rows = bookkeeping_rows(&client).await.unwrap();
            let (finished, failed): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.finished);
            let finished: Vec<_> = finished.into_iter().map(|row| row.migration_name).collect();
            let failed: Vec<_> = failed.into_iter().map(|row| row.migration_name).collect();
            assert_eq!(
                failed,
                Vec::from_iter(expect.failure.iter().map(|failure| failure.migration.clone())),
                "{place}"
            );
            if !expect.findings.iter().any(|finding| SILENT.contains(finding)) {
                assert_eq!(&finished, applied, "{place}");
            }
        }
    }
}
