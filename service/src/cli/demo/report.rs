//! The report's Markdown, as a terminal can show it.

use console::style;

/// The lines of a comment without its marker. Where `colours` are wanted, what is strong or code is coloured; else it keeps its marks.
pub(super) fn lines(comment: &str, colours: bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut in_code = false;
    for line in comment.lines().filter(|line| !line.starts_with("<!--")) {
        if line.starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let shown = match line {
            _ if in_code => code(line, colours),
            "|---|---:|" | "| migration | took |" => continue,
            row if row.starts_with("| ") => format!("• {}", inline(&cells(row), colours)),
            heading if heading.starts_with("### ") => strong(&inline(&heading[4..], false), colours),
            point if point.starts_with("- ") => format!("• {}", inline(&point[2..], colours)),
            quote if quote.starts_with("> ") => inline(&quote[2..], colours),
            other => inline(other, colours),
        };
        if !(shown.is_empty() && lines.last().is_none_or(String::is_empty)) {
            lines.push(shown);
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// A table's row as one text.
fn cells(row: &str) -> String {
    row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>().join("  ")
}

fn strong(text: &str, colours: bool) -> String {
    if colours { style(text).bold().to_string() } else { text.to_owned() }
}

fn code(text: &str, colours: bool) -> String {
    let text = format!("    {text}");
    if colours { style(text).yellow().to_string() } else { text }
}

/// Spans of code and strong text, links by their address, and what was escaped as it was meant.
fn inline(text: &str, colours: bool) -> String {
    let mut shown = String::new();
    for (at, part) in text.split('`').enumerate() {
        let is_code = at % 2 == 1;
        match (is_code, colours) {
            (true, true) => shown.push_str(&style(part).cyan().to_string()),
            (true, false) => shown.push_str(&format!("`{part}`")),
            (false, _) => shown.push_str(&prose(part, colours)),
        }
    }
    shown
}

fn prose(text: &str, colours: bool) -> String {
    let mut shown = String::new();
    for (at, part) in text.replace("](", " ").split("**").enumerate() {
        let plain = unescape(part);
        if at % 2 == 1 { shown.push_str(&strong(&plain, colours)) } else { shown.push_str(&plain) }
    }
    shown
}

/// Undoes what keeps the words of strangers from being Markdown.
fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace('\u{200b}', "");
    let mut shown = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => shown.extend(chars.next()),
            '[' | ')' if text.contains("http") => {}
            c => shown.push(c),
        }
    }
    shown
}

/// A line broken at spaces, so that no piece is wider than `width`, unless a word is.
pub(super) fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = pieces.last_mut().expect("there is always one");
        let wide = console::measure_text_width(last) + console::measure_text_width(word.trim_end()) > width;
        if wide && !last.trim().is_empty() {
            pieces.push(word.to_owned());
        } else {
            last.push_str(word);
        }
    }
    pieces.iter().map(|piece| piece.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_text() {
        let comment = "<!-- offshoot:report -->\n### ❌ A migration failed\n\nAt `abc1234`.\n\n> **index \"a\\_b\" &amp; more** (SQLSTATE `23505`)\n\n```sql\nselect 1\n```\n\n| migration | took |\n|---|---:|\n| `1_init` | 4.0 ms |\n\n- **bad**\n";
        assert_eq!(
            lines(comment, false),
            [
                "❌ A migration failed",
                "",
                "At `abc1234`.",
                "",
                "index \"a_b\" & more (SQLSTATE `23505`)",
                "",
                "    select 1",
                "",
                "• `1_init`  4.0 ms",
                "",
                "• bad",
            ]
        );
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 4), ["unbreakable"]);
    }
}
