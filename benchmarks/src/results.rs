//! The raw numbers: what `docs/benchmarks/results.json` holds, and all that the page is written from.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// Every figure that was measured, by its name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    pub figures: BTreeMap<String, Measured>,
}

/// One figure as it was measured last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub at: chrono::DateTime<chrono::Utc>,
    pub machine: Machine,
    /// With few runs, to see that it works: not to be believed.
    pub quick: bool,
    /// How long measuring took.
    pub seconds: f64,
    /// Why there is nothing, where it could not be measured here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    #[serde(default)]
    pub series: Vec<Series>,
}

/// Values of one thing, in the order in which they were taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it is, for people: the row's name in the page's table.
    pub name: String,
    pub unit: Unit,
    /// How much there was of what a line is drawn over: MiB of a template, branches, senders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<f64>,
    pub values: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "/s")]
    PerSecond,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "")]
    Count,
}

impl Unit {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::PerSecond => "/s",
            Self::Mebibytes => "MiB",
            Self::Count => "",
        }
    }
}

impl Series {
    pub fn new(name: impl Into<String>, unit: Unit) -> Self {
        Self { name: name.into(), unit, over: None, values: Vec::new() }
    }

    pub fn of_ms(name: impl Into<String>) -> Self {
        Self::new(name, Unit::Milliseconds)
    }

    pub fn over(mut self, over: f64) -> Self {
        self.over = Some(over);
        self
    }

    pub fn with(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        self.values.extend(values);
        self
    }

    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    pub fn median(&self) -> Option<f64> {
        quantile(&self.values, 0.5)
    }

    pub fn p95(&self) -> Option<f64> {
        quantile(&self.values, 0.95)
    }
}

impl Measured {
    /// The series of a name, and where there are several, of what it is over.
    pub fn series(&self, name: &str, over: Option<f64>) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name && (over.is_none() || series.over == over))
    }

    pub fn median(&self, name: &str) -> Option<f64> {
        self.series(name, None)?.median()
    }

    pub fn median_over(&self, name: &str, over: f64) -> Option<f64> {
        self.series(name, Some(over))?.median()
    }
}

impl Results {
    /// What was measured before; nothing where there is no file yet.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("understand {}", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// The value below which this part of the values lies, between two values in proportion. None of no values.
pub fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = part * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.95), Some(7.0));
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
        let hundred: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.95), Some(95.0));
    }

    #[test]
    fn a_series_is_found_by_what_it_is_over() {
        let series =
            [Series::of_ms("ready").over(1.0).with([5.0]), Series::of_ms("ready").over(2.0).with([7.0])];
        let measured = Measured {
            at: chrono::Utc::now(),
            machine: Machine::default(),
            quick: true,
            seconds: 0.0,
            skipped: None,
            series: series.to_vec(),
        };
        assert_eq!(measured.median_over("ready", 2.0), Some(7.0));
        assert_eq!(measured.median("ready"), Some(5.0));
        assert_eq!(measured.median("other"), None);
    }
}
