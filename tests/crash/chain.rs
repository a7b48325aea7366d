//! The client's own chain: what the fixture `chain` must have come to if every
//! call ran once and in its turn.

/// Where a chain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    link: u64,
    count: u64,
}

/// What an answer that is not the expected one tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Fewer calls have run than were acknowledged.
    Lost,
    /// More have run than were made.
    Twice,
    /// As many, but others or in another order; or memory and file differ.
    Other,
}

impl Chain {
    /// With this folded in.
    pub(crate) fn fold(&self, value: &str) -> Chain {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in self.link.to_be_bytes().iter().chain(value.as_bytes()) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Chain {
            link: (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9),
            count: self.count + 1,
        }
    }

    /// How the environment tells of it: by its memory, by the last line of its
    /// file, and by the number of lines, the first of which is the setup's.
    pub(crate) fn told(&self) -> String {
        let line = format!("{:016x} {}", self.link, self.count);
        format!("{line} | {line} | {}", self.count + 1)
    }

    /// The reward that it ends with.
    pub(crate) fn reward(&self) -> f64 {
        (self.link >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Judges what the environment told.
    pub(crate) fn judge(&self, told: &str) -> Result<(), Wrong> {
        if told == self.told() {
            return Ok(());
        }
        let count = told.split(' ').nth(1).and_then(|count| count.parse().ok());
        Err(match count {
            Some(count) if self.count > count => Wrong::Lost,
            Some(count) if self.count < count => Wrong::Twice,
            _ => Wrong::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_what_went_wrong() {
        let one = Chain::default().fold("a");
        let two = one.fold("b");
        let other = Chain::default().fold("b").fold("a");
        for (told, expected) in [
            (two.told(), Ok(())),
            (one.told(), Err(Wrong::Lost)),
            (two.fold("b").told(), Err(Wrong::Twice)),
            (other.told(), Err(Wrong::Other)),
            (two.told().replace("| 3", "| 4"), Err(Wrong::Other)),
            (String::new(), Err(Wrong::Other)),
        ] {
            assert_eq!(two.judge(&told), expected, "{told}");
        }
    }
}
