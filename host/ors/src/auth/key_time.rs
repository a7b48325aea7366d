//! Times in the key file.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// A time in seconds since 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyTime(i64);

impl KeyTime {
    /// Takes seconds since 1970.
    pub const fn from_unix(seconds: i64) -> KeyTime {
        KeyTime(seconds)
    }

    /// Returns the seconds since 1970.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Reads the system clock.
    pub fn now() -> KeyTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        KeyTime(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// Parses `2026-12-31` or `2026-12-31T10:00:00Z`.
    pub fn parse(text: &str) -> Result<KeyTime, String> {
        let time: toml::value::Datetime = text
            .parse()
            .map_err(|_| "is no date such as 2026-12-31 or 2026-12-31T10:00:00Z".to_owned())?;
        KeyTime::of(&time)
    }

    /// Converts a time of the file. A date is the beginning of its day.
    pub(crate) fn of(written: &toml::value::Datetime) -> Result<KeyTime, String> {
        let date = written.date.ok_or("has a time without a date")?;
        let invalid = || "has a date that does not exist".to_owned();
        let month = Month::try_from(date.month).map_err(|_| invalid())?;
        let day = Date::from_calendar_date(i32::from(date.year), month, date.day)
            .map_err(|_| invalid())?;
        let (time, minutes) = match (written.time, written.offset) {
            (None, _) => (Time::MIDNIGHT, 0),
            (Some(_), None) => {
                return Err("has no time zone; write a time as 2026-12-31T10:00:00Z".to_owned());
            }
            (Some(time), Some(offset)) => {
                let minutes = match offset {
                    toml::value::Offset::Z => 0,
                    toml::value::Offset::Custom { minutes } => i32::from(minutes),
                };
                let time = Time::from_hms(time.hour, time.minute, time.second.unwrap_or(0))
                    .map_err(|_| "has a time of day that does not exist".to_owned())?;
                (time, minutes)
            }
        };
        let offset = UtcOffset::from_whole_seconds(minutes * 60).map_err(|_| invalid())?;
        let at = PrimitiveDateTime::new(day, time).assume_offset(offset);
        Ok(KeyTime(at.unix_timestamp()))
    }
}

/// Writes `2026-12-31T10:00:00Z`.
impl fmt::Display for KeyTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_and_times() {
        for (text, expected) in [
            ("2026-12-31", Ok("2026-12-31T00:00:00Z")),
            ("2026-12-31T10:00:00Z", Ok("2026-12-31T10:00:00Z")),
            ("2026-12-31T10:00:00+02:00", Ok("2026-12-31T08:00:00Z")),
            ("2026-12-31T10:00:00", Err("has no time zone")),
            ("2027-02-29", Err("")),
            ("10:00:00", Err("without a date")),
            ("tomorrow", Err("is no date")),
        ] {
            match (KeyTime::parse(text), expected) {
                (Ok(time), Ok(expected)) => assert_eq!(time.to_string(), expected, "{text}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }
}
