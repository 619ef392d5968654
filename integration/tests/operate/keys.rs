//! The key to the credentials is replaced, and every URL stays.

use anyhow::{Result, ensure};
use integration::offshoot::connect;

use crate::shop::column;
use crate::world::World;

const NEW_KEY: &str = "0ff5400700000000000000000000000000000000000000000000000000000b0b";

#[tokio::test]
async fn the_secret_key_is_replaced_and_urls_stay() -> Result<()> {
    let mut world = World::start_with(|options| {
        options.expected_trouble.push("cannot be decrypted".to_owned());
    })
    .await?;
    world.offshoot.secrets().add(NEW_KEY);
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let before = world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;
    let old = std::fs::read_to_string(world.offshoot.data_dir().join("secret.key"))?;
    world.offshoot.secrets().add(old.trim());
    world.offshoot.terminate().await?;

    world.offshoot.set("OFFSHOOT_SECRET_KEY", Some(NEW_KEY));
    ensure!(world.offshoot.restart().await.is_err(), "it starts with a key that opens nothing");

    world.offshoot.set("OFFSHOOT_SECRET_KEY_PREVIOUS", Some(old.trim()));
    world.offshoot.restart().await?;
    let rotated = world.offshoot.ready(&branch, &sha).await?;
    ensure!(rotated.database_url()? == before.database_url()?, "the URL changed");
    world.offshoot.terminate().await?;

    world.offshoot.set("OFFSHOOT_SECRET_KEY_PREVIOUS", None);
    world.offshoot.restart().await?;
    let after = world.offshoot.ready(&branch, &sha).await?;
    ensure!(after.database_url()? == before.database_url()?, "the URL changed");
    connect(after.database_url()?).await?.query("select color from items", &[]).await?;
    world.finish().await
}
