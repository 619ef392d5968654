//! What a database is, as lines that can be compared, and what a layer's comparison with a replay from empty comes to.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Every object of a schema, and every row of the bookkeeping, as one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(BTreeSet<String>);

impl Fingerprint {
    pub fn of(lines: impl IntoIterator<Item = String>) -> Self {
        Self(lines.into_iter().collect())
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Lower-case hexadecimal SHA-256.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for line in &self.0 {
            hash.update(line.as_bytes());
            hash.update([0]);
        }
        hex::encode(hash.finalize())
    }

    /// What this one has and the other has not.
    fn beyond(&self, other: &Self) -> Vec<String> {
        self.0.difference(&other.0).cloned().collect()
    }
}

/// How a layer and a replay of the same files from empty disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    Differs {
        only_in_layer: Vec<String>,
        only_in_replay: Vec<String>,
    },
    /// The files cannot be replayed at all, although the layer stands.
    Broken {
        message: String,
    },
}

impl Disagreement {
    /// None where both hold the same. A replay that failed says why.
    pub fn between(layer: &Fingerprint, replay: &Result<Fingerprint, String>) -> Option<Self> {
        match replay {
            Ok(replay) if replay == layer => None,
            Ok(replay) => Some(Self::Differs {
                only_in_layer: layer.beyond(replay),
                only_in_replay: replay.beyond(layer),
            }),
            Err(message) => Some(Self::Broken { message: message.clone() }),
        }
    }

    /// For people: no more lines than they will read.
    pub fn findings(&self) -> Vec<String> {
        const MOST: usize = 20;
        match self {
            Self::Broken { message } => vec![message.clone()],
            Self::Differs { only_in_layer, only_in_replay } => {
                let only = |place: &'static str, lines: &[String]| -> Vec<String> {
                    lines.iter().map(|line| format!("only in the {place}: {line}")).collect()
                };
                let mut all = only("layer", only_in_layer);
                all.extend(only("replay", only_in_replay));
                let rest = all.len().saturating_sub(MOST);
                all.truncate(MOST);
                all.extend((rest > 0).then(|| format!("and {rest} more")));
                all
            }
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// The layer is what a replay from empty makes.
    Same,
    /// The layer is something else: it was replaced by the replay.
    Differs,
    /// The layer stands for files that fail from empty: it was dropped.
    Broken,
    /// Replays of these files do not even agree among themselves, so that nothing follows for the layer.
    Unstable,
}

impl CheckOutcome {
    pub const ALL: [Self; 4] = [Self::Same, Self::Differs, Self::Broken, Self::Unstable];

    /// From the disagreements of a layer with two replays. Only what happens twice in the same way is the layer's fault: a chain
    /// may name a table after today's date, and a busy server may run into a timeout.
    pub fn of(first: &Disagreement, second: Option<&Disagreement>) -> Self {
        match second {
            Some(second) if second == first => match first {
                Disagreement::Differs { .. } => Self::Differs,
                Disagreement::Broken { .. } => Self::Broken,
            },
            _ => Self::Unstable,
        }
    }

    /// Whether the layer was found to be wrong: its like must not be continued from another layer again.
    pub const fn condemns(self) -> bool {
        matches!(self, Self::Differs | Self::Broken)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Broken => "broken",
            Self::Unstable => "unstable",
        }
    }
}

impl fmt::Display for CheckOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CheckOutcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|outcome| outcome.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is not an outcome of a check"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(lines: &[&str]) -> Fingerprint {
        Fingerprint::of(lines.iter().map(|line| (*line).to_owned()))
    }

    #[test]
    fn the_order_of_lines_is_no_difference() {
        assert_eq!(print(&["a", "b"]).digest(), print(&["b", "a"]).digest());
        assert_ne!(print(&["a", "b"]).digest(), print(&["ab"]).digest());
        assert_eq!(Disagreement::between(&print(&["a"]), &Ok(print(&["a"]))), None);
    }

    #[test]
    fn a_disagreement_names_what_differs() {
        let found = Disagreement::between(&print(&["a", "b"]), &Ok(print(&["b", "c"]))).unwrap();
        assert_eq!(found.findings(), ["only in the layer: a", "only in the replay: c"]);
        let lines: Vec<String> = (0..30).map(|number| format!("table {number}")).collect();
        let many = Disagreement::between(&Fingerprint::of(lines), &Ok(print(&[]))).unwrap();
        assert_eq!(many.findings().len(), 21);
        assert_eq!(many.findings()[20], "and 10 more");
    }

    #[test]
    fn only_what_happens_twice_is_the_layer_s_fault() {
        let layer = print(&["a"]);
        let differs = Disagreement::between(&layer, &Ok(print(&["b"]))).unwrap();
        let otherwise = Disagreement::between(&layer, &Ok(print(&["c"]))).unwrap();
        let broken = Disagreement::between(&layer, &Err("no such table".to_owned())).unwrap();
        for (first, second, outcome) in [
            (&differs, Some(&differs), CheckOutcome::Differs),
            (&broken, Some(&broken), CheckOutcome::Broken),
            (&differs, None, CheckOutcome::Unstable),
            (&differs, Some(&otherwise), CheckOutcome::Unstable),
            (&broken, Some(&differs), CheckOutcome::Unstable),
        ] {
            assert_eq!(CheckOutcome::of(first, second), outcome);
        }
        for outcome in CheckOutcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
        }
    }
}
