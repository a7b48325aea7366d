//! Markdown of authors, as a fixed set of elements.
//!
//! The parser yields events, and only those of this table become elements. HTML
//! in the text is shown as text, and an image as a link to it. A link leads to the
//! web or to a place of the same page, and nowhere else.

use maud::{Escaper, Markup, PreEscaped};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::fmt::Write;

/// Bytes of a text that are rendered.
pub const MAX_MARKDOWN: usize = 256 << 10;

/// Renders Markdown.
pub fn render(text: &str) -> Markup {
    let end = text.floor_char_boundary(MAX_MARKDOWN);
    let text = text.get(..end).unwrap_or_default();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut html = String::new();
    let mut open: Vec<&'static str> = Vec::new();
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(tag) => open.push(start(&mut html, &tag)),
            Event::End(tag) => {
                let element = open.pop().unwrap_or_default();
                if element == "pre" {
                    html.push_str("</code>");
                }
                if !element.is_empty() {
                    let _ = write!(html, "</{element}>");
                }
                if tag == TagEnd::TableHead {
                    html.push_str("</thead>");
                }
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                escape(&mut html, &text);
            }
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                html.push_str("<code>");
                escape(&mut html, &text);
                html.push_str("</code>");
            }
            Event::SoftBreak => html.push('\n'),
            Event::HardBreak => html.push_str("<br>"),
            Event::Rule => html.push_str("<hr>"),
            Event::TaskListMarker(done) => html.push_str(if done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(name) => escape(&mut html, &name),
        }
    }
    PreEscaped(html)
}

/// Writes the beginning of an element and returns its name; an empty one for what
/// has no element.
fn start(html: &mut String, tag: &Tag<'_>) -> &'static str {
    let element = match tag {
        Tag::Paragraph => "p",
        // The page has the first heading.
        Tag::Heading { level, .. } => match level {
            HeadingLevel::H1 | HeadingLevel::H2 => "h2",
            _ => "h3",
        },
        Tag::BlockQuote(_) => "blockquote",
        Tag::CodeBlock(_) => {
            // The language is not shown.
            html.push_str("<pre tabindex=\"0\"><code>");
            return "pre";
        }
        Tag::List(None) => "ul",
        Tag::List(Some(first)) => {
            let _ = write!(html, "<ol start=\"{first}\">");
            return "ol";
        }
        Tag::Item => "li",
        Tag::Table(_) => "table",
        Tag::TableHead => {
            html.push_str("<thead><tr>");
            return "tr";
        }
        Tag::TableRow => "tr",
        Tag::TableCell => "td",
        Tag::Emphasis => "em",
        Tag::Strong => "strong",
        Tag::Strikethrough => "del",
        Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
            if !is_harmless(dest_url) {
                return "";
            }
            html.push_str("<a rel=\"nofollow noopener\" href=\"");
            escape(html, dest_url);
            html.push_str("\">");
            return "a";
        }
        _ => return "",
    };
    let _ = write!(html, "<{element}>");
    element
}

/// Returns whether a link may lead to an address.
fn is_harmless(address: &str) -> bool {
    let lower = address.to_ascii_lowercase();
    lower.starts_with("https://") || lower.starts_with("http://") || lower.starts_with('#')
}

fn escape(html: &mut String, text: &str) {
    // Writing to a String does not fail.
    let _ = Escaper::new(html).write_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        render(text).into_string()
    }

    #[test]
    fn text_becomes_elements() {
        let html = rendered("# A\n\ntext *b* `c<d`\n\n- x\n\n| a |\n|---|\n| b |\n");
        for part in [
            "<h2>A</h2>",
            "<p>text <em>b</em> <code>c&lt;d</code></p>",
            "<ul><li>x</li></ul>",
            "<table><thead><tr><td>a</td></tr></thead><tr><td>b</td></tr></table>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html;base64,PHN2Zz4=)",
            "![x](javascript:alert(1))",
            "[x](https://a.example/\"onmouseover=alert(1))",
            "[x](//evil.example)",
            "```\"><script>alert(1)</script>\nx\n```",
            "| <script> |\n|---|\n| <svg onload=alert(1)> |",
            "<https://a.example/\"><script>alert(1)</script>>",
        ] {
            let html = rendered(text);
            for part in [
                "<script",
                "<img",
                "<svg",
                "javascript:alert(1)\"",
                "\"onmouseover",
            ] {
                assert!(!html.contains(part), "{text}: {html}");
            }
            assert!(
                !html.contains("href=\"j") && !html.contains("href=\"data"),
                "{html}"
            );
            assert!(!html.contains("href=\"//"), "{html}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let html = rendered(&"ü".repeat(MAX_MARKDOWN));
        assert!(html.len() <= MAX_MARKDOWN + 16);
    }
}
