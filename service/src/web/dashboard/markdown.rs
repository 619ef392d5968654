//! The report's Markdown as HTML. It holds strangers' text, so HTML in it stays text.

use pulldown_cmark::{Event, Options, Parser, html};

/// HTML that can only say what the Markdown says.
pub(super) fn render(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(text, options).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        other => other,
    });
    let mut page = String::new();
    html::push_html(&mut page, events);
    page
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn html_stays_text() {
        let page = render("a <script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n`<b>`");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }

    #[test]
    fn tables_are_tables() {
        assert!(render("| a |\n|---|\n| b |\n").contains("<td>b</td>"));
    }
}
