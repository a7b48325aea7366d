//! Seeds.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

/// The 64-bit seed of a session's randomness: chosen by the client or the
/// manifest, or drawn. It is no secret: the client and the log get it. Records
/// hold it as eight bytes, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "ByteArray<8>", into = "ByteArray<8>")]
pub struct Seed(u64);

/// The text is not a seed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a seed is a whole number from 0 to 18446744073709551615, or the same as 0x and hex digits"
)]
pub struct InvalidSeed;

impl Seed {
    /// Takes the number.
    pub const fn new(number: u64) -> Seed {
        Seed(number)
    }

    /// Draws a seed.
    pub fn random() -> Seed {
        Seed(rand::random())
    }

    /// Parses decimal digits, or `0x` and hexadecimal digits. Signs, spaces and
    /// underscores are refused, so that a number has few spellings.
    pub fn parse(text: &str) -> Result<Seed, InvalidSeed> {
        let (digits, radix) = match text.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (text, 10),
        };
        if digits.starts_with('+') {
            return Err(InvalidSeed);
        }
        u64::from_str_radix(digits, radix)
            .map(Seed)
            .map_err(|_| InvalidSeed)
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<ByteArray<8>> for Seed {
    fn from(bytes: ByteArray<8>) -> Seed {
        Seed(u64::from_be_bytes(bytes.into_array()))
    }
}

impl From<Seed> for ByteArray<8> {
    fn from(seed: Seed) -> ByteArray<8> {
        ByteArray::new(seed.0.to_be_bytes())
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_spellings_of_a_seed() {
        for (text, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("0xff", Some(255)),
            ("0xFFFFFFFFFFFFFFFF", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("0x10000000000000000", None),
            ("", None),
            ("0x", None),
            ("-1", None),
            ("+1", None),
            ("0x+1", None),
            ("1_000", None),
            (" 1", None),
            ("ff", None),
            ("1.0", None),
            ("\u{661}", None),
        ] {
            let seed = Seed::parse(text).ok();
            assert_eq!(seed.map(Seed::get), expected, "{text:?}");
        }
        let text = Seed::new(u64::MAX).to_string();
        assert_eq!(Seed::parse(&text), Ok(Seed::new(u64::MAX)));
    }
}
