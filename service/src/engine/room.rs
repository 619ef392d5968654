//! Room on the branch server's disk: measured now and then, kept for whoever is about to write, and refused below the floor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Engine;
use super::clone::{CloneMethod, CloneMethods};
use super::error::EngineError;
use crate::domain::room::{Disk, Floor, Ledger};

/// How old a measurement may be. Short enough that a disk is not filled meanwhile, long enough that nobody waits for one.
const FRESH: Duration = Duration::from_secs(5);
/// What an empty database takes.
pub(super) const EMPTY: i64 = 8 << 20;

/// Shared by all clones of an engine; every replica has its own, and so large clones go one at a time (`Engine::is_large`).
#[derive(Debug, Clone)]
pub(super) struct Room {
    floor: Floor,
    ledger: Arc<Mutex<Ledger>>,
}

impl Room {
    pub(super) fn new(floor: Floor) -> Self {
        Self { floor, ledger: Arc::default() }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics while it holds the lock.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that is kept until this is dropped.
#[derive(Debug)]
pub(super) struct Promised<'r> {
    room: &'r Room,
    number: u64,
}

impl Drop for Promised<'_> {
    fn drop(&mut self) {
        self.room.ledger().end(self.number, Instant::now());
    }
}

impl Engine {
    /// What new work leaves free of a disk.
    pub fn floor(&self) -> Floor {
        self.room.floor
    }

    /// The branch server's disk as it was a few seconds ago at most; none where the server does not tell.
    pub async fn disk(&self) -> Result<Option<Disk>, EngineError> {
        let known = self.room.ledger().disk(FRESH, Instant::now());
        match known {
            Some(disk) => Ok(disk),
            None => Ok(self.capacity().await?.disk),
        }
    }

    /// Whether so many bytes can be written with the floor left free: [`EngineError::NoRoom`] where not.
    pub async fn room_for(&self, needs: i64) -> Result<(), EngineError> {
        self.disk().await?;
        Ok(self.room.ledger().room_for(needs, self.room.floor)?)
    }

    /// Whether there is room for what nobody waits for: the floor once more, so that what is given back below it is not made again above it.
    pub async fn has_room_to_spare(&self) -> Result<bool, EngineError> {
        let Some(disk) = self.disk().await? else { return Ok(true) };
        Ok(self.room.ledger().room_for(self.room.floor.of(&disk), self.room.floor).is_ok())
    }

    /// Whether a clone writes so much that several replicas, of which none knows what the others have promised, could use up the floor at once.
    pub(super) async fn is_large(&self, writes: i64) -> Result<bool, EngineError> {
        let disk = self.disk().await?;
        Ok(disk.is_some_and(|disk| self.room.floor.is_strained_by(writes, &disk)))
    }

    /// Keeps room for somebody who is about to write so many bytes.
    pub(super) async fn promise(&self, bytes: i64) -> Result<Promised<'_>, EngineError> {
        self.disk().await?;
        let number = self.room.ledger().promise(bytes, self.room.floor)?;
        Ok(Promised { room: &self.room, number })
    }
}

/// What a clone writes: nothing to speak of where it shares the template's blocks, and each block twice where they go through the WAL.
pub(super) fn writes(methods: &CloneMethods, method: CloneMethod, bytes: i64) -> i64 {
    match method {
        CloneMethod::CloneFiles if methods.shares_blocks() == Some(true) => 0,
        CloneMethod::CloneFiles | CloneMethod::CopyFiles => bytes,
        CloneMethod::WalLog => bytes.saturating_mul(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_are_known_to_be_shared_cost_nothing() {
        use super::super::Extent;
        use CloneMethod::{CloneFiles, CopyFiles, WalLog};
        let mut methods = CloneMethods::new(&[WalLog, CopyFiles, CloneFiles]);
        assert_eq!(writes(&methods, CloneFiles, 100), 100, "not measured yet");
        assert_eq!((writes(&methods, CopyFiles, 100), writes(&methods, WalLog, 100)), (100, 200));
        for (method, ms_per_mib) in [(CopyFiles, 10), (CloneFiles, 0)] {
            for mib in [8, 1024] {
                methods.record(
                    method,
                    Extent::of_bytes(mib << 20),
                    Duration::from_millis(40 + (mib * ms_per_mib) as u64),
                );
            }
        }
        assert_eq!(writes(&methods, CloneFiles, 100), 0);
    }
}
