//! The service's log, as JSON lines.

use serde_json::Value;

/// How much of the log a failing test shows.
const SHOWN: usize = 80;

/// The lines of level WARN and ERROR in which nothing expected is found. A line that is no JSON is unexpected too: it would
/// be a panic.
pub(super) fn unexpected_trouble(log: &str, expected: &[String]) -> Vec<String> {
    let is_trouble = |line: &&str| match serde_json::from_str::<Value>(line) {
        Ok(entry) => matches!(entry["level"].as_str(), Some("WARN" | "ERROR") | None),
        Err(_) => true,
    };
    let is_expected = |line: &&str| expected.iter().any(|part| line.contains(part.as_str()));
    log.lines().filter(is_trouble).filter(|line| !is_expected(line)).map(str::to_owned).collect()
}

pub(super) fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unexpected_trouble_is_told() {
        let log = r#"{"level":"INFO","message":"fine"}
{"level":"WARN","message":"GitHub is slow"}
{"level":"ERROR","message":"broken"}
thread 'main' panicked"#;
        let trouble = unexpected_trouble(log, &["GitHub is slow".to_owned()]);
        assert_eq!(trouble, [r#"{"level":"ERROR","message":"broken"}"#, "thread 'main' panicked"]);
    }
}
