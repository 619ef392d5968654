//! What must hold of the whole system whenever it is at rest, checked from outside: by SQL on both servers, through the simulated
//! GitHub, and from the git repositories. Nothing here asks the service whether it did well, but for the URLs that it hands out.

mod chain;
mod contents;
mod facts;
mod reports;
mod server;
mod stored;

use anyhow::Result;

use crate::github::SimulatedGitHub;
use crate::offshoot::Offshoot;
use facts::Facts;
use reports::Told;

/// The invariants that do not hold, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Broken {
    /// What was promised and is not there.
    pub lost: Vec<String>,
    /// What is there and should not be.
    pub left_over: Vec<String>,
    /// What is there and says or holds something else than it should.
    pub wrong: Vec<String>,
}

impl Broken {
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.left_over.is_empty() && self.wrong.is_empty()
    }
}

/// Checks every invariant. Deliveries, jobs and faults must have come to an end before.
///
/// # Errors
/// A server, or a repository, could not be asked.
pub async fn broken(github: &SimulatedGitHub, offshoot: &Offshoot) -> Result<Broken> {
    let facts = Facts::read(&offshoot.administrator().await?).await?;
    let told = Told::read(github)?;
    let mut broken = Broken {
        lost: stored::lost(&facts, &github.deliveries()),
        left_over: stored::left_over(&facts),
        wrong: stored::twice(&facts),
    };
    broken.left_over.extend(server::left_over(&facts));
    broken.left_over.extend(reports::outlived(&facts, &told));
    broken.lost.extend(server::missing(&facts));
    broken.wrong.extend(server::wrong(&facts));
    broken.wrong.extend(reports::wrong(&facts, &told));
    broken.wrong.extend(contents::wrong(&facts, &told, github, offshoot).await?);
    let log = offshoot.log()?;
    broken
        .wrong
        .extend(offshoot.secrets().ensure_absent("the log", &log).err().map(|error| error.to_string()));
    Ok(broken)
}
