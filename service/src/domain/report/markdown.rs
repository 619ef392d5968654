//! Text of strangers inside Markdown: names and SQL come from a pull request and may hold anything.

/// A code span that shows the text as it is, whatever backticks, pipes or line breaks are in it.
pub(super) fn code(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let shown = shown.replace('|', "\\|");
    let ticks = "`".repeat(longest_run(&shown, '`') + 1);
    let space = if shown.starts_with('`') || shown.ends_with('`') || shown.is_empty() { " " } else { "" };
    format!("{ticks}{space}{shown}{space}{ticks}")
}

/// A fenced block whose fence no line of the text can close.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end().replace('\0', "\u{fffd}"))
}

/// A sentence of a stranger, as a message of the server may be: nothing in it is Markdown, HTML, a mention or a reference.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => shown.push(' '),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            // A zero-width space keeps GitHub from notifying people and linking issues.
            '@' | '#' => {
                shown.push(c);
                shown.push('\u{200b}');
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => {
                shown.push('\\');
                shown.push(c);
            }
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0) / of.len_utf8()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_spans_hold_anything() {
        assert_eq!(code("1_init"), "`1_init`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(code("a|b\nc"), "`a\\|b c`");
        assert_eq!(code(""), "`  `");
    }

    #[test]
    fn a_fence_cannot_be_closed_from_inside() {
        assert_eq!(fenced("sql", "select 1"), "```sql\nselect 1\n```\n");
        assert_eq!(fenced("sql", "```\n@everyone"), "````sql\n```\n@everyone\n````\n");
    }

    #[test]
    fn messages_are_not_markup() {
        assert_eq!(plain("<img src=x> @ada #1 *b*"), "&lt;img src=x&gt; @\u{200b}ada #\u{200b}1 \\*b\\*");
    }
}
