//! How a storm ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use integration::invariants::Broken;
use integration::storm::Tally;

use super::faults::Fault;

#[derive(Debug, Default)]
pub struct Score {
    /// How often each fault was injected.
    faults: BTreeMap<String, usize>,
    /// Faults that this machine cannot make, and why.
    skipped: BTreeMap<String, String>,
    pub deliveries: Tally,
    /// Pull requests that ended as they must.
    pub right: usize,
    /// Pull requests that did not, and what was promised and is not there.
    pub lost: Vec<String>,
    pub left_over: Vec<String>,
    pub wrong: Vec<String>,
    /// From the end of the faults to rest, at the most.
    pub converged: Duration,
}

/// Whether a fault could be injected; else why not.
pub type Came = Result<(), String>;

impl Score {
    pub fn injected(&mut self, fault: Fault, came: Came) {
        match came {
            Ok(()) => *self.faults.entry(fault.to_string()).or_default() += 1,
            Err(why) => drop(self.skipped.insert(fault.to_string(), why)),
        }
    }

    pub fn found(&mut self, broken: Broken) {
        self.lost.extend(broken.lost);
        self.left_over.extend(broken.left_over);
        self.wrong.extend(broken.wrong);
    }

    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(fault.clone()).or_default() += count;
        }
        self.skipped.extend(other.skipped.clone());
        let (sum, more) = (&mut self.deliveries, &other.deliveries);
        sum.sent += more.sent;
        sum.stored += more.stored;
        sum.known += more.known;
        sum.missed += more.missed;
        self.right += other.right;
        self.lost.extend(other.lost.iter().cloned());
        self.left_over.extend(other.left_over.iter().cloned());
        self.wrong.extend(other.wrong.iter().cloned());
        self.converged = self.converged.max(other.converged);
    }

    pub fn is_perfect(&self) -> bool {
        self.right > 0 && self.lost.is_empty() && self.left_over.is_empty() && self.wrong.is_empty()
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { sent, stored, known, missed } = self.deliveries;
        writeln!(f, "faults injected       {}", self.faults.values().sum::<usize>())?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {fault:<34} {count:>4}")?;
        }
        for (fault, why) in &self.skipped {
            writeln!(f, "  {fault:<34} skipped: {why}")?;
        }
        writeln!(f, "deliveries sent       {sent}: {stored} stored, {known} known, {missed} missed")?;
        writeln!(f, "branches ended right  {}", self.right)?;
        for (what, list) in [("lost", &self.lost), ("left over", &self.left_over), ("wrong", &self.wrong)] {
            writeln!(f, "{what:<21} {}", list.len())?;
            for one in list {
                writeln!(f, "  {one}")?;
            }
        }
        write!(f, "at rest after         {:.1} s at the most", self.converged.as_secs_f64())
    }
}
