//! Who goes ahead when many pull requests come at once.
//!
//! Sharing the processors out among all of them would make the first as late as the last. So only a few go ahead at a time, in the order of
//! their coming. A turn is short: whoever begins to clone, or takes long, lets the next one go ahead beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

/// How long a turn is at the most.
const LONGEST: Duration = Duration::from_millis(50);

/// Clones share them.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

/// Lasts until it is ended, dropped, or [`LONGEST`] is over.
#[derive(Debug)]
pub struct Turn(AbortOnDropHandle<()>);

impl Default for Turns {
    /// One at a time for each two processors: the server keeps the other one busy, and whoever comes next sends its webhook.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }
}

impl Turns {
    /// Waits for those who came before.
    pub(super) async fn take(&self) -> Turn {
        // Nobody closes it.
        let permit = Arc::clone(&self.0).acquire_owned().await.ok();
        Turn(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(LONGEST).await;
            drop(permit);
        })))
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
        let turns = Turns(Arc::new(Semaphore::new(2)));
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
}
