//! An event-stream parser after the WHATWG specification, independent of the
//! server's writer: lines end with CRLF, LF or CR, exactly one space after the
//! colon is dropped, and a blank line ends an event. It accepts pieces of any
//! size, so that a test can read a stream that has not ended.

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The last `event` field; empty if there was none.
    pub name: String,
    /// The `data` fields, joined with line feeds.
    pub data: String,
    /// The number of `data` fields.
    pub lines: usize,
}

/// One item of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SseItem {
    /// An event.
    Event(SseEvent),
    /// A comment, without its colon.
    Comment(String),
}

/// Parses bytes into items.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    after_cr: bool,
    name: String,
    data: Vec<String>,
}

impl SseParser {
    /// Parses the next bytes and returns the items that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<SseItem> {
        let mut items = Vec::new();
        for &byte in bytes {
            let lone_lf = byte == b'\n' && !self.after_cr;
            self.after_cr = byte == b'\r';
            match byte {
                b'\r' => items.extend(self.end_line()),
                b'\n' if lone_lf => items.extend(self.end_line()),
                b'\n' => {}
                _ => self.line.push(byte),
            }
        }
        items
    }

    /// Returns whether no event is partially read.
    pub fn is_between_events(&self) -> bool {
        self.line.is_empty() && self.name.is_empty() && self.data.is_empty()
    }

    fn end_line(&mut self) -> Option<SseItem> {
        let line = String::from_utf8(std::mem::take(&mut self.line))
            .unwrap_or_else(|error| panic!("a line of the stream is not UTF-8: {error}"));
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => return Some(SseItem::Comment(line[1..].to_owned())),
            "event" => self.name = value.to_owned(),
            "data" => self.data.push(value.to_owned()),
            _ => panic!("the protocol has no field {field:?}: {line:?}"),
        }
        None
    }

    fn end_event(&mut self) -> Option<SseItem> {
        if self.name.is_empty() && self.data.is_empty() {
            return None;
        }
        let data = std::mem::take(&mut self.data);
        Some(SseItem::Event(SseEvent {
            name: std::mem::take(&mut self.name),
            lines: data.len(),
            data: data.join("\n"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{SseEvent, SseItem, SseParser};

    fn event(name: &str, data: &str, lines: usize) -> SseItem {
        SseItem::Event(SseEvent {
            name: name.to_owned(),
            data: data.to_owned(),
            lines,
        })
    }

    fn check(stream: &str, expected: &[SseItem]) {
        assert_eq!(
            SseParser::default().push(stream.as_bytes()),
            expected,
            "whole"
        );
        let mut parser = SseParser::default();
        let bytewise: Vec<SseItem> = stream
            .bytes()
            .flat_map(|byte| parser.push(&[byte]))
            .collect();
        assert_eq!(bytewise, expected, "byte by byte");
        assert!(parser.is_between_events());
    }

    #[test]
    fn lines_end_in_three_ways() {
        let expected = [event("end", "a\nb", 2)];
        check("event: end\r\ndata: a\r\ndata: b\r\n\r\n", &expected);
        check("event: end\ndata: a\ndata: b\n\n", &expected);
        check("event: end\rdata: a\rdata: b\r\r", &expected);
    }

    #[test]
    fn one_space_is_dropped_and_no_more() {
        check("event:end\ndata:   x \n\n", &[event("end", "  x ", 1)]);
    }

    #[test]
    fn comments_stand_alone() {
        let ping = SseItem::Comment(" ping".to_owned());
        check(": ping\r\n\r\n: ping\r\n\r\n", &[ping.clone(), ping]);
    }
}
