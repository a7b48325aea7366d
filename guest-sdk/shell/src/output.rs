//! The output of a command line: both streams in order, with a bound.

/// Output of which the middle is left out when it is too long: the beginning
/// shows what ran, and the end shows how it ended.
#[derive(Debug)]
pub(crate) struct Captured {
    max: usize,
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    total: usize,
}

impl Captured {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            head: Vec::new(),
            tail: std::collections::VecDeque::new(),
            total: 0,
        }
    }

    /// Appends output. The first half of the bound is kept from the beginning,
    /// the other half from the end.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len());
        let room = (self.max / 2).saturating_sub(self.head.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let keep = self.max - self.max / 2;
        let rest = rest.get(rest.len().saturating_sub(keep)..).unwrap_or(rest);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(keep);
        self.tail.drain(..excess);
    }

    /// Whether something is left out.
    pub(crate) fn is_truncated(&self) -> bool {
        self.total > self.head.len() + self.tail.len()
    }

    /// Whether the output ends inside a line.
    fn ends_inside_a_line(&self) -> bool {
        let last = self.tail.back().or(self.head.last());
        last.is_some_and(|byte| *byte != b'\n')
    }

    /// Appends a message on a line of its own. It is never left out.
    pub(crate) fn push_line(&mut self, line: &str) {
        if self.ends_inside_a_line() {
            self.push(b"\n");
        }
        self.push(line.as_bytes());
        self.push(b"\n");
    }

    /// Returns the text. Bytes that are no UTF-8 become the replacement
    /// character.
    pub(crate) fn into_text(self) -> String {
        let is_complete = !self.is_truncated();
        let tail: Vec<u8> = self.tail.into();
        if is_complete {
            let mut all = self.head;
            all.extend_from_slice(&tail);
            return match String::from_utf8(all) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            };
        }
        let (head, tail) = (whole_start(&self.head), whole_end(&tail));
        let omitted = self.total - head.len() - tail.len();
        format!(
            "{}\n[... {omitted} bytes left out ...]\n{}",
            String::from_utf8_lossy(head),
            String::from_utf8_lossy(tail),
        )
    }
}

/// Returns the bytes without a character that is cut at their end.
fn whole_start(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

/// Returns the bytes without the rest of a character at their start.
fn whole_end(bytes: &[u8]) -> &[u8] {
    let cut = bytes
        .iter()
        .take(3)
        .take_while(|byte| **byte & 0xc0 == 0x80);
    bytes.get(cut.count()..).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::Captured;

    fn captured(max: usize, pieces: &[&str]) -> (String, bool) {
        let mut output = Captured::new(max);
        for piece in pieces {
            output.push(piece.as_bytes());
        }
        let truncated = output.is_truncated();
        (output.into_text(), truncated)
    }

    #[test]
    fn output_within_the_bound_is_complete() {
        assert_eq!(captured(6, &["ab", "cdef"]), ("abcdef".into(), false));
        assert_eq!(captured(6, &[]), (String::new(), false));
    }

    #[test]
    fn the_middle_of_a_longer_output_is_left_out() {
        let (text, truncated) = captured(6, &["abcdef", "gh", "ij"]);
        assert_eq!(text, "abc\n[... 4 bytes left out ...]\nhij");
        assert!(truncated);
    }

    #[test]
    fn no_character_is_cut() {
        let (text, _) = captured(6, &["ab\u{e9}-----\u{e9}yz"]);
        assert_eq!(text, "ab\n[... 9 bytes left out ...]\nyz");
    }

    #[test]
    fn a_message_begins_a_line() {
        let mut output = Captured::new(100);
        output.push(b"x");
        output.push_line("stopped");
        assert_eq!(output.into_text(), "x\nstopped\n");
    }
}
