//! The leases that this worker holds, prolonged as long as it works on them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::store::jobs::{self, Lease};
use crate::store::{Store, StoreError};

/// After how many lengths of a lease that could not be prolonged the work is given up. Another may have it after one, but a database that is slow for
/// a moment should cost no work: what comes of it is only written down under the lease.
const LENGTHS: u32 = 2;

/// All leases of one worker.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    held: Arc<Mutex<HashMap<Lease, Held>>>,
}

#[derive(Debug)]
struct Held {
    lost: CancellationToken,
    until: Instant,
}

/// Ends a lease's keeping when dropped.
#[derive(Debug)]
pub(super) struct Kept {
    leases: Leases,
    lease: Lease,
    _watch: AbortOnDropHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.lease);
    }
}

impl Leases {
    /// Keeps a lease that was asked for at `since`. `lost` is cancelled when it is another's, or is likely to be.
    pub(super) fn keep(
        &self,
        lease: Lease,
        since: Instant,
        length: Duration,
        lost: CancellationToken,
    ) -> Kept {
        self.lock().insert(lease, Held { lost, until: since + length * LENGTHS });
        let watch = tokio::spawn(self.clone().watch(lease));
        Kept { leases: self.clone(), lease, _watch: AbortOnDropHandle::new(watch) }
    }

    /// Gives a lease up once it has run out for long: by a clock of ours, because the heartbeats may hang behind a connection that does not answer.
    async fn watch(self, lease: Lease) {
        loop {
            let until = match self.lock().get(&lease) {
                Some(held) if Instant::now() >= held.until => return held.lost.cancel(),
                Some(held) => held.until,
                None => return,
            };
            tokio::time::sleep_until(until.into()).await;
        }
    }

    /// Prolongs all leases, once, and gives up those that are another's.
    pub(super) async fn prolong(&self, store: &Store, length: Duration) -> Result<(), StoreError> {
        let leases = self.held();
        if leases.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let lost = jobs::heartbeat(&store.client().await?, &leases, length).await?;
        let mut held = self.lock();
        for lease in &leases {
            let Some(held) = held.get_mut(lease) else { continue };
            if lost.contains(lease) {
                held.lost.cancel();
            } else {
                held.until = began + length * LENGTHS;
            }
        }
        Ok(())
    }

    pub(super) fn held(&self) -> Vec<Lease> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Held>> {
        // No code panics while it holds the lock, and a map is whole after each of its steps.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
