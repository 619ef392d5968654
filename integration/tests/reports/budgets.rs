//! How much is asked of GitHub. Counted is every request but the report's own: what begins, ends or looks for check runs and
//! comments. GraphQL counts, and so does the App's token.

use anyhow::{Result, ensure};
use integration::git::Change;
use integration::github::{LoggedRequest, Mark};

use crate::shop::{SHOP, column, migration};
use crate::world::World;

/// More than any page or batch holds.
const MANY: usize = 434;

fn readings(world: &World, since: Mark) -> Vec<String> {
    let is_report =
        |request: &LoggedRequest| request.path.contains("/check-runs") || request.path.contains("/comments");
    let requests = world.github.requests_since(since);
    let counted = requests.iter().filter(|request| !is_report(request));
    counted.map(|request| format!("{} {}", request.method, request.path)).collect()
}

fn ensure_at_most(budget: usize, readings: &[String]) -> Result<()> {
    ensure!(readings.len() <= budget, "{} requests instead of {budget}: {readings:#?}", readings.len());
    Ok(())
}

#[tokio::test]
async fn little_is_asked_of_github() -> Result<()> {
    let world = World::start().await?;
    let chain = |index: usize| {
        migration(&format!("2025{index:010}_m"), &format!("create table t{index} (id int);\n"))
    };
    let many: Vec<Change> = (0..MANY).map(chain).collect();
    world.open_shop_with(&many)?;
    world.settle().await?;

    let mark = world.github.mark();
    let (branch, sha) = world.propose("color", &[Change::write("README.md", "hello\n")])?;
    let answer = world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    ensure!(answer.applied()?.len() == MANY + 1, "{} migrations", answer.applied()?.len());
    ensure_at_most(15, &readings(&world, mark))?;

    let mark = world.github.mark();
    let sha = world.push(&branch, &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    ensure_at_most(4, &readings(&world, mark))?;

    let mark = world.github.mark();
    let sha = world.push(&branch, &[Change::write("README.md", "hello again\n")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    ensure_at_most(3, &readings(&world, mark))?;
    ensure!(world.github.check_runs(SHOP, sha.parse()?)?.len() == 1, "one check run");
    world.finish().await
}
