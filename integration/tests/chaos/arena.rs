//! Where chaos reigns: two replicas before one PostgreSQL, with a proxy between them, and a simulated GitHub.

use std::time::Duration;

use anyhow::Result;
use integration::github::{Settings, SimulatedGitHub};
use integration::invariants;
use integration::local_server::LocalServer;
use integration::offshoot::{Offshoot, Options, Server};
use integration::proxy::Proxy;
use integration::storm::{Disorder, Postman, Size, Storm};
use tokio::time::Instant;

use super::clock::Clock;
use super::disk::Disk;
use super::faults::Breaker;
use super::score::Score;
use crate::storm::ended;

const REPLICAS: usize = 2;
/// Enough disk for a server, its WAL, and the layers and spares that are kept whatever is open: unless it is filled, nobody waits for room.
const MEGABYTES: u64 = 500;
/// Enough for a pull request's database, and the layer that it may bring to its base.
const MEGABYTES_FOR_EACH: u64 = 20;
const SENDERS: usize = 8;
/// A measurement of cloning is under way a moment after each start, so that what it makes is met by every fault.
const CALIBRATE_AFTER: &str = "OFFSHOOT_CALIBRATE_AFTER";
/// From the end of the faults to rest. A request that GitHub does not answer is given up after 20 s, and what failed five times is
/// tried again after 40 s at the most. After a long storm some dozen layers are checked one after the other, seconds each on a busy machine.
const CONVERGENCE: Duration = Duration::from_secs(300);
/// Everything may be in the log of a service that this is done to, and why it did not start, but for a panic.
const EXPECTED_TROUBLE: [&str; 4] = ["\"level\":\"WARN\"", "\"level\":\"ERROR\"", "error: ", "because: "];

/// Fields are dropped in this order: the service before its server, the server before its disk.
pub struct Arena {
    storm: Storm,
    replicas: Vec<Offshoot>,
    proxy: Proxy,
    server: LocalServer,
    github: SimulatedGitHub,
    clock: Option<Clock>,
    disk: Option<Disk>,
    _directory: tempfile::TempDir,
}

impl Arena {
    /// Everything runs, nothing has been asked for.
    pub async fn open(size: Size, disorder: Disorder, seed: u64) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("offshoot-chaos-").tempdir()?;
        open_to_all(directory.path())?;
        let megabytes = MEGABYTES + MEGABYTES_FOR_EACH * u64::try_from(size.pulls)?;
        let disk = Disk::mount(directory.path(), megabytes);
        let disk = disk.inspect_err(|error| println!("the disk will not be filled: {error:#}")).ok();
        let of_server = match &disk {
            Some(disk) => disk.server(),
            None => directory.path().join("server"),
        };
        std::fs::create_dir_all(&of_server)?;
        let server = LocalServer::create(&of_server).await?;
        let proxy = Proxy::start(server.address()).await?;
        let repositories = directory.path().join("repositories");
        let github = SimulatedGitHub::start(Settings::new(repositories)).await?;
        // Storms ask more of GitHub than an hour's limit allows.
        github.set_rate_limit(1_000_000, 1_000_000, Duration::from_secs(3600));
        let clock = Clock::find(directory.path())?;
        let mut options = Options::new(env!("CARGO_BIN_EXE_offshoot"));
        options.server = Server::Behind { url: server.url_by(proxy.address()), direct: server.url() };
        options.environment = clock.as_ref().map(Clock::environment).unwrap_or_default();
        options.environment.push((CALIBRATE_AFTER.to_owned(), "2s".to_owned()));
        options.expected_trouble = EXPECTED_TROUBLE.map(str::to_owned).to_vec();
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            replicas.push(Offshoot::start(options.clone(), github.url()).await?);
        }
        let postman = Postman::new(&github, &options.webhook_secret, SENDERS, disorder, seed)?;
        postman.receivers().set(replicas.iter().map(Offshoot::webhook_url).collect());
        let storm = Storm::new(&github, size, seed, postman)?;
        Ok(Self { storm, replicas, proxy, server, github, clock, disk, _directory: directory })
    }

    /// Those who make the storm, and those who break things meanwhile.
    pub fn parts(&mut self) -> (&mut Storm, Breaker<'_>) {
        let receivers = self.storm.postman.receivers();
        let breaker = Breaker {
            github: self.github.clone(),
            server: &mut self.server,
            proxy: &self.proxy,
            replicas: &mut self.replicas,
            receivers,
            disk: self.disk.as_ref(),
            clock: self.clock.as_ref(),
            lost: None,
        };
        (&mut self.storm, breaker)
    }

    /// Waits for rest, which is given a bound, and compares everything with what it must be.
    pub async fn judge(&mut self, score: &mut Score) -> Result<()> {
        let calm = Instant::now();
        if let Err(error) = self.replicas[0].idle(CONVERGENCE).await {
            score.lost.push(format!("{error:#}"));
        }
        // The server may have gone on alone with what a killed replica had asked for: the sweep before passed that over. Another comes
        // every ten minutes, and with every start. And what is being measured is nobody's database either: now nobody measures any more.
        self.let_ten_minutes_pass().await?;
        for replica in &mut self.replicas {
            replica.terminate().await?;
            replica.set(CALIBRATE_AFTER, Some("1day"));
        }
        for replica in &mut self.replicas {
            replica.restart().await?;
        }
        let service = &self.replicas[0];
        if let Err(error) = service.idle(CONVERGENCE).await {
            score.lost.push(format!("{error:#}"));
        }
        score.converged = calm.elapsed();
        for expected in self.storm.crowd.expected()? {
            match ended(service, &expected).await {
                Ok(()) => score.right += 1,
                Err(error) => score.lost.push(format!("{error:#}")),
            }
        }
        score.found(invariants::broken(&self.github, service).await?);
        let log = self.server.log()?;
        score
            .wrong
            .extend(service.secrets().ensure_absent("PostgreSQL's log", &log).err().map(|e| e.to_string()));
        score.deliveries = self.storm.postman.tally();
        Ok(())
    }

    /// A layer that a killed builder left half made, and nobody else needs, is dropped after so long.
    async fn let_ten_minutes_pass(&self) -> Result<()> {
        let administrator = self.replicas[0].administrator().await?;
        let sql = "update layers set created_at = created_at - interval '11 minutes' where not complete;
                   insert into jobs (kind, subject, priority) values ('trim_layers', '', 20)
                   on conflict (kind, subject) where state = 'available' do update set run_at = now()";
        Ok(administrator.batch_execute(sql).await?)
    }

    /// Ends it; each replica must end well, with nothing in its log that should not be there.
    pub async fn close(self) -> Result<()> {
        for replica in self.replicas {
            replica.finish(&self.github).await?;
        }
        Ok(())
    }
}

/// The server runs as another user where the test runs as root.
fn open_to_all(directory: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?)
}
