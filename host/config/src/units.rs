//! Sizes and times as people write them: `64MiB`, `15m`.
//!
//! Only whole numbers with a unit, so that a value reads the same everywhere
//! it may stand: on the command line, in an environment variable, in a
//! manifest. A time without a unit is an error, because seconds and
//! milliseconds are mistaken for each other too easily; a size without one is
//! in bytes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// A stretch of time, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// Why a text is no size or no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It does not begin with a whole number.
    #[error("expected a whole number and a unit, such as {example}")]
    NoNumber {
        /// A value that would do.
        example: &'static str,
    },
    /// The unit is none of ours.
    #[error("{unit:?} is no unit here; {known} are, as in {example}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The units that there are.
        known: &'static str,
        /// A value that would do.
        example: &'static str,
    },
    /// The number stands alone, and it is not plain what it counts.
    #[error("a time needs a unit: {number}s for seconds, {number}ms for milliseconds")]
    BareTime {
        /// The number as written.
        number: u64,
    },
    /// The value is beyond 64 bits.
    #[error("the number is too large")]
    TooLarge,
}

/// Sizes, the largest unit first.
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Times in milliseconds, the largest unit first.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Size {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Size {
        Size(bytes)
    }

    /// The number of bytes.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as an address counts them.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Span {
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn secs(secs: u64) -> Span {
        Span(Duration::from_secs(secs))
    }

    /// The time as the standard library has it.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Size, UnitError> {
        let (number, unit) = number_and_unit(text, "64MiB")?;
        let factor = match unit {
            "" => 1,
            unit => factor(unit, &SIZES).ok_or_else(|| UnitError::UnknownUnit {
                unit: unit.to_owned(),
                known: "B, KiB, MiB and GiB",
                example: "64MiB",
            })?,
        };
        number
            .checked_mul(factor)
            .map(Size)
            .ok_or(UnitError::TooLarge)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Span, UnitError> {
        let (number, unit) = number_and_unit(text, "60s")?;
        if unit.is_empty() {
            return Err(UnitError::BareTime { number });
        }
        let factor = factor(unit, &TIMES).ok_or_else(|| UnitError::UnknownUnit {
            unit: unit.to_owned(),
            known: "ms, s, m and h",
            example: "60s",
        })?;
        number
            .checked_mul(factor)
            .map(Span::millis)
            .ok_or(UnitError::TooLarge)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &SIZES, f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        print(millis, &TIMES, f)
    }
}

fn number_and_unit<'a>(text: &'a str, example: &'static str) -> Result<(u64, &'a str), UnitError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() || unit.starts_with(['.', ',', '_']) {
        return Err(UnitError::NoNumber { example });
    }
    let number = digits.parse().map_err(|_| UnitError::TooLarge)?;
    Ok((number, unit.trim_start()))
}

/// Letters may be in any case: nothing else is meant by `64mib`.
fn factor(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| *factor)
}

/// In the largest unit that leaves no fraction.
fn print(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (name, factor) in units {
        if value >= *factor && value.is_multiple_of(*factor) {
            return write!(f, "{}{name}", value / factor);
        }
    }
    write!(f, "{value}{}", units.last().map_or("", |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("64MiB", "67108864 = 64MiB"),
            ("1GiB", "1073741824 = 1GiB"),
            ("512KiB", "524288 = 512KiB"),
            ("1048576", "1048576 = 1MiB"),
            (" 3 kib ", "3072 = 3KiB"),
            ("1000B", "1000 = 1000B"),
            ("0", "0 = 0B"),
            ("", "expected a whole number and a unit, such as 64MiB"),
            ("MiB", "expected a whole number and a unit, such as 64MiB"),
            ("-1MiB", "expected a whole number and a unit, such as 64MiB"),
            (
                "1.5GiB",
                "expected a whole number and a unit, such as 64MiB",
            ),
            (
                "64MB",
                "\"MB\" is no unit here; B, KiB, MiB and GiB are, as in 64MiB",
            ),
            ("17179869184GiB", "the number is too large"),
            ("99999999999999999999", "the number is too large"),
        ] {
            let got = match text.parse::<Size>() {
                Ok(size) => format!("{} = {size}", size.get()),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("60s", "60000 = 1m"),
            ("500ms", "500 = 500ms"),
            ("15m", "900000 = 15m"),
            ("2h", "7200000 = 2h"),
            ("90S", "90000 = 90s"),
            ("0s", "0 = 0s"),
            (
                "60",
                "a time needs a unit: 60s for seconds, 60ms for milliseconds",
            ),
            ("1d", "\"d\" is no unit here; ms, s, m and h are, as in 60s"),
            ("0.5s", "expected a whole number and a unit, such as 60s"),
            ("soon", "expected a whole number and a unit, such as 60s"),
        ] {
            let got = match text.parse::<Span>() {
                Ok(span) => format!("{} = {span}", span.get().as_millis()),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for millis in [0, 1, 999, 1000, 61_000, 3_600_000, 86_400_001] {
            let span = Span::millis(millis);
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for bytes in [0, 1, 1023, 1024, (1 << 20) + 1, 5 << 30] {
            let size = Size::bytes(bytes);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
    }
}
