//! Which way of making a clone is the fastest for a template's size, from what clones took here. No I/O.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Below this, copying blocks through the WAL is the guess, and copying files above: files cost two checkpoints.
const GUESSED_LIMIT: i64 = 32 * 1024 * 1024;
/// What is kept of each method: enough to outvote an outlier, few enough to follow a server that changes.
const KEPT: usize = 24;
/// Sizes closer to each other than this factor say nothing about the price of a byte.
const BYTES_APART: f64 = 2.0;
/// The same of a file.
const FILES_APART: f64 = 1.5;
/// The files of a database without tables of its own, about.
const FEWEST_FILES: i64 = 300;
/// How often the prices of a byte and of a file are told anew, each from what the other leaves.
const FITTINGS: usize = 8;

/// How `CREATE DATABASE` is told to make a clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloneMethod {
    /// `WAL_LOG`: block by block through the buffers and the WAL, without a checkpoint.
    WalLog,
    /// `FILE_COPY`: whole files, between two checkpoints. All that PostgreSQL 14 knows.
    CopyFiles,
    /// `FILE_COPY` with `file_copy_method = clone`: files that share their blocks, where the file system can.
    CloneFiles,
}

impl fmt::Display for CloneMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WalLog => "WAL_LOG",
            Self::CopyFiles => "FILE_COPY",
            Self::CloneFiles => "FILE_COPY with file_copy_method = clone",
        })
    }
}

/// What a template takes up on the disk. A schema of many tables is many files, however little is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub bytes: i64,
    pub files: i64,
}

impl Extent {
    /// Of few tables.
    pub fn of_bytes(bytes: i64) -> Self {
        Self { bytes, files: FEWEST_FILES }
    }
}

/// What a method costs: a fixed part, and a part for each byte and for each file of the template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CloneCost {
    pub fixed_ms: f64,
    pub ms_per_byte: f64,
    pub ms_per_file: f64,
}

impl CloneCost {
    /// Milliseconds for a template of this extent.
    pub fn of(&self, extent: Extent) -> f64 {
        self.fixed_ms + self.ms_per_byte * extent.bytes as f64 + self.ms_per_file * extent.files as f64
    }

    /// The plane through measurements of at least two sizes, each slope by the median of all slopes between two of them (Theil and Sen): a clone
    /// that a busy disk held up does not bend it. No part is negative, and a file costs nothing where all have as many.
    fn fit(samples: &VecDeque<Sample>) -> Option<Self> {
        let (mut ms_per_byte, mut ms_per_file) = (0.0, 0.0);
        for _ in 0..FITTINGS {
            let without_files = |sample: &Sample| sample.ms - ms_per_file * sample.extent.files as f64;
            ms_per_byte = slope(samples, |sample| sample.extent.bytes, without_files, BYTES_APART)?;
            let without_bytes = |sample: &Sample| sample.ms - ms_per_byte * sample.extent.bytes as f64;
            ms_per_file =
                slope(samples, |sample| sample.extent.files, without_bytes, FILES_APART).unwrap_or(0.0);
        }
        let cost = Self { fixed_ms: 0.0, ms_per_byte, ms_per_file };
        let rests = samples.iter().map(|sample| sample.ms - cost.of(sample.extent));
        Some(Self { fixed_ms: median(rests.collect())?.max(0.0), ..cost })
    }
}

/// By how much one grows with the other, from measurements in which that is so many times as large in one as in the other; none where there are
/// no such two. Never negative.
fn slope(
    samples: &VecDeque<Sample>,
    over: impl Fn(&Sample) -> i64,
    of: impl Fn(&Sample) -> f64,
    apart: f64,
) -> Option<f64> {
    let mut slopes = Vec::new();
    for (at, one) in samples.iter().enumerate() {
        for other in samples.iter().skip(at + 1) {
            let (low, high) = if over(one) < over(other) { (one, other) } else { (other, one) };
            let (from, to) = (over(low) as f64, over(high) as f64);
            if to >= from * apart && to > from {
                slopes.push((of(high) - of(low)) / (to - from));
            }
        }
    }
    Some(median(slopes)?.max(0.0))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// One clone that was made while no other was.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    extent: Extent,
    ms: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    method: CloneMethod,
    samples: VecDeque<Sample>,
}

/// The methods that a server has, with what each took.
#[derive(Debug, Clone, PartialEq)]
pub struct CloneMethods {
    candidates: Vec<Candidate>,
}

impl CloneMethods {
    /// Nothing measured yet. There is at least one method.
    pub fn new(methods: &[CloneMethod]) -> Self {
        let candidates =
            methods.iter().map(|&method| Candidate { method, samples: VecDeque::new() }).collect();
        Self { candidates }
    }

