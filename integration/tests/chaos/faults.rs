//! What breaks, one at a time or one upon the other, and how it is mended.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use integration::github::{self, Matcher, SimulatedGitHub};
use integration::local_server::{Ending, LocalServer};
use integration::offshoot::Offshoot;
use integration::proxy::Proxy;
use integration::storm::Receivers;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::time::sleep;

use super::clock::Clock;
use super::disk::Disk;
use super::score::Came;

/// How long anything that was broken may take to come up again.
const RETURN: Duration = Duration::from_secs(60);
/// A clock is off by so many seconds, one way or the other.
const JUMPS: [i64; 4] = [-7200, -90, 90, 7200];
/// Statements whose answer is lost: those that make, hand over, record and drop.
const STATEMENTS: [&str; 8] = [
    "CREATE DATABASE",
    "CREATE ROLE",
    "RENAME TO",
    "DROP DATABASE",
    "COMMIT",
    "INSERT INTO \"_prisma_migrations\"",
    "update branches set",
    "IS_TEMPLATE true",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of one replica, which is started again soon.
    Kill,
    /// `kill -9` of one replica, which stays away until the storm is over.
    LoseReplica,
    Postgres(Ending),
    /// Every connection to PostgreSQL is cut.
    Sever,
    /// One statement is carried out and its answer lost.
    SeverMidStatement,
    /// PostgreSQL's connections stay, and nothing comes through them.
    Stall,
    GitHub(Trouble),
    FullDisk,
    ClockJump,
}

/// How GitHub answers every request for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Internal,
    PrimaryLimit,
    SecondaryLimit,
    NotFound,
    Garbage,
    Closed,
    LostAnswers,
    Silence,
}

impl Fault {
    /// Each of them once.
    pub fn each() -> Vec<Self> {
        use Trouble::{
            Closed, Garbage, Internal, LostAnswers, NotFound, PrimaryLimit, SecondaryLimit, Silence,
        };
        let mut each = vec![
            Self::Kill,
            Self::LoseReplica,
            Self::Postgres(Ending::Fast),
            Self::Postgres(Ending::Immediate),
            Self::Postgres(Ending::Killed),
            Self::Sever,
            Self::SeverMidStatement,
            Self::Stall,
            Self::FullDisk,
            Self::ClockJump,
        ];
        let troubles =
            [Internal, PrimaryLimit, SecondaryLimit, NotFound, Garbage, Closed, LostAnswers, Silence];
        each.extend(troubles.map(Self::GitHub));
        each
    }

    /// Whether it is felt long after its end: a request that is not answered is given up after 20 s.
    pub fn outlasts_itself(self) -> bool {
        self == Self::GitHub(Trouble::Silence)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "the service is killed",
            Self::LoseReplica => "a replica is lost",
            Self::Postgres(Ending::Fast) => "PostgreSQL restarts",
            Self::Postgres(Ending::Immediate) => "PostgreSQL is stopped at once",
            Self::Postgres(Ending::Killed) => "PostgreSQL is killed",
            Self::Sever => "connections are cut",
            Self::SeverMidStatement => "a statement's answer is lost",
            Self::Stall => "connections stall",
            Self::FullDisk => "the disk is full",
            Self::ClockJump => "the clock jumps",
            Self::GitHub(trouble) => match trouble {
                Trouble::Internal => "GitHub answers 500",
                Trouble::PrimaryLimit => "GitHub's rate limit is used up",
                Trouble::SecondaryLimit => "GitHub's secondary rate limit",
                Trouble::NotFound => "GitHub answers 404",
                Trouble::Garbage => "GitHub answers garbage",
                Trouble::Closed => "GitHub closes connections",
                Trouble::LostAnswers => "GitHub's answers are lost",
                Trouble::Silence => "GitHub does not answer",
            },
        })
    }
}

impl Trouble {
    fn fault(self) -> github::Fault {
        match self {
            Self::Internal => github::Fault::Status(500),
            Self::PrimaryLimit => github::Fault::PrimaryRateLimit { reset_in: 2 },
            Self::SecondaryLimit => github::Fault::SecondaryRateLimit { retry_after: 1 },
            Self::NotFound => github::Fault::Status(404),
            Self::Garbage => github::Fault::Garbage,
            Self::Closed => github::Fault::Close,
            Self::LostAnswers => github::Fault::LoseAnswer,
            Self::Silence => github::Fault::Hang,
        }
    }
}

