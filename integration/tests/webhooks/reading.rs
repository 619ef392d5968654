//! What is asked of GitHub to make a database.

use anyhow::Result;
use http::Method;
use integration::git::Change;
use serde_json::json;

use crate::shop::{INIT, MIGRATIONS, column, migration};
use crate::world::World;

/// GitHub shows a file that is added with the comparison, which is asked for in any case: of a known base, a new migration costs one request, however
/// large the repository is.
#[tokio::test]
async fn a_new_migration_comes_with_the_comparison() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (first, _) = world.propose("colour", &[column("colour")])?;
    world.settle().await?;
    let mark = world.github.mark();
    let (branch, sha) = world.propose("size", &[column("size")])?;
    world.settle().await?;
    let asked = world.github.requests_since(mark);
    let read: Vec<&str> = asked
        .iter()
        .map(|request| request.path.as_str())
        .filter(|path| ["/compare/", "/git/", "/graphql"].iter().any(|part| path.contains(part)))
        .collect();
    let compared = format!("/repos/acme/shop/compare/main...{sha}");
    assert_eq!(read, [compared]);
    let document = world.offshoot.call(Method::GET, &branch.path(), None).await?.body;
    assert_eq!(document["migrations"]["applied"][1]["name"], "20260201000000_size");
    assert_ne!(first.number, branch.number);
    world.finish().await
}

/// A comparison tells of a file that was moved once, by its new path.
#[tokio::test]
async fn what_was_moved_away_is_not_there_any_more() -> Result<()> {
    let world = World::start().await?;
    world.open_shop_with(&[migration("20260102000000_more", "create table more (id int);\n")])?;
    world.propose("colour", &[column("colour")])?;
    world.settle().await?;
    let moved = [
        Change::remove(format!("{MIGRATIONS}/20260102000000_more/migration.sql")),
        Change::write("docs/more.txt", "create table more (id int);\n"),
    ];
    let (branch, _) = world.propose("parked", &moved)?;
    world.settle().await?;
    let document = world.offshoot.call(Method::GET, &branch.path(), None).await?.body;
    let applied = document["migrations"]["applied"]
        .as_array()
        .map(|applied| applied.iter().map(|migration| migration["name"].clone()).collect::<Vec<_>>());
    assert_eq!(applied, Some(vec![json!(INIT)]), "{document}");
    world.finish().await
}
