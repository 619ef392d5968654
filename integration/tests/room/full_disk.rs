//! A disk that pull requests really fill: a small file system of its own, which root alone can mount.

use anyhow::{Context, Result, ensure};
use integration::local_server::LocalServer;
use integration::offshoot::{Server, connect};
use nix::sys::statvfs::statvfs;

use super::TROUBLE;
use crate::chaos::disk::Disk;
use crate::shop::{SHOP, column, migration};
use crate::world::World;

const DISK_MEGABYTES: u64 = 700;
const FLOOR_MEGABYTES: u64 = 100;

/// Some 30 MB, so that a dozen branches fill the disk.
fn large() -> integration::git::Change {
    let sql = "create table large as select n, repeat(md5(n::text), 30) as text from generate_series(1, 30000) as n;\n";
    migration("20260102000000_large", sql)
}

fn free_megabytes(disk: &Disk) -> Result<u64> {
    let found = statvfs(&disk.server()).context("look at the disk")?;
    Ok(found.blocks_available() * found.fragment_size() / 1_000_000)
}

#[tokio::test]
#[ignore = "wants root, to mount a disk"]
async fn a_disk_that_fills_up_stops_new_work_before_postgres() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let disk = Disk::mount(directory.path(), DISK_MEGABYTES)?;
    let server = LocalServer::create(&disk.server()).await?;
    let world = World::start_with(|options| {
        options.server = Server::At(server.url());
        let floor = format!("{FLOOR_MEGABYTES}M");
        options.environment.push(("OFFSHOOT_DISK_FLOOR".to_owned(), floor));
        options.expected_trouble.extend(TROUBLE.map(str::to_owned));
    })
    .await?;
    world.open_shop_with(&[large()])?;

    // Pull requests come until there is no room for another.
    let mut ready = Vec::new();
    let (waiting, waiting_sha) = loop {
        let number = ready.len() + 1;
        ensure!(number < 40, "the disk does not fill up: {} MB are free", free_megabytes(&disk)?);
        let (branch, sha) = world.propose(&format!("c{number}"), &[column(&format!("c{number}"))])?;
        let answer = world.offshoot.branch_at(&branch, &sha, &[200, 423]).await?;
        match answer.status.as_u16() {
            200 => ready.push((branch, answer.database_url()?.to_owned())),
            _ => break (branch, sha),
        }
    };
    world.waits(&waiting, &waiting_sha, 1).await?;
    eprintln!("{} branches are ready, the next waits; {} MB are free", ready.len(), free_megabytes(&disk)?);
    ensure!(ready.len() > 3, "only {} fit", ready.len());
    ensure!(free_megabytes(&disk)? >= FLOOR_MEGABYTES * 9 / 10, "the floor was not held");

    // Whoever has a database goes on in it; whoever comes later waits behind.
    let (late, late_sha) = world.propose("late", &[column("late")])?;
    world.waits(&late, &late_sha, 2).await?;
    for (branch, url) in &ready {
        let client = connect(url).await.with_context(|| format!("enter {branch:?}"))?;
        client.batch_execute("update items set name = 'seen'; create table own as select 1 as one").await?;
    }
    ensure!(!server.log()?.contains("PANIC"), "PostgreSQL ended");

    // Room again: those who waited go on by themselves, in their order.
    world.github.close(SHOP, ready[0].0.number)?;
    world.github.close(SHOP, ready[1].0.number)?;
    world.github.close(SHOP, ready[2].0.number)?;
    world.offshoot.ready(&waiting, &waiting_sha).await?;
    world.offshoot.ready(&late, &late_sha).await?;
    ensure!(!server.log()?.contains("PANIC"), "PostgreSQL ended");
    world.finish().await
}
