//! Who goes ahead when many pull requests come at once.
//!
//! Sharing the processors out among all of them would make the first as late as the last. So only a few go ahead at a time, in the order of
//! their coming. A turn is short: whoever begins to clone, or takes long, lets the next one go ahead beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// How long a turn is at the most.
const LONGEST: Duration = Duration::from_millis(50);

/// Clones share them.
#[derive(Debug, Clone)]
pub struct Turns {
    free: Arc<Semaphore>,
    ended: Arc<Notify>,
}

/// Lasts until it is ended, dropped, or [`LONGEST`] is over.
#[derive(Debug)]
pub struct Turn(AbortOnDropHandle<()>);

impl Default for Turns {
    /// One at a time for each two processors: the server keeps the other one busy, and whoever comes next sends its webhook.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new((processors / 2).max(1))
    }
}

impl Turns {
    fn new(at_once: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(at_once)), ended: Arc::default() }
    }

    /// Waits for those who came before.
    pub(super) async fn take(&self) -> Turn {
        // Nobody closes it.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        let taken = Taken { _permit: permit, ended: Arc::clone(&self.ended) };
        Turn(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(LONGEST).await;
            drop(taken);
        })))
    }

    /// Where all turns are taken, waits until one of those ends: for what can wait for so long.
    pub async fn give_way(&self) {
        let ended = self.ended.notified();
        if self.free.available_permits() == 0 {
            // Either way it has waited.
            _ = timeout(LONGEST, ended).await;
        }
    }
}

/// Says that it ended.
struct Taken {
    _permit: Option<OwnedSemaphorePermit>,
    ended: Arc<Notify>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.ended.notify_waiters();
    }
}

impl Turn {
    pub(super) fn end(&self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_few_go_ahead_and_the_next_when_one_ends_or_takes_long() {
        let turns = Turns::new(2);
        let (first, second) = (turns.take().await, turns.take().await);
        assert!(turns.take().now_or_never().is_none());
        first.end();
        let _third = turns.take().await;
        drop(second);
        let _fourth = turns.take().await;
        assert!(turns.take().now_or_never().is_none());
        // Nobody ends one: this one comes when the third has lasted long enough.
        turns.take().await;
    }

    #[tokio::test]
    async fn who_gives_way_waits_for_one_end_and_not_for_all() {
        let turns = Turns::new(1);
        turns.give_way().now_or_never().expect("nobody is there to give way to");
        let first = turns.take().await;
        let mut waiting = std::pin::pin!(turns.give_way());
        assert!(waiting.as_mut().now_or_never().is_none());
        let _second = tokio::join!(turns.take(), waiting, async { first.end() }).0;
        assert!(turns.take().now_or_never().is_none());
        turns.give_way().await;
    }
}
