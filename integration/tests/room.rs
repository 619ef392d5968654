//! A disk that runs full: new work stops before PostgreSQL does, in a queue that people can see, and goes on by itself.

mod full_disk;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result, ensure};
use http::Method;
use integration::offshoot::{BranchRef, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::forks::fork;
use crate::shop::{SHOP, column, migration};
use crate::world::{LIMIT, World};

const MEGABYTE: u64 = 1024;
const GIGABYTE: u64 = 1024 * MEGABYTE;
/// Of 100 GB, what is kept free unless the operator says otherwise.
const FLOOR: u64 = 2 * GIGABYTE;
/// What the service says once it has to refuse, and after a kill.
const TROUBLE: [&str; 2] = ["there is no room for new databases", "took jobs back"];

/// The server's `df`, as the test wants it: it tells of a disk of 100 GB.
struct Df(TempDir);

impl Df {
    fn telling(free_kilobytes: u64) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("offshoot-df-").tempdir()?;
        // The server runs as another user where the test runs as root.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let df = Self(directory);
        df.tell(free_kilobytes)?;
        let script = format!(
            "#!/bin/sh\nread -r free < {}\necho Filesystem 1024-blocks Used Available Capacity Mounted on\necho disk {} 1 \"$free\" 1% /\n",
            df.0.path().join("free").display(),
            100 * GIGABYTE
        );
        let program = df.0.path().join("df");
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(df)
    }

    /// From now on. In one step: half a number would be another one.
    fn tell(&self, free_kilobytes: u64) -> Result<()> {
        let next = self.0.path().join("free.next");
        fs::write(&next, format!("{free_kilobytes}\n"))?;
        Ok(fs::rename(next, self.0.path().join("free"))?)
    }

    /// Has the service's server find this one first.
    fn install(&self, options: &mut Options) -> Result<()> {
        let rest = std::env::var("PATH").context("a PATH")?;
        options.environment.push(("PATH".to_owned(), format!("{}:{rest}", self.0.path().display())));
        options.expected_trouble.extend(TROUBLE.map(str::to_owned));
        Ok(())
    }
}

async fn world(df: &Df) -> Result<World> {
    let mut installed = Ok(());
    let world = World::start_with(|options| installed = df.install(options)).await?;
    installed?;
    Ok(world)
}

