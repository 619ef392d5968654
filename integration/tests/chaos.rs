//! A storm of pull requests while everything around them breaks. Then the faults stop, and the end must be the same as without.

mod arena;
mod clock;
pub mod disk;
mod faults;
mod score;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration::storm::{self, Disorder, Size};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use arena::Arena;
use faults::Fault;
use score::Score;

/// How long `make chaos` goes on, in minutes.
const MINUTES_VARIABLE: &str = "MINUTES";
const MINUTES: u64 = 10;

/// A storm and what is broken meanwhile.
#[derive(Debug, Clone)]
struct Round {
    size: Size,
    faults: Vec<Fault>,
    /// How long one lasts, at the most.
    longest: Duration,
    /// Between the end of a fault and the next, at the most.
    pause: Duration,
}

impl Round {
    /// Each fault once, and the commonest twice, in the time that a test may take.
    fn short(rng: &mut StdRng) -> Self {
        let size = Size { repositories: 3, pulls: 10, actions: 80, pause: Duration::from_millis(250) };
        let mut faults =
            faults::shuffled(&[Fault::each(), vec![Fault::Kill, Fault::SeverMidStatement]].concat(), rng);
        // Else the end would be little but a wait for requests that nobody answers.
        faults.sort_by_key(|fault| !fault.outlasts_itself());
        Self { size, faults, longest: Duration::from_millis(1200), pause: Duration::from_millis(200) }
    }

    /// Each fault several times.
    fn long(rng: &mut StdRng) -> Self {
        let pause = Duration::from_millis(rng.random_range(20..120));
        let size = Size { repositories: 5, pulls: 40, actions: 400, pause };
        let often = [Fault::Kill, Fault::Sever, Fault::SeverMidStatement, Fault::SeverMidStatement];
        let faults = [Fault::each(), often.to_vec()].concat().repeat(3);
        let faults = faults::shuffled(&faults, rng);
        let pause = Duration::from_millis(rng.random_range(200..1500));
        Self { size, faults, longest: Duration::from_secs(2), pause }
    }
}

const DISORDER: Disorder = Disorder { twice: 0.2, late: 0.2, latest: Duration::from_secs(2) };

/// Lets a storm rage while faults come, and says how it ended.
async fn play(round: &Round, seed: u64) -> Result<Score> {
    let mut arena = Arena::open(round.size, DISORDER, seed).await?;
    let mut score = Score::default();
    let mut rng = StdRng::seed_from_u64(seed);
    let (storm, mut breaker) = arena.parts();
    let (raged, mended) = tokio::join!(storm.rage(), async {
        for &fault in &round.faults {
            sleep(round.pause.mul_f64(rng.random())).await;
            let lasts = round.longest.mul_f64(rng.random_range(0.15..1.0));
            let came = breaker.inject(fault, lasts, &mut rng).await.with_context(|| fault.to_string())?;
            score.injected(fault, came);
        }
        anyhow::Ok(())
    });
    raged?;
    mended?;
    breaker.calm().await?;
    arena.judge(&mut score).await?;
    if score.is_perfect() {
        arena.close().await?;
    }
    Ok(score)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_storm_under_every_fault_ends_as_it_must() -> Result<()> {
    let seed = storm::seed("chaos")?;
    let round = Round::short(&mut StdRng::seed_from_u64(seed));
    let score = play(&round, seed).await.with_context(|| format!("seed {seed}"))?;
    println!("{score}");
    ensure!(score.is_perfect(), "seed {seed}: {score}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: `make chaos`"]
async fn storms_for_minutes_end_as_they_must() -> Result<()> {
    let minutes = std::env::var(MINUTES_VARIABLE).ok().map(|text| text.parse()).transpose()?;
    let end = Instant::now() + Duration::from_secs(60 * minutes.unwrap_or(MINUTES));
    let mut rng = StdRng::seed_from_u64(storm::seed("chaos, all rounds")?);
    let mut total = Score::default();
    while Instant::now() < end {
        let seed = rng.random();
        println!("a round: {}={seed}", storm::SEED_VARIABLE);
        let score = play(&Round::long(&mut StdRng::seed_from_u64(seed)), seed).await;
        let score = score.with_context(|| format!("the round of seed {seed}"))?;
        println!("{score}");
        total.add(&score);
    }
    println!("in all: {total}");
    ensure!(total.is_perfect(), "{total}");
    Ok(())
}
