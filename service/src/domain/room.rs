//! Whether there is room on the branch server's disk for a database, and what people are told where there is none. A disk that is full
//! stops PostgreSQL, and all branches with it; so new work stops before.

use std::fmt;
use std::time::{Duration, Instant};

use super::size::ByteSize;

/// The file system of the branch server's data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    pub free_bytes: i64,
    pub size_bytes: i64,
}

/// How much of the disk new work leaves free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Floor {
    /// The smaller of 2 GB and a twentieth of the disk.
    #[default]
    Usual,
    /// As the operator says; 0 for none.
    Bytes(ByteSize),
}

const USUAL_BYTES: i64 = 2 << 30;
const USUAL_SHARE: i64 = 20;
/// Writers at once that the floor bears.
const FEW: i64 = 4;

impl Floor {
    pub fn of(self, disk: &Disk) -> i64 {
        match self {
            Self::Usual => USUAL_BYTES.min(disk.size_bytes / USUAL_SHARE),
            Self::Bytes(ByteSize(bytes)) => i64::try_from(bytes).unwrap_or(i64::MAX),
        }
    }

    /// Whether a few who write so many bytes each could use up what is kept free, where none of them knows of the others.
    pub fn is_strained_by(self, bytes: i64, disk: &Disk) -> bool {
        let floor = self.of(disk);
        floor > 0 && bytes > floor / FEW
    }
}

/// What there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Of the new database; 0 where the disk is below its floor already.
    pub needs: i64,
    pub free: i64,
    pub floor: i64,
}

/// Without what is free now: that changes by the second, and a report would change with it.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needs > 0 && self.free >= self.floor {
            write!(
                f,
                "the branch server's disk has no room for another {} beside the {} that are always kept free",
                size(self.needs),
                size(self.floor)
            )
        } else {
            write!(
                f,
                "the branch server's disk is nearly full: of the {} that are always kept free, some are used",
                size(self.floor)
            )
        }
    }
}

fn size(bytes: i64) -> ByteSize {
    ByteSize(u64::try_from(bytes).unwrap_or_default())
}

/// Why a branch waits for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    Disk(Shortage),
    /// There is room, but others wait for it already.
    Turn,
}

impl NoRoom {
    /// Bytes that have to be had before another try is worth it.
    pub fn needs(self) -> i64 {
        match self {
            Self::Disk(shortage) => shortage.needs,
            Self::Turn => 0,
        }
    }

    /// For the pull request. It is not the author's fault, and nothing is to be done about it there.
    pub fn reason(self) -> String {
        let why = match self {
            Self::Disk(shortage) => format!("It waits for room: {shortage}"),
            Self::Turn => {
                "The branch server's disk is short of room, and others wait for it first".to_owned()
            }
        };
        format!("{why}. It goes on by itself.")
    }
}

/// The disk as it was last measured, and what of it has been promised since: a clone under way takes what the measurement does not show yet.
#[derive(Debug, Default)]
pub struct Ledger {
    measured: Option<Measured>,
    promises: Vec<Promise>,
    made: u64,
}

#[derive(Debug)]
struct Measured {
    /// None where the server does not tell.
    disk: Option<Disk>,
    begun: Instant,
}

#[derive(Debug)]
struct Promise {
    number: u64,
    bytes: i64,
    ended: Option<Instant>,
}

impl Ledger {
    /// The disk, if it was measured no longer ago than that. The inner one is none where the server does not tell.
    pub fn disk(&self, age: Duration, now: Instant) -> Option<Option<Disk>> {
        let fresh = |measured: &&Measured| now.saturating_duration_since(measured.begun) <= age;
        self.measured.as_ref().filter(fresh).map(|measured| measured.disk)
    }

    /// The disk as it was when the server last told it, however long ago.
    pub fn last_disk(&self) -> Option<Disk> {
        self.measured.as_ref().and_then(|measured| measured.disk)
    }

    /// Takes a measurement in. What had been written before it began is in it.
    pub fn measured(&mut self, disk: Option<Disk>, begun: Instant) {
        if self.measured.as_ref().is_some_and(|measured| measured.begun > begun) {
            return;
        }
        self.measured = Some(Measured { disk, begun });
        self.promises.retain(|promise| promise.ended.is_none_or(|ended| ended >= begun));
    }

    /// Whether so many bytes can be written with the floor left free. A disk that nobody knows of has room: a floor there cannot be held.
    pub fn room_for(&self, needs: i64, floor: Floor) -> Result<(), Shortage> {
        let Some(Measured { disk: Some(disk), .. }) = &self.measured else { return Ok(()) };
        let promised = self.promises.iter().map(|promise| promise.bytes).fold(0, i64::saturating_add);
        let (free, floor) = (disk.free_bytes.saturating_sub(promised), floor.of(disk));
        if free.saturating_sub(needs) >= floor { Ok(()) } else { Err(Shortage { needs, free, floor }) }
    }

