//! What a report on a pull request may not do to its readers, whatever an attacker wrote.

use anyhow::{Result, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag};

const MARKER: &str = "<!-- offshoot";
/// GitHub refuses more.
const LONGEST: usize = 65_536;

/// The comment is one report of ours: one heading, no HTML but the marker, no image, no link but to the dashboard.
pub fn ensure_intact(comment: &str, dashboard: &str) -> Result<()> {
    ensure!(comment.chars().count() <= LONGEST, "{} characters", comment.chars().count());
    let control = comment.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || ('\u{202a}'..='\u{202e}').contains(c)
            || ('\u{2066}'..='\u{2069}').contains(c)
    });
    ensure!(control.is_none(), "the comment holds {control:?}: {comment}");
    let (mut headings, mut in_code) = (0, false);
    for event in Parser::new_ext(
        comment,
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
    ) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                ensure!(html.starts_with(MARKER), "HTML in the comment: {html}");
            }
            Event::Start(Tag::Image { .. }) => anyhow::bail!("an image in the comment: {comment}"),
            Event::Start(Tag::Link { dest_url, .. }) => {
                ensure!(dest_url.starts_with(dashboard), "a link to {dest_url} in the comment");
            }
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_code = false,
            // A name after an @ is told of it; not within code.
            Event::Text(text) if !in_code => {
                ensure!(!text.contains("@everyone"), "a mention in the comment: {comment}")
            }
            _ => {}
        }
    }
    ensure!(headings == 1, "{headings} headings in the comment: {comment}");
    Ok(())
}
