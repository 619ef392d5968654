//! The service on servers of its operator's own: PostgreSQL in containers, of the newest major version and an older one.

use anyhow::Result;
use integration::containers::PostgresContainer;
use integration::offshoot::Server;

use crate::samples::{play, sample};
use crate::world::World;

#[tokio::test]
async fn the_samples_on_postgresql_18() -> Result<()> {
    samples_on(18).await
}

#[tokio::test]
async fn the_samples_on_postgresql_15() -> Result<()> {
    samples_on(15).await
}

/// The control database, the layers and the branches on one server in a container.
async fn samples_on(major: u16) -> Result<()> {
    let server = PostgresContainer::start(major).await?;
    let world = World::start_with(|options| options.server = Server::At(server.url())).await?;
    for name in ["crm", "prj-core"] {
        play(&world, &sample(name)?).await?;
    }
    world.finish().await
}