    /// Keeps so many bytes for somebody who is about to write them; the number ends it.
    pub fn promise(&mut self, bytes: i64, floor: Floor) -> Result<u64, Shortage> {
        self.room_for(bytes, floor)?;
        self.made += 1;
        self.promises.push(Promise { number: self.made, bytes, ended: None });
        Ok(self.made)
    }

    /// They are written, or will not be. They count until a measurement that began later.
    pub fn end(&mut self, number: u64, now: Instant) {
        if let Some(promise) = self.promises.iter_mut().find(|promise| promise.number == number) {
            promise.ended = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GB: i64 = 1 << 30;

    fn disk(free_gb: i64, size_gb: i64) -> Disk {
        Disk { free_bytes: free_gb * GB, size_bytes: size_gb * GB }
    }

    fn known(free_gb: i64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.measured(Some(disk(free_gb, 100)), Instant::now());
        ledger
    }

    #[test]
    fn the_usual_floor_is_small_on_small_disks_and_never_large() {
        assert_eq!(Floor::Usual.of(&disk(1, 20)), GB);
        assert_eq!(Floor::Usual.of(&disk(1, 4_000)), 2 * GB);
        assert_eq!(Floor::Bytes(ByteSize(7)).of(&disk(1, 4_000)), 7);
    }

    #[test]
    fn what_a_few_write_at_once_is_held_against_the_floor() {
        let usual = |bytes| Floor::Usual.is_strained_by(bytes, &disk(90, 100));
        assert!(!usual(GB / 2) && usual(GB / 2 + 1), "the floor is 2 GB");
        assert!(!Floor::Bytes(ByteSize(0)).is_strained_by(GB, &disk(90, 100)), "nothing is kept free");
    }

    #[test]
    fn what_is_asked_for_must_leave_the_floor_free() {
        for (free, needs, fits) in [(2, 0, true), (1, 0, false), (9, 7, true), (9, 8, false), (0, 0, false)] {
            let room = known(free).room_for(needs * GB, Floor::Usual);
            assert_eq!(room.is_ok(), fits, "{needs} of {free}");
        }
        assert_eq!(known(0).room_for(5 * GB, Floor::Bytes(ByteSize(0))).unwrap_err().needs, 5 * GB);
        assert!(known(0).room_for(0, Floor::Bytes(ByteSize(0))).is_ok(), "no floor is no floor");
        let mut untold = Ledger::default();
        assert!(untold.room_for(i64::MAX, Floor::Usual).is_ok(), "nothing is known yet");
        untold.measured(None, Instant::now());
        assert!(untold.room_for(i64::MAX, Floor::Usual).is_ok(), "the server does not tell");
    }

    #[test]
    fn what_is_promised_counts_until_it_is_measured() {
        let mut ledger = known(9);
        let first = ledger.promise(4 * GB, Floor::Usual).unwrap();
        assert!(ledger.promise(4 * GB, Floor::Usual).is_err(), "both together do not fit");
        let before = Instant::now();
        let later = before + Duration::from_secs(1);
        ledger.end(first, later);
        ledger.measured(Some(disk(9, 100)), before);
        assert!(ledger.promise(4 * GB, Floor::Usual).is_err(), "it was measured before they were written");
        ledger.measured(Some(disk(5, 100)), later + Duration::from_secs(1));
        assert!(ledger.room_for(3 * GB, Floor::Usual).is_ok(), "and is not counted twice");
    }

    #[test]
    fn people_are_told_what_is_missing() {
        let shortage =
            |needs, free| NoRoom::Disk(Shortage { needs, free: free * GB, floor: 2 * GB }).reason();
        insta::assert_snapshot!(shortage(12 * GB, 9), @"It waits for room: the branch server's disk has no room for another 12 GB beside the 2.0 GB that are always kept free. It goes on by itself.");
        insta::assert_snapshot!(shortage(12 * GB, 1), @"It waits for room: the branch server's disk is nearly full: of the 2.0 GB that are always kept free, some are used. It goes on by itself.");
        insta::assert_snapshot!(NoRoom::Turn.reason(), @"The branch server's disk is short of room, and others wait for it first. It goes on by itself.");
    }

    proptest! {
        #[test]
        fn promises_never_go_below_the_floor(
            free in 0_i64..200, floor in 0_u64..50, asked in prop::collection::vec((0_i64..40, any::<bool>()), 0..40),
        ) {
            let mut ledger = Ledger::default();
            ledger.measured(Some(Disk { free_bytes: free, size_bytes: 1_000 }), Instant::now());
            let floor = Floor::Bytes(ByteSize(floor));
            let mut promised = 0;
            for (bytes, ends) in asked {
                let fits = free - promised - bytes >= floor.of(&disk(0, 0));
                let promise = ledger.promise(bytes, floor);
                prop_assert_eq!(promise.is_ok(), fits);
                if let Ok(number) = promise {
                    promised += bytes;
                    if ends {
                        ledger.end(number, Instant::now());
                    }
                }
            }
        }
    }
}
