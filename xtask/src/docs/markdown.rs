//! The subset of Markdown that the checks need: headings, links and code.

use std::collections::{BTreeMap, BTreeSet};

/// The parts of a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The targets of `#` links, as GitHub and mdBook generate them.
    pub(super) anchors: BTreeSet<String>,
    pub(super) links: Vec<Link>,
    pub(super) fences: Vec<Fence>,
    /// Code spans in text and tables.
    pub(super) spans: Vec<Span>,
}

/// The target of a link and its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) target: String,
    pub(super) line: usize,
}

/// A fenced block of code.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fence {
    /// The first word after the opening fence.
    pub(super) language: String,
    pub(super) text: String,
    /// The line of the opening fence.
    pub(super) line: usize,
}

/// A code span.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) code: String,
    pub(super) line: usize,
}

impl Page {
    /// Parses a text.
    pub(super) fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut slugs: BTreeMap<String, usize> = BTreeMap::new();
        let mut fence: Option<(String, Fence)> = None;
        let mut paragraph = String::new();
        let mut start = 1;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let trimmed = line.trim_start().trim_start_matches("> ");
            let sign: String = trimmed
                .chars()
                .take_while(|letter| matches!(letter, '`' | '~'))
                .collect();
            if let Some((opened, mut block)) = fence.take() {
                if sign.starts_with(&opened) && trimmed.trim_end() == sign {
                    page.fences.push(block);
                } else {
                    block.text.push_str(line);
                    block.text.push('\n');
                    fence = Some((opened, block));
                }
                continue;
            }
            if sign.len() >= 3 {
                page.prose(&paragraph, start);
                paragraph.clear();
                let language = trimmed
                    .trim_start_matches(['`', '~'])
                    .split([',', ' ', '{'])
                    .next()
                    .unwrap_or_default();
                let block = Fence {
                    language: language.to_owned(),
                    text: String::new(),
                    line: number,
                };
                fence = Some((sign, block));
                continue;
            }
            if let Some(heading) = heading(line) {
                page.prose(&paragraph, start);
                paragraph.clear();
                page.prose(line, number);
                page.heading(heading, &mut slugs);
                continue;
            }
            if line.starts_with('|') {
                page.prose(&paragraph, start);
                paragraph.clear();
                page.prose(line, number);
                continue;
            }
            if line.trim().is_empty() {
                page.prose(&paragraph, start);
                paragraph.clear();
                continue;
            }
            if paragraph.is_empty() {
                start = number;
            }
            paragraph.push_str(line);
            paragraph.push('\n');
        }
        page.prose(&paragraph, start);
        page
    }

    fn heading(&mut self, text: &str, slugs: &mut BTreeMap<String, usize>) {
        let (text, given) = match text.rsplit_once("{#") {
            Some((text, given)) => (text, given.trim_end().strip_suffix('}')),
            None => (text, None),
        };
        if let Some(given) = given {
            self.anchors.insert(given.to_owned());
            return;
        }
        let slug = slug(text);
        let count = slugs.entry(slug.clone()).or_default();
        self.anchors.insert(match *count {
            0 => slug,
            count => format!("{slug}-{count}"),
        });
        *count += 1;
    }

    /// Collects the links, the written anchors and the code of a paragraph.
    fn prose(&mut self, text: &str, line: usize) {
        // Code can hold brackets that are no links.
        let mut plain = text.to_owned();
        for (code, range) in spans(text) {
            self.spans.push(Span {
                // A span can continue on the next line.
                code: code.split_whitespace().collect::<Vec<_>>().join(" "),
                line: line
                    + text
                        .get(..range.start)
                        .unwrap_or_default()
                        .matches('\n')
                        .count(),
            });
            let blank = text
                .get(range.clone())
                .unwrap_or_default()
                .chars()
                .map(|letter| {
                    if letter == '\n' {
                        "\n".to_owned()
                    } else {
                        "x".repeat(letter.len_utf8())
                    }
                })
                .collect::<String>();
            plain.replace_range(range, &blank);
        }
        let at = |offset: usize| {
            line + plain
                .get(..offset)
                .unwrap_or_default()
                .matches('\n')
                .count()
        };
        for (offset, _) in plain.match_indices("](") {
            let rest = plain.get(offset + 2..).unwrap_or_default();
            let end = rest.find([')', ' ', '\n']).unwrap_or(rest.len());
            let target = rest.get(..end).unwrap_or_default().trim_matches(['<', '>']);
            self.links.push(Link {
                target: target.to_owned(),
                line: at(offset),
            });
        }
        for (index, one) in plain.lines().enumerate() {
            // A definition such as `[name]: target`.
            let definition = one
                .strip_prefix('[')
                .and_then(|one| one.split_once("]:"))
                .filter(|(name, _)| !name.contains(']'))
                .and_then(|(_, target)| target.split_whitespace().next());
            if let Some(target) = definition {
                self.links.push(Link {
                    target: target.to_owned(),
                    line: line + index,
                });
            }
        }
        for key in ["id=\"", "name=\""] {
            for (offset, _) in plain.match_indices(key) {
                let rest = plain.get(offset + key.len()..).unwrap_or_default();
                if let Some((id, _)) = rest.split_once('"') {
                    self.anchors.insert(id.to_owned());
                }
            }
        }
    }
}

