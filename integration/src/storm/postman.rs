//! How webhooks travel when many senders carry them: at once, twice, late, out of order, and not again to one who is not there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::github::{Attempt, Delivery, SimulatedGitHub, signature};

/// GitHub gives a receiver this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What goes wrong on the way, each with the chance that it does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disorder {
    pub twice: f64,
    pub late: f64,
    /// How late at the most.
    pub latest: Duration,
}

/// What became of the attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: usize,
    /// Answered 202: stored.
    pub stored: usize,
    /// Answered 200: repeated, or nothing to do.
    pub known: usize,
    /// Answered otherwise, or not at all. Nobody sends them again.
    pub missed: usize,
}

/// The addresses that deliveries go to, each to one of them by chance. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Receivers(Arc<Mutex<Vec<String>>>);

impl Receivers {
    /// Changes them from the next delivery on; with none, everything is missed.
    pub fn set(&self, addresses: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    fn choose(&self, rng: &mut StdRng) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).choose(rng).cloned()
    }
}

/// Carries a simulated GitHub's deliveries to whoever receives them now.
#[derive(Debug)]
pub struct Postman {
    github: SimulatedGitHub,
    route: Route,
    disorder: Disorder,
    rng: StdRng,
    /// Deliveries that were taken from GitHub.
    taken: usize,
    senders: Arc<Semaphore>,
    underway: JoinSet<()>,
}

/// What the senders share.
#[derive(Debug, Clone)]
struct Route {
    http: reqwest::Client,
    secret: String,
    receivers: Receivers,
    tally: Arc<Mutex<Tally>>,
}

impl Postman {
    /// So many senders at once for the deliveries signed with this secret.
    pub fn new(
        github: &SimulatedGitHub,
        secret: &str,
        senders: usize,
        disorder: Disorder,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let route = Route {
            http: reqwest::Client::builder().timeout(TIMEOUT).build()?,
            secret: secret.to_owned(),
            receivers: Receivers::default(),
            tally: Arc::default(),
        };
        Ok(Self {
            github: github.clone(),
            route,
            disorder,
            rng: StdRng::seed_from_u64(seed),
            taken: 0,
            senders: Arc::new(Semaphore::new(senders)),
            underway: JoinSet::new(),
        })
    }

    /// Where it delivers to; nowhere at first.
    pub fn receivers(&self) -> Receivers {
        self.route.receivers.clone()
    }

    /// Sends what is new. Waits while every sender is on the way.
    pub async fn dispatch(&mut self) {
        let mut new = self.github.deliveries().split_off(self.taken);
        self.taken += new.len();
        new.shuffle(&mut self.rng);
        for delivery in new {
            let copies = if self.rng.random_bool(self.disorder.twice) { 2 } else { 1 };
            for _ in 0..copies {
                self.send(delivery.clone()).await;
            }
        }
        while self.underway.try_join_next().is_some() {}
    }

    /// Waits until everything that was sent has arrived or is lost.
    pub async fn delivered(&mut self) {
        while self.underway.join_next().await.is_some() {}
    }

    pub fn tally(&self) -> Tally {
        *self.route.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&mut self, delivery: Delivery) {
        let is_late = self.rng.random_bool(self.disorder.late);
        let delay = if is_late { self.disorder.latest.mul_f64(self.rng.random()) } else { Duration::ZERO };
        let route = self.route.clone();
        let receiver = route.receivers.choose(&mut self.rng);
        // What is late is on its way without a sender.
        let permit = if is_late { None } else { Arc::clone(&self.senders).acquire_owned().await.ok() };
        let github = self.github.clone();
        self.underway.spawn(async move {
            sleep(delay).await;
            let attempt = route.carry(&delivery, receiver, permit).await;
            github.note_attempt(&delivery.guid, attempt).expect("the delivery is GitHub's own");
        });
    }
}

impl Route {
    async fn carry(
        &self,
        delivery: &Delivery,
        receiver: Option<String>,
        _permit: Option<OwnedSemaphorePermit>,
    ) -> Attempt {
        let mut attempt = Attempt {
            headers: HeaderMap::new(),
            answer: Err("nobody is there".to_owned()),
            answer_body: String::new(),
        };
        if let Some(receiver) = receiver {
            let request = self
                .http
                .post(receiver)
                .header("Content-Type", "application/json")
                .header("User-Agent", "GitHub-Hookshot/0ffb007")
                .header("X-GitHub-Event", &delivery.event)
                .header("X-GitHub-Delivery", &delivery.guid)
                .header("X-Hub-Signature-256", signature(&self.secret, &delivery.body))
                .body(delivery.body.clone());
            attempt.answer = match request.send().await {
                Ok(response) => Ok(response.status().as_u16()),
                Err(error) => Err(format!("{error:?}")),
            };
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.sent += 1;
        match attempt.answer {
            Ok(202) => tally.stored += 1,
            Ok(200) => tally.known += 1,
            _ => tally.missed += 1,
        }
        attempt
    }
}