    /// Takes a measurement in, and forgets the method's oldest.
    pub fn record(&mut self, method: CloneMethod, extent: Extent, took: Duration) {
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.method == method) {
            candidate.samples.push_back(Sample { extent, ms: took.as_secs_f64() * 1e3 });
            if candidate.samples.len() > KEPT {
                candidate.samples.pop_front();
            }
        }
    }

    /// Never again, unless it is the last: the file system refused it.
    pub(in crate::engine) fn rule_out(&mut self, method: CloneMethod) -> bool {
        if self.candidates.len() > 1 {
            self.candidates.retain(|candidate| candidate.method != method);
        }
        !self.methods().any(|left| left == method)
    }

    pub fn methods(&self) -> impl Iterator<Item = CloneMethod> + '_ {
        self.candidates.iter().map(|candidate| candidate.method)
    }

    /// What a method costs here; none before it was measured with two sizes.
    pub fn cost(&self, method: CloneMethod) -> Option<CloneCost> {
        let candidate = self.candidates.iter().find(|candidate| candidate.method == method)?;
        CloneCost::fit(&candidate.samples)
    }

    /// The method for a template of this extent: the cheapest, or a guess until all are measured.
    pub fn choose(&self, extent: Extent) -> CloneMethod {
        let costs: Option<Vec<_>> =
            self.methods().map(|method| Some((method, self.cost(method)?.of(extent)))).collect();
        let cheapest =
            costs.and_then(|costs| costs.into_iter().min_by(|one, other| one.1.total_cmp(&other.1)));
        cheapest.map_or_else(|| self.guess(extent.bytes), |(method, _)| method)
    }

    /// The smallest template of few tables for which `choose` says otherwise than for an empty one; none where one method is best for all.
    pub fn turning_point(&self) -> Option<i64> {
        let choose = |bytes: i64| self.choose(Extent::of_bytes(bytes));
        let first = choose(0);
        // Sizes in quarters of a power of two, from 1 MiB to 1 TiB: the answer is for people.
        let steps = (20..40).flat_map(|power| (4..8).map(move |quarter| (1_i64 << power) / 4 * quarter));
        steps.into_iter().find(|&bytes| choose(bytes) != first)
    }

    /// Whether clones share their template's blocks: a clone then costs far less for each byte than a copy does.
    pub fn shares_blocks(&self) -> Option<bool> {
        let cloned = self.cost(CloneMethod::CloneFiles)?;
        let copied = self.cost(CloneMethod::CopyFiles)?;
        Some(cloned.ms_per_byte < copied.ms_per_byte / 3.0)
    }

    fn guess(&self, bytes: i64) -> CloneMethod {
        let preferred = if bytes > GUESSED_LIMIT {
            [CloneMethod::CloneFiles, CloneMethod::CopyFiles, CloneMethod::WalLog]
        } else {
            [CloneMethod::WalLog, CloneMethod::CopyFiles, CloneMethod::CloneFiles]
        };
        let has = |method: &CloneMethod| self.methods().any(|own| own == *method);
        preferred.into_iter().find(has).expect("a server has at least one method")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use CloneMethod::{CloneFiles, CopyFiles, WalLog};

    const ALL: [CloneMethod; 3] = [WalLog, CopyFiles, CloneFiles];
    const MIB: i64 = 1 << 20;

    fn cost(fixed_ms: f64, ms_per_mib: f64) -> CloneCost {
        CloneCost { fixed_ms, ms_per_byte: ms_per_mib / MIB as f64, ms_per_file: 0.0 }
    }

    fn mib(mib: i64) -> Extent {
        Extent::of_bytes(mib * MIB)
    }

    fn measured(costs: &[CloneCost; 3], extents: &[Extent]) -> CloneMethods {
        let mut methods = CloneMethods::new(&ALL);
        for (method, cost) in ALL.into_iter().zip(costs) {
            for &extent in extents {
                methods.record(method, extent, Duration::from_secs_f64(cost.of(extent) / 1e3));
            }
        }
        methods
    }

    #[test]
    fn until_it_is_measured_the_size_decides() {
        let methods = CloneMethods::new(&ALL);
        assert_eq!((methods.choose(mib(12)), methods.choose(mib(595))), (WalLog, CloneFiles));
        let seventeen = CloneMethods::new(&[WalLog, CopyFiles]);
        assert_eq!((seventeen.choose(mib(12)), seventeen.choose(mib(595))), (WalLog, CopyFiles));
        let fourteen = CloneMethods::new(&[CopyFiles]);
        assert_eq!((fourteen.choose(mib(12)), fourteen.choose(mib(595))), (CopyFiles, CopyFiles));
        assert_eq!((methods.turning_point(), fourteen.turning_point()), (Some(40 * MIB), None));
    }

    #[test]
    fn the_figures_of_two_file_systems_decide() {
        let sizes = [mib(7), mib(7), mib(48), mib(48)];
        let xfs = measured(&[cost(15.0, 2.4), cost(40.0, 0.9), cost(43.0, 0.01)], &sizes);
        assert_eq!((xfs.choose(mib(7)), xfs.choose(mib(1024))), (WalLog, CloneFiles));
        assert_eq!(xfs.shares_blocks(), Some(true));
        assert_eq!(xfs.turning_point(), Some(12 * MIB));
        let ext4 = measured(&[cost(15.0, 2.4), cost(40.0, 0.9), cost(41.0, 0.85)], &sizes);
        assert_eq!(ext4.shares_blocks(), Some(false));
        let zfs = measured(&[cost(80.0, 2.4), cost(70.0, 0.9), cost(20.0, 0.01)], &sizes);
        assert_eq!((zfs.choose(mib(0)), zfs.turning_point()), (CloneFiles, None));
    }

    /// Each file that is copied waits for the disk; through the WAL, all of them wait once.
    #[test]
    fn a_schema_of_many_tables_costs_its_files() {
        let each_file = |cost: CloneCost, ms_per_file| CloneCost { ms_per_file, ..cost };
        let costs = [
            each_file(cost(15.0, 2.0), 0.05),
            each_file(cost(10.0, 0.9), 0.2),
            each_file(cost(10.0, 0.01), 0.09),
        ];
        let crowded = Extent { bytes: 14 * MIB, files: 1_100 };
        let methods = measured(&costs, &[mib(7), mib(48), crowded, mib(7), mib(48), crowded]);
        assert_eq!(methods.choose(mib(14)), CloneFiles);
        assert_eq!(methods.choose(Extent { bytes: 14 * MIB, files: 2_000 }), WalLog);
        assert_eq!(methods.choose(Extent { bytes: 1024 * MIB, files: 2_000 }), CloneFiles);
    }

    #[test]
    fn what_was_refused_is_not_chosen_again_but_something_is() {
        let mut methods = CloneMethods::new(&ALL);
        assert!(methods.rule_out(CloneFiles));
        assert_eq!(methods.choose(mib(595)), CopyFiles);
        assert!(methods.rule_out(CopyFiles));
        assert!(!methods.rule_out(WalLog), "the last one stays");
        assert_eq!(methods.choose(mib(595)), WalLog);
    }

    prop_compose! {
        fn any_cost()(fixed_ms in 0.0..3000.0, ms_per_mib in 0.0..20.0, ms_per_file in 0.0..2.0) -> CloneCost {
            CloneCost { ms_per_file, ..cost(fixed_ms, ms_per_mib) }
        }
    }

    proptest! {
        #[test]
        fn no_other_method_would_be_faster(
            costs in [any_cost(), any_cost(), any_cost()], size in 0_i64..100_000, files in 300_i64..5_000
        ) {
            let crowded = Extent { bytes: 11 * MIB, files: 900 };
            let methods = measured(&costs, &[mib(7), mib(48), crowded, mib(500)]);
            let extent = Extent { bytes: size * MIB, files };
            let chosen = methods.choose(extent);
            let of = |method| costs[ALL.iter().position(|one| *one == method).unwrap()].of(extent);
            for other in ALL {
                // Durations are kept in nanoseconds.
                prop_assert!(of(chosen) <= of(other) * 1.000_1 + 0.1, "{chosen} {} {other} {}", of(chosen), of(other));
            }
        }

        #[test]
        fn an_outlier_changes_nothing(costs in [any_cost(), any_cost(), any_cost()], ms in 0_u64..60_000, size in 0_i64..100_000) {
            let crowded = Extent { bytes: 11 * MIB, files: 900 };
            let sizes = [mib(7), mib(48), crowded, mib(7), mib(48), crowded, mib(7), mib(48), crowded];
            let (quiet, mut held_up) = (measured(&costs, &sizes), measured(&costs, &sizes));
            held_up.record(WalLog, mib(48), Duration::from_millis(ms));
            let (quiet, held_up) = (quiet.cost(WalLog).unwrap(), held_up.cost(WalLog).unwrap());
            let size = mib(size);
            prop_assert!((quiet.of(size) - held_up.of(size)).abs() <= 1e-3 * (1.0 + quiet.of(size)));
        }

        #[test]
        fn a_cost_is_never_negative_and_whatever_is_recorded_something_is_chosen(
            samples in proptest::collection::vec((0_usize..3, 0_i64..(1 << 40), 0_i64..10_000, 0_u64..100_000), 0..80),
            bytes in 0_i64..(1 << 40),
        ) {
            let mut methods = CloneMethods::new(&ALL);
            for (method, bytes, files, ms) in samples {
                methods.record(ALL[method], Extent { bytes, files }, Duration::from_millis(ms));
            }
            for cost in ALL.into_iter().filter_map(|method| methods.cost(method)) {
                prop_assert!(cost.fixed_ms >= 0.0 && cost.ms_per_byte >= 0.0 && cost.ms_per_file >= 0.0);
            }
            prop_assert!(ALL.contains(&methods.choose(Extent::of_bytes(bytes))));
        }
    }
}