/// Returns the text of a heading such as `## Text`.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    ((1..=6).contains(&level) && rest.starts_with(' ')).then(|| rest.trim())
}

/// Returns the anchor of a heading: small letters, digits, `-` and `_`, with a
/// dash for each space.
fn slug(heading: &str) -> String {
    // Of a link only the text counts.
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.trim()
        .to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            letter => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}

/// Returns the code spans of a text: what is inside, and where the whole is.
fn spans(text: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(offset) = text.get(from..).and_then(|rest| rest.find('`')) {
        let start = from + offset;
        let rest = text.get(start..).unwrap_or_default();
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let sign = "`".repeat(ticks);
        let inside = rest.get(ticks..).unwrap_or_default();
        // The closing sign has as many ticks as the opening one.
        let close = inside.match_indices(&sign).map(|(at, _)| at).find(|at| {
            let after = inside.get(at + ticks..).unwrap_or_default();
            let before = inside.get(..*at).unwrap_or_default();
            !after.starts_with('`') && !before.ends_with('`')
        });
        let Some(close) = close else {
            from = start + ticks;
            continue;
        };
        let end = start + ticks + close + ticks;
        let code = inside.get(..close).unwrap_or_default().trim().to_owned();
        found.push((code, start..end));
        from = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_anchors_as_github_does() {
        let page = Page::read(
            "# Hello, `World`: it's 1_2!\n## A\n## A\n## [B](c.md) d\n## E {#own}\n<a id=\"f\"></a>\n",
        );
        let anchors: Vec<&str> = page.anchors.iter().map(String::as_str).collect();
        assert_eq!(
            anchors,
            ["a", "a-1", "b-d", "f", "hello-world-its-1_2", "own"]
        );
    }

    #[test]
    fn finds_links_outside_code() {
        let page = Page::read(
            "[a](b.md) and `[c](d)`\n[e\nf](<g.md>)\n\n[h]: i.md\n```\n[j](k)\n```\n| [l](m) |\n![n](o \"p\")",
        );
        let links: Vec<(&str, usize)> = page
            .links
            .iter()
            .map(|link| (link.target.as_str(), link.line))
            .collect();
        assert_eq!(
            links,
            [("b.md", 1), ("g.md", 3), ("i.md", 5), ("m", 9), ("o", 10)]
        );
    }

    #[test]
    fn reads_fences_and_code_spans() {
        let page = Page::read(
            "```sh\n# not a heading\na `b`\n```\n| `c` | ``d ` e`` |\n~~~\n```\n~~~\nh\ni `f\ng`",
        );
        assert_eq!(page.fences.len(), 2);
        assert_eq!(page.fences[0].language, "sh");
        assert_eq!(page.fences[0].text, "# not a heading\na `b`\n");
        assert_eq!(page.fences[1].text, "```\n");
        let spans: Vec<(&str, usize)> = page
            .spans
            .iter()
            .map(|span| (span.code.as_str(), span.line))
            .collect();
        assert_eq!(spans, [("c", 5), ("d ` e", 5), ("f g", 10)]);
        assert!(page.anchors.is_empty());
    }
}
