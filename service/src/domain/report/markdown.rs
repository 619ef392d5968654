//! Text of strangers inside Markdown: names and SQL come from a pull request and may hold anything. Whatever it is, it reads as it is.

/// A code span that shows the text as it is, whatever backticks or line breaks are in it.
pub(super) fn code(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { visible(c) }).collect();
    let ticks = "`".repeat(longest_run(&shown, '`') + 1);
    let touches = |c| shown.starts_with(c) || shown.ends_with(c);
    // One space at each end is taken off again, unless there is nothing but spaces.
    let blank = shown.chars().all(|c| c == ' ');
    let space = if shown.is_empty() || touches('`') || (touches(' ') && !blank) { " " } else { "" };
    format!("{ticks}{space}{shown}{space}{ticks}")
}

/// A code span in a table's cell, which a bar would end even there.
pub(super) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A fenced block whose fence no line of the text can close.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    // Escape sequences would act in the terminal of whoever reads it there.
    let harmless =
        |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { visible(c) };
    let shown: String = text.trim_end().replace("\r\n", "\n").chars().map(harmless).collect();
    format!("{fence}{language}\n{shown}\n{fence}\n")
}

/// A sentence of a stranger: nothing in it is Markdown, HTML, a mention, a reference or a formula.
pub(super) fn plain(text: &str) -> String {
    escaped(text.trim())
}

/// A sentence in which pairs of backticks mean code, as our own hints have it, and nothing else means anything.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.trim().split('`').collect();
    if parts.len().is_multiple_of(2) || parts.iter().skip(1).step_by(2).any(|span| span.trim().is_empty()) {
        return plain(text);
    }
    let part = |(at, part): (usize, &&str)| if at % 2 == 0 { escaped(part) } else { code(part) };
    parts.iter().enumerate().map(part).collect()
}

fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            '$' => shown.push_str("&#36;"),
            // A zero-width space keeps GitHub from notifying people and linking issues.
            '@' | '#' => {
                shown.push(c);
                shown.push('\u{200b}');
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                shown.push('\\');
                shown.push(c);
            }
            c if c.is_control() => shown.push(' '),
            c => shown.push(visible(c)),
        }
    }
    shown
}

/// Characters that turn the direction of the text around them could make it read as another.
pub(super) fn visible(c: char) -> char {
    if matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '\u{fffd}' } else { c }
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0) / of.len_utf8()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    #[test]
    fn code_spans_hold_anything() {
        assert_eq!(code("1_init"), "`1_init`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(code(" x"), "`  x `");
        assert_eq!(code("a|b\nc"), "`a|b c`");
        assert_eq!(cell("a|b"), "`a\\|b`");
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
        assert_eq!(plain("at or near \"$1\""), "at or near \"&#36;1\"");
    }

    #[test]
    fn pairs_of_backticks_in_a_hint_are_code() {
        assert_eq!(prose("Run `a_b`, *now*."), "Run `a_b`, \\*now\\*.");
        assert_eq!(prose("one ` alone"), "one \\` alone");
        assert_eq!(prose("```"), "\\`\\`\\`");
    }

    /// What GitHub's Markdown has beyond CommonMark.
    const GITHUB: Options = Options::ENABLE_TABLES
        .union(Options::ENABLE_STRIKETHROUGH)
        .union(Options::ENABLE_TASKLISTS)
        .union(Options::ENABLE_FOOTNOTES)
        .union(Options::ENABLE_GFM)
        .union(Options::ENABLE_MATH);

    /// What a reader sees of Markdown, and what stands in code.
    fn seen(markdown: &str) -> (String, Vec<String>) {
        let (mut text, mut spans) = (String::new(), Vec::new());
        for event in Parser::new_ext(markdown, GITHUB) {
            match event {
                Event::Text(part) => text.push_str(&part),
                Event::Code(part) => spans.push(part.into_string()),
                Event::Start(
                    Tag::Paragraph | Tag::Table(_) | Tag::TableHead | Tag::TableRow | Tag::TableCell,
                )
                | Event::End(_) => {}
                Event::Start(Tag::CodeBlock(_)) => {}
                other => text.push_str(&format!("{other:?}")),
            }
        }
        (text.replace('\u{200b}', ""), spans)
    }

    proptest! {
        #[test]
        fn a_sentence_reads_as_it_is(text in hostile()) {
            let expected: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { visible(c) }).collect();
            let expected = format!("It says {expected}").replace('\u{200b}', "");
            let (shown, spans) = seen(&format!("It says {}", plain(&text)));
            prop_assert_eq!((shown.trim_end(), spans), (expected.trim_end(), Vec::new()));
        }

        #[test]
        fn a_hint_reads_as_it_is(text in hostile()) {
            let (shown, spans) = seen(&format!("It says {}", prose(&text)));
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
            prop_assert_eq!(letters(&shown) + letters(&spans.concat()), letters("It says") + letters(&text));
        }

        #[test]
        fn a_code_span_reads_as_it_is(text in hostile()) {
            let expected: String = text.chars().map(|c| if c.is_control() { ' ' } else { visible(c) }).collect();
            let (_, spans) = seen(&format!("It is {}.", code(&text)));
            let shown = spans.concat();
            prop_assert_eq!(shown.trim(), expected.trim());
            let (_, spans) = seen(&format!("| a |\n|---|\n| {} |\n", cell(&text)));
            let shown = spans.concat();
            prop_assert_eq!(shown.trim(), expected.trim());
        }
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "<!-- ",
            "-->",
            "<img src=x onerror=alert(1)>",
            "&amp;",
            "*",
            "**",
            "_",
            "`",
            "```",
            "|",
            "\\",
            "[a](b)",
            "![a](b)",
            "~~",
            "$",
            "$$",
            "@ada",
            "#1",
            "\n",
            "\r\n",
            "\t",
            "# ",
            "> ",
            "- ",
            "1. ",
            "---",
            "=",
            "é",
            "🦀",
            "\u{202e}",
            "\0",
            "http://x.dev",
            ":tada:",
            "^1^",
            "word ",
            "\"q\"",
            "'",
            "{",
            "}",
            "+++",
            "    ",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }
}
