//! The two messages of the domain name system that the broker uses: a question
//! for the addresses of a name, and its answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an answer that are read. Servers send 512, or cut what is longer.
pub(crate) const MAX_ANSWER: usize = 4096;

/// Addresses that are taken from an answer.
const MAX_ADDRESSES: usize = 16;

/// Records of an answer that are looked at.
const MAX_RECORDS: u16 = 64;

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordType {
    A,
    Aaaa,
}

impl RecordType {
    fn number(self) -> u16 {
        match self {
            RecordType::A => 1,
            RecordType::Aaaa => 28,
        }
    }
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The addresses; empty if the name has none.
    Addresses(Vec<IpAddr>),
    /// The name does not exist.
    NoName,
    /// The server cannot say.
    Failed,
    /// This is no answer to the question.
    Unrelated,
}

/// Writes a question for the addresses of a valid name.
pub(crate) fn question(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Vec::with_capacity(name.len() + 18);
    message.extend(id.to_be_bytes());
    // Recursion desired; one question.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.number().to_be_bytes());
    message.extend([0, 1]);
    message
}

/// Reads an answer to this question.
pub(crate) fn answer(question: &[u8], message: &[u8], kind: RecordType) -> Answer {
    read(question, message, kind).unwrap_or(Answer::Unrelated)
}

fn read(question: &[u8], message: &[u8], kind: RecordType) -> Option<Answer> {
    let (header, asked) = question.split_at_checked(12)?;
    let mut reader = Reader(message);
    let id = reader.take(2)?;
    let [flags, code] = *reader.take(2)? else {
        return None;
    };
    let questions = reader.u16()?;
    let answers = reader.u16()?;
    reader.take(4)?;
    let echoed = reader.take(asked.len())?;
    let is_answer = flags & 0x80 != 0;
    if !is_answer || questions != 1 || header.get(..2) != Some(id) || echoed != asked {
        return None;
    }
    match code & 0x0f {
        0 => {}
        3 => return Some(Answer::NoName),
        _ => return Some(Answer::Failed),
    }
    let mut addresses = Vec::new();
    for _ in 0..answers.min(MAX_RECORDS) {
        // A message that was cut off has the records before the cut.
        let Some((found, data)) = reader.record() else {
            break;
        };
        let address = match kind {
            RecordType::A => <[u8; 4]>::try_from(data).map(|bytes| Ipv4Addr::from(bytes).into()),
            RecordType::Aaaa => {
                <[u8; 16]>::try_from(data).map(|bytes| Ipv6Addr::from(bytes).into())
            }
        };
        if found == kind.number()
            && let Ok(address) = address
            && addresses.len() < MAX_ADDRESSES
        {
            addresses.push(address);
        }
    }
    Some(Answer::Addresses(addresses))
}

/// What is left of a message.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    fn take(&mut self, bytes: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Reads a record: its type and its data.
    fn record(&mut self) -> Option<(u16, &'m [u8])> {
        self.skip_name()?;
        let kind = self.u16()?;
        // The class and the time to live.
        self.take(6)?;
        let length = self.u16()?;
        Some((kind, self.take(length.into())?))
    }

    /// Passes over a name. The resolver follows aliases, so whose record it is
    /// does not matter, and a pointer need not be followed.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            let [length] = *self.take(1)? else {
                return None;
            };
            match length {
                0 => return Some(()),
                1..=63 => self.take(length.into())?,
                // A pointer ends the name.
                0xc0.. => return self.take(1).map(|_| ()),
                _ => return None,
            };
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Answers a question with these records of type A.
    pub(crate) fn answer_a(question: &[u8], addresses: &[[u8; 4]]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2] = 0x81;
        message[3] = 0x80;
        message[7] = addresses.len() as u8 + 1;
        // An alias first.
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'b', 0xc0, 12]);
        for address in addresses {
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            message.extend(address);
        }
        message
    }

    #[test]
    fn addresses_are_read_behind_an_alias() {
        let asked = question(7, "api.example.com", RecordType::A);
        let message = answer_a(&asked, &[[1, 2, 3, 4], [5, 6, 7, 8]]);
        let expected = ["1.2.3.4", "5.6.7.8"].map(|text| text.parse().unwrap());
        assert_eq!(
            answer(&asked, &message, RecordType::A),
            Answer::Addresses(expected.to_vec())
        );
        assert_eq!(
            answer(&asked, &message, RecordType::Aaaa),
            Answer::Addresses(Vec::new())
        );
        let mut missing = message.clone();
        missing[3] = 0x83;
        assert_eq!(answer(&asked, &missing, RecordType::A), Answer::NoName);
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_ignored() {
        let asked = question(7, "api.example.com", RecordType::A);
        let message = answer_a(&asked, &[[1, 2, 3, 4]]);
        let mut other_id = message.clone();
        other_id[0] ^= 1;
        let mut other_name = message.clone();
        other_name[14] ^= 1;
        for bytes in [&asked[..], &other_id, &other_name, &[]] {
            assert_eq!(answer(&asked, bytes, RecordType::A), Answer::Unrelated);
        }
    }

    #[test]
    fn no_cut_or_changed_message_does_harm() {
        let asked = question(7, "api.example.com", RecordType::A);
        let message = answer_a(&asked, &[[1, 2, 3, 4]; 20]);
        for end in 0..message.len() {
            let _ = answer(&asked, &message[..end], RecordType::A);
            for value in [0, 0x3f, 0x7f, 0xc0, 0xff] {
                let mut changed = message.clone();
                changed[end] = value;
                if let Answer::Addresses(found) = answer(&asked, &changed, RecordType::A) {
                    assert!(found.len() <= MAX_ADDRESSES);
                }
            }
        }
    }
}
