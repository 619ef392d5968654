//! The leases that this worker holds, prolonged as long as it works on them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::store::jobs::{self, Lease};
use crate::store::{Store, StoreError};

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
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.lease);
    }
}

impl Leases {
    /// Keeps a lease that was just claimed; `lost` is cancelled when that fails.
    pub(super) fn keep(&self, lease: Lease, length: Duration, lost: CancellationToken) -> Kept {
        self.lock().insert(lease, Held { lost, until: Instant::now() + length });
        Kept { leases: self.clone(), lease }
    }

    /// Prolongs all leases, once, and gives up those that cannot be.
    pub(super) async fn prolong(&self, store: &Store, length: Duration) -> Result<(), StoreError> {
        let leases: Vec<Lease> = self.lock().keys().copied().collect();
        if leases.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        // Where the database does not answer, another worker may have what was not prolonged in time.
        let answer = tokio::time::timeout(length, heartbeat(store, &leases, length)).await;
        let (lost, result) = match answer {
            Ok(Ok(lost)) => (lost, Ok(true)),
            Ok(Err(error)) => (Vec::new(), Err(error)),
            Err(_) => (Vec::new(), Ok(false)),
        };
        let mut held = self.lock();
        for lease in &leases {
            let Some(held) = held.get_mut(lease) else { continue };
            if matches!(result, Ok(true)) && !lost.contains(lease) {
                held.until = began + length;
            }
            if lost.contains(lease) || Instant::now() >= held.until {
                held.lost.cancel();
            }
        }
        result.map(|_| ())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Held>> {
        // No code panics while it holds the lock, and a map is whole after each of its steps.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn heartbeat(store: &Store, leases: &[Lease], length: Duration) -> Result<Vec<Lease>, StoreError> {
    jobs::heartbeat(&store.client().await?, leases, length).await
}
