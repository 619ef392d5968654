//! The figures: what each measures, and what it claims of the numbers.

pub mod burst;
pub mod cow;
pub mod forks;
pub mod github;
pub mod ready;
pub mod replay;
pub mod sizes;
pub mod thousand;
pub mod webhooks;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::bench::Bench;
use crate::results::{Measured, Series};
use crate::storage::disk_mib;

/// What a branch's document says of the way, without seeds.
const PARTS: [&str; 5] = ["queued", "read", "acquire", "migrate", "total"];

/// One section of the page.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// As `ONLY=` and the results call it.
    pub name: &'static str,
    pub title: &'static str,
    /// How it is measured, for the page.
    pub method: &'static str,
    pub measure: for<'b> fn(&'b Bench) -> BoxFuture<'b, Result<Outcome>>,
    /// What is said of the numbers, against what is to be reached.
    pub claims: fn(&Measured) -> Vec<Claim>,
}

/// What measuring came to.
#[derive(Debug)]
pub enum Outcome {
    Measured(Vec<Series>),
    /// This machine cannot, and why.
    Skipped(String),
}

/// Why a figure cannot be measured where there is not so much free disk.
async fn short_of_disk(bench: &Bench, needed_mib: f64) -> Result<Option<Outcome>> {
    let free = disk_mib(&std::env::temp_dir(), "avail").await?;
    let said = || format!("{free:.0} MiB of disk are free and it takes {needed_mib:.0} MiB");
    Ok((!bench.quick && free < needed_mib).then(|| Outcome::Skipped(said())))
}

/// A ratio or another number that decides, and whether it is good enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub what: String,
    pub measured: String,
    pub goal: String,
    pub is_met: bool,
}

impl Claim {
    /// A number that must not be above another; none where it was not measured.
    pub fn at_most(what: &str, value: Option<f64>, limit: f64, say: impl Fn(f64) -> String) -> Option<Self> {
        let value = value?;
        let (measured, goal) = (say(value), format!("≤ {}", say(limit)));
        Some(Self { what: what.to_owned(), measured, goal, is_met: value <= limit })
    }

    /// A number that must not be below another; none where it was not measured.
    pub fn at_least(what: &str, value: Option<f64>, limit: f64, say: impl Fn(f64) -> String) -> Option<Self> {
        let value = value?;
        let (measured, goal) = (say(value), format!("≥ {}", say(limit)));
        Some(Self { what: what.to_owned(), measured, goal, is_met: value >= limit })
    }
}

/// `3.2 ×`
pub fn times(value: f64) -> String {
    if value < 10.0 { format!("{value:.2} ×") } else { format!("{value:.0} ×") }
}

/// `85 %` of a share.
pub fn percent(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

/// `12.3 ms`
pub fn ms(value: f64) -> String {
    if value < 100.0 { format!("{value:.1} ms") } else { format!("{value:.0} ms") }
}

/// `12 MiB`, `1.02 GiB`
pub fn mib(value: f64) -> String {
    if value < 1_024.0 { format!("{value:.0} MiB") } else { format!("{:.2} GiB", value / 1_024.0) }
}

/// One number in proportion to another.
pub fn ratio(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    Some(above? / below?)
}

/// Every figure, in the page's order.
pub const ALL: &[Figure] = &[
    ready::FIGURE,
    github::FIGURE,
    sizes::FIGURE,
    cow::FIGURE,
    replay::FIGURE,
    burst::FIGURE,
    thousand::FIGURE,
    forks::FIGURE,
    webhooks::FIGURE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_a_limit_itself_is_good_enough() {
        let mut names: Vec<_> = ALL.iter().map(|figure| figure.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        let claim = Claim::at_most("latency", Some(25.0), 25.0, ms).unwrap();
        assert!(claim.is_met && claim.goal == "≤ 25.0 ms");
        assert!(!Claim::at_least("rate", ratio(Some(79.0), Some(100.0)), 0.8, percent).unwrap().is_met);
        assert_eq!(Claim::at_most("nothing", None, 1.0, times), None);
    }
}
