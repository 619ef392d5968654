//! Many deliveries at once, of which the first has asked for a database: whoever waits for that goes before the rest of them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::jobs::Turns;

/// So many at once are no rush.
const AT_EASE: usize = 2;
/// How long it takes until the work that the first of them asked for has begun,
const BEGINNING: Duration = Duration::from_millis(8);
/// and until it has surely ended. Where they go on to come, nobody is first.
const LONGEST: Duration = Duration::from_millis(60);

/// The deliveries that are under way.
#[derive(Debug, Default)]
pub(super) struct Rush(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    /// When the first of them came.
    since: Option<Instant>,
}

/// A delivery that is under way until this is dropped.
pub(super) struct Member<'r>(&'r Rush);

impl Rush {
    /// Comes in at once where few others are under way, else when the work that goes ahead now has ended a part, soon in any case.
    pub(super) async fn join(&self, turns: &Turns) -> Member<'_> {
        let (member, before) = self.enter(Instant::now());
        if let Some(wait) = before {
            tokio::time::sleep(wait).await;
            turns.give_way().await;
        }
        member
    }

    /// And how long to wait until the work has begun; none where there is no rush.
    fn enter(&self, now: Instant) -> (Member<'_>, Option<Duration>) {
        let mut under_way = self.under_way();
        let since = *under_way.since.get_or_insert(now);
        under_way.count += 1;
        let is_rush = under_way.count > AT_EASE && now < since + LONGEST;
        let wait = (since + BEGINNING).saturating_duration_since(now);
        (Member(self), is_rush.then_some(wait))
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way();
        under_way.count -= 1;
        if under_way.count == 0 {
            under_way.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_never_wait_and_the_rest_only_while_the_work_begins() {
        let (rush, now) = (Rush::default(), Instant::now());
        let few: Vec<_> = (0..AT_EASE).map(|_| rush.enter(now)).collect();
        assert!(few.iter().all(|(_, wait)| wait.is_none()));
        let later = now + Duration::from_millis(3);
        assert_eq!(rush.enter(later).1, Some(BEGINNING - Duration::from_millis(3)));
        assert_eq!(rush.enter(now + BEGINNING * 2).1, Some(Duration::ZERO));
        assert!(rush.enter(now + LONGEST).1.is_none());
        drop(few);
        assert!(rush.enter(later).1.is_none());
        assert!(rush.under_way().since.is_none());
    }
}