/// The faults in another order.
pub fn shuffled(faults: &[Fault], rng: &mut StdRng) -> Vec<Fault> {
    let mut faults = faults.to_vec();
    faults.shuffle(rng);
    faults
}

/// Whoever breaks things, with all that can be broken in hand.
#[derive(Debug)]
pub struct Breaker<'a> {
    pub github: SimulatedGitHub,
    pub server: &'a mut LocalServer,
    pub proxy: &'a Proxy,
    pub replicas: &'a mut Vec<Offshoot>,
    pub receivers: Receivers,
    pub disk: Option<&'a Disk>,
    pub clock: Option<&'a Clock>,
    /// The replica that stays away, if one does.
    pub lost: Option<usize>,
}

impl Breaker<'_> {
    /// Breaks something for a while, a stall for four times as long; what mends itself, as a supervisor would, is mended when this returns.
    pub async fn inject(&mut self, fault: Fault, while_it_lasts: Duration, rng: &mut StdRng) -> Result<Came> {
        match fault {
            Fault::Kill => self.kill(while_it_lasts / 2, rng).await?,
            Fault::LoseReplica => self.lose_replica(rng)?,
            Fault::Postgres(ending) => {
                self.server.end(ending)?;
                sleep(while_it_lasts / 2).await;
                self.server.start().await?;
            }
            Fault::Sever => self.proxy.sever(),
            Fault::SeverMidStatement => {
                self.proxy.sever_after(STATEMENTS.choose(rng).context("a statement")?);
            }
            Fault::Stall => {
                self.proxy.stall();
                sleep(while_it_lasts * 4).await;
                self.proxy.flow();
            }
            Fault::GitHub(trouble) => {
                self.github.fail(Matcher::all(), trouble.fault(), None);
                sleep(while_it_lasts).await;
                self.github.clear_faults();
            }
            Fault::FullDisk => match self.disk {
                Some(disk) => {
                    disk.fill()?;
                    sleep(while_it_lasts).await;
                    disk.free()?;
                    self.server.start().await?;
                }
                None => return Ok(Err("no file system could be mounted".to_owned())),
            },
            Fault::ClockJump => match self.clock {
                Some(clock) => {
                    clock.set(*JUMPS.choose(rng).context("a jump")?)?;
                    sleep(while_it_lasts).await;
                    clock.set(0)?;
                }
                None => return Ok(Err("libfaketime is not installed".to_owned())),
            },
        }
        self.supervise().await?;
        Ok(Ok(()))
    }

    /// Ends every fault. Whoever was away starts again, which looks for what was missed.
    pub async fn calm(&mut self) -> Result<()> {
        self.github.clear_faults();
        self.proxy.flow();
        self.lost = None;
        self.server.start().await?;
        for replica in self.replicas.iter_mut() {
            if replica.is_running()? {
                replica.kill9()?;
            }
        }
        self.supervise().await
    }

    async fn kill(&mut self, away: Duration, rng: &mut StdRng) -> Result<()> {
        let at = rng.random_range(0..self.replicas.len());
        if self.replicas[at].is_running()? {
            self.replicas[at].kill9()?;
        }
        sleep(away).await;
        Ok(())
    }

    fn lose_replica(&mut self, rng: &mut StdRng) -> Result<()> {
        let at = rng.random_range(0..self.replicas.len());
        self.lost = Some(at);
        if self.replicas[at].is_running()? {
            self.replicas[at].kill9()?;
        }
        self.receivers.set(self.present());
        Ok(())
    }

    /// Starts again what ended, but for the replica that is lost.
    async fn supervise(&mut self) -> Result<()> {
        for (at, replica) in self.replicas.iter_mut().enumerate() {
            if self.lost != Some(at) {
                replica.revive(RETURN).await?;
            }
        }
        self.receivers.set(self.present());
        Ok(())
    }

    /// Where webhooks go: a load balancer knows who is lost for good, and not who is killed for a moment.
    fn present(&self) -> Vec<String> {
        let present = self.replicas.iter().enumerate().filter(|(at, _)| self.lost != Some(*at));
        present.map(|(_, replica)| replica.webhook_url()).collect()
    }
}
