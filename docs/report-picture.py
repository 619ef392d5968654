"""Sets reports as GitHub does: of Markdown only what a report uses. Files as arguments, a page on standard output."""

import html
import re
import sys

STYLE = """
body { margin: 0; padding: 20px; background: #fff; color: #1f2328; width: 880px; box-sizing: border-box;
       font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", "DejaVu Sans", Helvetica, Arial, sans-serif; }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; margin-bottom: 20px; }
.author { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0; padding: 8px 16px; color: #59636e; }
.author b { color: #1f2328; } .author span { border: 1px solid #d1d9e0; border-radius: 2em; padding: 0 7px; font-size: 12px; }
.body { padding: 4px 16px; }
h3 { font-size: 17.5px; margin: 12px 0 8px; } p { margin: 8px 0; }
code { background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 12px ui-monospace, "DejaVu Sans Mono", monospace; }
pre { background: #f6f8fa; border-radius: 6px; padding: 12px 16px; } pre code { background: none; padding: 0; }
blockquote { border-left: .25em solid #d1d9e0; color: #59636e; margin: 8px 0; padding: 0 1em; }
table { border-collapse: collapse; margin: 10px 0; } th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
td:last-child { text-align: right; } ul { padding-left: 2em; margin: 8px 0; }
"""

ICON = '<svg viewBox="0 0 16 16" width="1em" height="1em" style="vertical-align:-.12em">{}</svg>'
CROSS = '<path d="M3 3l10 10M13 3L3 13" stroke="#dd2e44" stroke-width="3" stroke-linecap="round"/>'
TICK = '<rect width="16" height="16" rx="3" fill="#77b255"/><path d="M3.5 8.5l3 3 6-7" fill="none" stroke="#fff" stroke-width="2"/>'
BULB = '<circle cx="8" cy="6" r="5" fill="#ffd983"/><path d="M6 12h4M6.5 14.5h3" stroke="#99aab5" stroke-width="2"/>'
# Drawn, because a machine without a screen seldom has a font with them.
EMOJI = {"❌": CROSS, "✅": TICK, "💡": BULB}


def inline(text):
    spans = re.split(r"(`[^`]*`)", text)
    return "".join(f"<code>{html.escape(s[1:-1])}</code>" if s.startswith("`") else prose(s) for s in spans)


def prose(text):
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text.replace("\\*", "&#42;"))
    plain = re.sub(r"\\(.)", r"\1", bold)
    for character, drawing in EMOJI.items():
        plain = plain.replace(character, ICON.format(drawing))
    return plain


def block(text):
    lines = text.split("\n")
    if text.startswith("### "):
        return f"<h3>{inline(text[4:])}</h3>"
    if text.startswith("```"):
        return "<pre><code>" + html.escape("\n".join(lines[1:-1])) + "</code></pre>"
    if text.startswith("> "):
        return "<blockquote>" + "<br>".join(inline(line[2:]) for line in lines) + "</blockquote>"
    if text.startswith("- "):
        return "<ul>" + "".join(f"<li>{inline(line[2:])}</li>" for line in lines) + "</ul>"
    if text.startswith("|"):
        rows = [[inline(cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
        head = "".join(f"<th>{cell}</th>" for cell in rows[0])
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[2:])
        return f"<table><tr>{head}</tr>{body}</table>"
    # Bold headings span lines of the text, so a paragraph is set as one.
    return f"<p>{inline(' '.join(lines))}</p>"


def comment(path):
    blocks = open(path, encoding="utf-8").read().strip().split("\n\n")
    author = "<div class=author><b>offshoot</b> <span>bot</span> commented</div>"
    return f"<div class=comment>{author}<div class=body>{''.join(block(b.strip()) for b in blocks)}</div></div>"


page = "".join(comment(path) for path in sys.argv[1:])
print(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><body>{page}")
