//! PostgreSQL servers in containers: for what a test may not do to the shared server (stop it, kill it, freeze it)
//! and for the other major versions.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, bail};
use testcontainers::core::{IntoContainerPort, client::docker_client_instance};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;

/// Names the image to start, whatever the major version asked for.
pub const IMAGE_VARIABLE: &str = "OFFSHOOT_TEST_POSTGRES_IMAGE";

const POSTGRES_PORT: u16 = 5432;
/// Enough for `initdb` on a machine whose every core is busy with other tests.
const START_LIMIT: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_millis(50);
/// How long a server that is told to stop may take before Docker kills it, in seconds.
const STOP_LIMIT: i32 = 20;

/// A PostgreSQL server of its own. Dropping it removes the container.
#[derive(Debug)]
pub struct PostgresContainer {
    container: ContainerAsync<GenericImage>,
    host: String,
    port: u16,
    password: String,
}

impl PostgresContainer {
    /// Starts a server of this major version and waits until it takes connections.
    ///
    /// # Errors
    /// Docker does not answer, has no image and cannot pull one, or the server is not up within a minute.
    pub async fn start(major: u16) -> anyhow::Result<Self> {
        let (name, tag) = split_tag(&choose_image(major).await?);
        let port = free_port()?;
        let password = random_password();
        let container = GenericImage::new(&name, &tag)
            // A fixed port, so that the server has the same URL after a restart.
            .with_mapped_port(port, POSTGRES_PORT.tcp())
            .with_env_var("POSTGRES_PASSWORD", &password)
            .with_startup_timeout(START_LIMIT)
            .start()
            .await
            .with_context(|| {
                format!("starting a container of {name}:{tag} (scripts/setup docker images makes both an engine and an image)")
            })?;
        let host = container.get_host().await.context("asking Docker for the container's host")?.to_string();
        let server = Self { container, host, port, password };
        server.wait_until_up().await?;
        Ok(server)
    }

    /// The administrator's URL.
    pub fn url(&self) -> String {
        format!("postgres://postgres:{}@{}/postgres", self.password, self.host_port())
    }

    /// `host:port`, as a branch URL has it.
    pub fn host_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Ends every session and stops the server as an operator would.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.container.stop_with_timeout(Some(STOP_LIMIT)).await.context("stopping the PostgreSQL container")
    }

    /// Kills the server at once: no checkpoint, no goodbye to its clients.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.container.stop_with_timeout(Some(0)).await.context("killing the PostgreSQL container")
    }

    /// Starts a stopped or killed server again, with its data and its URL, and waits until it takes connections.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.container.start().await.context("starting the PostgreSQL container again")?;
        self.wait_until_up().await
    }

    /// Freezes the server: connections stay open and nothing answers.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.container.pause().await.context("freezing the PostgreSQL container")
    }

    /// Ends [`pause`](Self::pause).
    pub async fn resume(&self) -> anyhow::Result<()> {
        self.container.unpause().await.context("waking the PostgreSQL container")
    }

    /// A connection is the only proof that holds for every image: the official one logs that it is ready once
    /// before it really is.
    async fn wait_until_up(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let error = match tokio_postgres::connect(&self.url(), NoTls).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if !self.container.is_running().await? {
                bail!("the PostgreSQL container ended while starting; its log says:\n{}", self.log().await);
            }
            if Instant::now() >= deadline {
                let log = self.log().await;
                return Err(error).with_context(|| {
                    format!("PostgreSQL in a container is not up after {START_LIMIT:?}; its log says:\n{log}")
                });
            }
            sleep(RETRY_EVERY).await;
        }
    }

    async fn log(&self) -> String {
        match self.container.stderr_to_vec().await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("(no log: {error})"),
        }
    }
}

/// The official image where it is at hand, else the one that `scripts/setup images` makes; with neither, the
/// official one, which Docker then pulls.
async fn choose_image(major: u16) -> anyhow::Result<String> {
    if let Ok(image) = std::env::var(IMAGE_VARIABLE) {
        return Ok(image);
    }
    let docker =
        docker_client_instance().await.context("reaching Docker (scripts/setup docker starts an engine)")?;
    let official = format!("postgres:{major}");
    let ours = format!("offshoot-test/postgres:{major}");
    for image in [&official, &ours] {
        if docker.inspect_image(image).await.is_ok() {
            return Ok(image.clone());
        }
    }
    Ok(official)
}

/// `registry:5000/name:tag` in its two parts; a colon before a slash belongs to the registry.
fn split_tag(image: &str) -> (String, String) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), tag.to_owned()),
        _ => (image.to_owned(), "latest".to_owned()),
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("0.0.0.0", 0)).context("looking for a free port for a container")?;
    Ok(listener.local_addr()?.port())
}

fn random_password() -> String {
    let bytes: [u8; 16] = rand::random();
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn query(server: &PostgresContainer, sql: &str) -> anyhow::Result<String> {
        let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await?;
        let driver = tokio::spawn(connection);
        let answer = client.query_one(sql, &[]).await?.try_get(0)?;
        drop(client);
        driver.await??;
        Ok(answer)
    }

    #[tokio::test]
    async fn starts_the_major_version_asked_for() -> anyhow::Result<()> {
        for major in [18, 15] {
            let server = PostgresContainer::start(major).await?;
            let version = query(&server, "select version()").await?;
            assert!(version.starts_with(&format!("PostgreSQL {major}.")), "asked for {major}, got {version}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn keeps_its_url_and_its_data_when_killed_and_restarted() -> anyhow::Result<()> {
        let server = PostgresContainer::start(18).await?;
        let url = server.url();
        query(&server, "select pg_catalog.lo_create(4711)::text").await?;
        server.kill().await?;
        assert!(query(&server, "select version()").await.is_err(), "a killed server answered");
        server.restart().await?;
        assert_eq!(server.url(), url);
        assert_eq!(query(&server, "select oid::text from pg_catalog.pg_largeobject_metadata").await?, "4711");
        Ok(())
    }

    #[tokio::test]
    async fn answers_nothing_while_paused_and_again_when_resumed() -> anyhow::Result<()> {
        let server = PostgresContainer::start(18).await?;
        server.pause().await?;
        let answer =
            tokio::time::timeout(Duration::from_millis(300), query(&server, "select version()")).await;
        assert!(answer.is_err(), "a frozen server answered");
        server.resume().await?;
        query(&server, "select version()").await?;
        Ok(())
    }

    #[test]
    fn a_registrys_port_is_not_a_tag() {
        assert_eq!(split_tag("postgres:18"), ("postgres".into(), "18".into()));
        assert_eq!(split_tag("localhost:5000/postgres"), ("localhost:5000/postgres".into(), "latest".into()));
    }
}
