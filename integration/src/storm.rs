//! Many pull requests at once, by chance and by a seed: what people do, how their webhooks travel, and what must come of it.

mod crowd;
mod postman;
mod repositories;

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

pub use crowd::{Crowd, End, Expected};
pub use postman::{Disorder, Postman, Receivers, Tally};

use crate::github::SimulatedGitHub;

/// Names the seed of a storm that is to be repeated.
pub const SEED_VARIABLE: &str = "OFFSHOOT_TEST_SEED";

/// The seed of this run: the one that is asked for, or a new one. Printed, so that a failure can be repeated.
pub fn seed(name: &str) -> Result<u64> {
    let seed = match std::env::var(SEED_VARIABLE) {
        Ok(text) => text.parse()?,
        Err(_) => rand::random(),
    };
    println!("{name}: {SEED_VARIABLE}={seed}");
    Ok(seed)
}

/// How large a storm is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub repositories: usize,
    pub pulls: usize,
    /// What people do besides opening them.
    pub actions: usize,
    /// Between two actions.
    pub pause: Duration,
}

/// People who act, and the post that tells of it.
#[derive(Debug)]
pub struct Storm {
    pub crowd: Crowd,
    pub postman: Postman,
    size: Size,
}

impl Storm {
    /// Prepares one: its repositories exist afterwards, and the App is installed on them.
    pub fn new(github: &SimulatedGitHub, size: Size, seed: u64, postman: Postman) -> Result<Self> {
        github.set_webhook_url(None);
        let crowd = Crowd::gather(github.clone(), size.repositories, size.pulls, seed)?;
        Ok(Self { crowd, postman, size })
    }

    /// Everything that people do, and the last of its webhooks on its way.
    pub async fn rage(&mut self) -> Result<()> {
        let mut left = self.size.actions;
        while left > 0 || self.crowd.has_unopened() {
            self.crowd.act()?;
            self.postman.dispatch().await;
            left = left.saturating_sub(1);
            sleep(self.size.pause).await;
        }
        self.postman.delivered().await;
        Ok(())
    }
}