impl World {
    /// Waits until the branch has this place in the queue for a commit, as CI is told without waiting for it.
    async fn waits(&self, branch: &BranchRef, sha: &str, place: u64) -> Result<Value> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = self.offshoot.branch(branch).await?;
            if answer.status == 423 && answer.text("sha") == sha && answer.body["queue_place"] == place {
                ensure!(answer.headers.contains_key("retry-after"), "{answer:?}");
                return Ok(answer.body);
            }
            ensure!(Instant::now() < deadline, "{branch:?} does not wait at place {place}: {answer:?}");
            sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn below_the_floor_new_work_waits_in_a_queue_and_goes_on_in_its_order() -> Result<()> {
    let df = Df::telling(50 * GIGABYTE)?;
    let world = world(&df).await?;
    world.open_shop()?;
    let (first, first_sha) = world.propose("color", &[column("color")])?;
    let url = world.offshoot.ready(&first, &first_sha).await?.database_url()?.to_owned();
    world.settle().await?;
    world.until("select count(*) = 1 from instances where state = 'spare'").await?;

    // What nobody waits for is given back, also before anybody waits.
    df.tell(FLOOR - 1)?;
    world.until("select count(*) = 0 from instances where state in ('filling', 'spare', 'trash')").await?;

    let (second, second_sha) = world.propose("size", &[column("size")])?;
    let said = world.waits(&second, &second_sha, 1).await?;
    let detail = said["detail"].as_str().context("a detail")?;
    ensure!(detail.contains("nearly full") && detail.contains("place in the queue is 1"), "{detail}");
    let (third, third_sha) = world.propose("weight", &[column("weight")])?;
    world.waits(&third, &third_sha, 2).await?;
    let pushed = world.push(&first, &[migration("20260202000000_more", "create table more (id int);\n")])?;
    world.waits(&first, &pushed, 3).await?;

    // Everybody is told, and what stands goes on.
    world.is_told(&third, "place in the queue is 2").await?;
    world.ensure_checks_ended(SHOP, &[third_sha.parse()?])?;
    let listed = world.listed(&third).await?;
    ensure!(listed["state"] == "blocked" && listed["queue_place"] == 2, "{listed}");
    for path in ["/", "/repos/acme/shop/pulls/3"] {
        let page = world.page(path).await?;
        ensure!(page.contains("place 2") || page.contains("place in the queue is 2"), "{path}: {page}");
    }
    let client = integration::offshoot::connect(&url).await?;
    client.batch_execute("insert into items (name) values ('kept')").await?;
    world.at_least("offshoot_branches_waiting_for_room", 3.0).await?;
    world.at_least("offshoot_disk_floor_bytes", (FLOOR * 1024) as f64).await?;

    // Whoever leaves the queue lets the others move up.
    world.offshoot.call(Method::DELETE, &second.path(), None).await?;
    world.waits(&third, &third_sha, 1).await?;
    world.waits(&first, &pushed, 2).await?;

    df.tell(50 * GIGABYTE)?;
    world.offshoot.ready(&third, &third_sha).await?;
    world.offshoot.ready(&first, &pushed).await?;
    world.settle().await?;
    let order = "select (select ready_at from branches where pull_request = 3) < (select ready_at from branches where pull_request = 1)";
    world.until(order).await.context("they went on in another order than they had come in")?;
    let kept = client.query_one("select count(*) from items where name = 'kept'", &[]).await?;
    ensure!(kept.try_get::<_, i64>(0)? == 1, "a database that stood was built anew");
    world.is_told(&third, "Database ready").await?;
    world.until("select count(*) > 0 from instances where state = 'spare'").await?;
    world.finish().await
}

#[tokio::test]
async fn what_does_not_fit_is_not_begun() -> Result<()> {
    // Above the floor, but an empty database takes more than there is.
    let df = Df::telling(FLOOR + 5 * MEGABYTE)?;
    let mut world = world(&df).await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let said = world.waits(&branch, &sha, 1).await?;
    let detail = said["detail"].as_str().context("a detail")?;
    ensure!(detail.contains("no room for another 8.0 MB"), "{detail}");
    let standing = world.offshoot.standing().await?;
    ensure!(standing.databases.iter().all(|name| !name.contains("offshoot_")), "{standing:?}");
    // A close is heard in the queue as well.
    let (other, other_sha) = world.propose("size", &[column("size")])?;
    world.waits(&other, &other_sha, 2).await?;
    world.github.close(SHOP, branch.number)?;
    world.waits(&other, &other_sha, 1).await?;
    // And a kill loses no place.
    world.offshoot.kill9()?;
    world.offshoot.restart().await?;
    world.waits(&other, &other_sha, 1).await?;
    df.tell(FLOOR + 500 * MEGABYTE)?;
    world.offshoot.ready(&other, &other_sha).await?;
    world.finish().await
}

#[tokio::test]
async fn a_fork_waits_for_room_and_is_made_when_there_is_some() -> Result<()> {
    let df = Df::telling(50 * GIGABYTE)?;
    let world = world(&df).await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    df.tell(FLOOR - 1)?;
    world.at_least("offshoot_disk_floor_bytes", (FLOOR * 1024) as f64).await?;
    world.until("select count(*) = 0 from instances where state in ('filling', 'spare', 'trash')").await?;

    let fork = fork(&world, &branch, "");
    let room = async {
        let waits = "select count(*) = 1 from jobs where kind = 'fill_forks' and state = 'available' and last_error like '%waits for room%'";
        world.until(waits).await?;
        world.until("select count(*) = 0 from forks where state = 'live'").await?;
        df.tell(50 * GIGABYTE)
    };
    let (fork, room) = tokio::join!(fork, room);
    room?;
    let fork = fork?;
    ensure!(fork.status == 201, "{fork:?}");
    let inside = integration::offshoot::connect(fork.database_url()?).await?;
    inside.query("select color from items", &[]).await?;
    drop(inside);
    world.finish().await
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_disk_is_not_held_back_and_doctor_says_so() -> Result<()> {
    let df = Df::telling(0)?;
    fs::write(df.0.path().join("df"), "#!/bin/sh\nexit 1\n")?;
    let mut world = world(&df).await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    world.offshoot.terminate().await?;
    let output = world.offshoot.command(&["doctor"]).output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(said.contains("not ok disk: the branch server does not tell"), "{said}");
    world.offshoot.restart().await?;
    world.finish().await
}
