//! Parses an event stream.
//!
//! Lines may end in LF, CR LF or CR, data may arrive in any pieces, and comments
//! are skipped. The length of lines and events is limited, which bounds the
//! memory.

/// Largest event, in bytes.
const LIMIT: usize = 64 << 20;

/// Event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name.
    pub(crate) name: String,
    /// Its data lines, joined by line ends.
    pub(crate) data: String,
}

/// An event is too large or not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SseError {
    /// Too long.
    #[error("the server sent an event of more than 64 MiB")]
    TooLong,
    /// Not UTF-8.
    #[error("the server sent an event that is not text")]
    NotText,
}

/// Parser of a stream, with the bytes of an incomplete event.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    line: Vec<u8>,
    /// The last byte was a CR; a LF after it belongs to the same line end.
    after_cr: bool,
    event: Event,
    has_data: bool,
}

impl EventReader {
    /// Parses bytes and returns the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, SseError> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_half = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => self.end_line(&mut events)?,
                byte => self.line.push(byte),
            }
            if self.line.len() + self.event.data.len() > LIMIT {
                return Err(SseError::TooLong);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8(line).map_err(|_| SseError::NotText)?;
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) || !event.name.is_empty() {
                events.push(event);
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments have an empty name; other fields are not used.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn parses_streams_in_pieces() {
        for (text, expected) in [
            (
                "event: task_id\r\ndata: 1f\r\n\r\nevent: end\r\ndata: {}\r\n\r\n",
                vec![event("task_id", "1f"), event("end", "{}")],
            ),
            (
                ": ping - now\n\nevent: chunk\ndata:a\n\ndata:  b\n\n",
                vec![event("chunk", "a"), event("", " b")],
            ),
            (
                "event: error\rdata: one\rdata: \rdata: two\r\r",
                vec![event("error", "one\n\ntwo")],
            ),
            ("event: end\r\ndata: \r\n\r\n", vec![event("end", "")]),
            ("data: é😀\n\n", vec![event("", "é😀")]),
            ("event: end\ndata: not ended\n", vec![]),
        ] {
            for size in [1, 2, 3, 1000] {
                let mut reader = EventReader::default();
                let mut events = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    events.extend(reader.feed(piece).unwrap());
                }
                assert_eq!(events, expected, "{text:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn refuses_events_that_are_not_text() {
        let mut reader = EventReader::default();
        assert_eq!(reader.feed(b"data: \xff\n"), Err(SseError::NotText));
    }
}
