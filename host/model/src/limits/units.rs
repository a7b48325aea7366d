//! Sizes and times in text: `64MiB`, `15m`.
//!
//! A value is a whole number with a unit, and reads the same on the command
//! line, in an environment variable and in a manifest. A time without a unit is
//! an error, because seconds and milliseconds are easily confused. A size
//! without a unit is in bytes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// A span of time. Text has whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(Duration);

/// Why a text is neither a size nor a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text does not begin with a whole number.
    #[error("expected a whole number and a unit, such as {example}")]
    NoNumber {
        /// A valid value.
        example: &'static str,
    },
    /// The unit is not known.
    #[error("unknown unit {unit:?}; expected {known}, as in {example}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The known units.
        known: &'static str,
        /// A valid value.
        example: &'static str,
    },
    /// The time has no unit.
    #[error("a time needs a unit: {number}s for seconds, {number}ms for milliseconds")]
    BareTime {
        /// The number as written.
        number: u64,
    },
    /// The value does not fit into 64 bits.
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

impl ByteSize {
    /// Creates a size from a number of bytes.
    pub const fn bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// Returns the number of bytes.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Returns the number of bytes, saturating.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl TimeSpan {
    /// Creates a span from nanoseconds.
    pub const fn nanos(nanos: u64) -> TimeSpan {
        TimeSpan(Duration::from_nanos(nanos))
    }

    /// Creates a span from milliseconds.
    pub const fn millis(millis: u64) -> TimeSpan {
        TimeSpan(Duration::from_millis(millis))
    }

    /// Returns the duration.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for TimeSpan {
    fn from(duration: Duration) -> TimeSpan {
        TimeSpan(duration)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<ByteSize, UnitError> {
        let (number, unit) = number_and_unit(text, "64MiB")?;
        let factor = match unit {
            "" => 1,
            unit => factor(unit, &SIZES).ok_or_else(|| UnitError::UnknownUnit {
                unit: unit.to_owned(),
                known: "B, KiB, MiB or GiB",
                example: "64MiB",
            })?,
        };
        number
            .checked_mul(factor)
            .map(ByteSize)
            .ok_or(UnitError::TooLarge)
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<TimeSpan, UnitError> {
        let (number, unit) = number_and_unit(text, "60s")?;
        if unit.is_empty() {
            return Err(UnitError::BareTime { number });
        }
        let factor = factor(unit, &TIMES).ok_or_else(|| UnitError::UnknownUnit {
            unit: unit.to_owned(),
            known: "ms, s, m or h",
            example: "60s",
        })?;
        number
            .checked_mul(factor)
            .map(TimeSpan::millis)
            .ok_or(UnitError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &SIZES, f)
    }
}

impl fmt::Display for TimeSpan {
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

/// Finds the factor of a unit, ignoring case: `64mib` has only one meaning.
fn factor(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| *factor)
}

/// Writes a value in the largest unit that leaves no fraction.
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
                "unknown unit \"MB\"; expected B, KiB, MiB or GiB, as in 64MiB",
            ),
            ("17179869184GiB", "the number is too large"),
            ("99999999999999999999", "the number is too large"),
        ] {
            let got = match text.parse::<ByteSize>() {
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
            (
                "1d",
                "unknown unit \"d\"; expected ms, s, m or h, as in 60s",
            ),
            ("0.5s", "expected a whole number and a unit, such as 60s"),
            ("soon", "expected a whole number and a unit, such as 60s"),
        ] {
            let got = match text.parse::<TimeSpan>() {
                Ok(span) => format!("{} = {span}", span.get().as_millis()),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn printed_values_parse_back() {
        for millis in [0, 1, 999, 1000, 61_000, 3_600_000, 86_400_001] {
            let span = TimeSpan::millis(millis);
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for bytes in [0, 1, 1023, 1024, (1 << 20) + 1, 5 << 30] {
            let size = ByteSize::bytes(bytes);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
    }
}
