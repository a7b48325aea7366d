//! The client's own chain: the state that the fixture `chain` must have if every
//! call ran once and in order.

/// The state of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExpectedChain {
    link: u64,
    count: u64,
}

/// What an unexpected result indicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainMismatch {
    /// Fewer calls have run than were acknowledged.
    Lost,
    /// More have run than were made.
    Twice,
    /// As many, but other ones or in another order; or memory and file differ.
    Other,
}

impl ExpectedChain {
    /// Returns the chain with this value folded in.
    pub(crate) fn fold(&self, value: &str) -> ExpectedChain {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in self.link.to_be_bytes().iter().chain(value.as_bytes()) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        ExpectedChain {
            link: (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9),
            count: self.count + 1,
        }
    }

    /// Returns the text that the environment reports: the chain in memory, the last
    /// line of its file, and the number of lines, the first of which is the
    /// setup's.
    pub(crate) fn report(&self) -> String {
        let line = format!("{:016x} {}", self.link, self.count);
        format!("{line} | {line} | {}", self.count + 1)
    }

    /// Returns the final reward.
    pub(crate) fn reward(&self) -> f64 {
        (self.link >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Compares a report of the environment.
    pub(crate) fn check(&self, report: &str) -> Result<(), ChainMismatch> {
        if report == self.report() {
            return Ok(());
        }
        let count = report
            .split(' ')
            .nth(1)
            .and_then(|count| count.parse().ok());
        Err(match count {
            Some(count) if self.count > count => ChainMismatch::Lost,
            Some(count) if self.count < count => ChainMismatch::Twice,
            _ => ChainMismatch::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_what_went_wrong() {
        let one = ExpectedChain::default().fold("a");
        let two = one.fold("b");
        let other = ExpectedChain::default().fold("b").fold("a");
        for (message, expected) in [
            (two.report(), Ok(())),
            (one.report(), Err(ChainMismatch::Lost)),
            (two.fold("b").report(), Err(ChainMismatch::Twice)),
            (other.report(), Err(ChainMismatch::Other)),
            (
                two.report().replace("| 3", "| 4"),
                Err(ChainMismatch::Other),
            ),
            (String::new(), Err(ChainMismatch::Other)),
        ] {
            assert_eq!(two.check(&message), expected, "{message}");
        }
    }
}
