//! How long a job waits after it failed.

use std::time::Duration;

const SHORTEST: f64 = 1.0;
/// With the jitter, five minutes at the most.
const LONGEST: f64 = 240.0;
const JITTER: f64 = 0.25;

/// The wait after a job failed that had failed `failures` times before: it doubles from 1 s to 4 min, and up to a quarter
/// more, by `jitter` between 0 and 1, keeps those that failed together apart.
pub(super) fn backoff(failures: i32, jitter: f64) -> Duration {
    let doubled = SHORTEST * 2_f64.powi(failures.clamp(0, 30));
    Duration::from_secs_f64(doubled.min(LONGEST) * (1.0 + JITTER * jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_doubles_up_to_a_limit() {
        let seconds = |failures| backoff(failures, 0.0).as_secs();
        assert_eq!([0, 1, 2, 7, 8, 9, 1000].map(seconds), [1, 2, 4, 128, 240, 240, 240]);
        assert_eq!(backoff(8, 1.0), Duration::from_secs(300));
    }

    proptest! {
        #[test]
        fn it_is_one_second_to_five_minutes_and_never_falls(failures: i32, jitter: f64) {
            let wait = backoff(failures, jitter);
            prop_assert!((Duration::from_secs(1)..=Duration::from_secs(300)).contains(&wait));
            prop_assert!(backoff(failures.saturating_add(1), 0.0) >= backoff(failures, 0.0));
        }
    }
}
