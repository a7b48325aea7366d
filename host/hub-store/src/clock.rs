//! The wall clock, as the tables store it.

use std::time::Duration;

use time::OffsetDateTime;

/// Returns the current time in UTC, in ISO 8601 with milliseconds.
pub fn now() -> String {
    text(OffsetDateTime::now_utc())
}

/// Returns the time that was this long ago, as [`now`] does.
pub fn time_before(age: Duration) -> String {
    let now = OffsetDateTime::now_utc();
    text(
        now.checked_sub(age.try_into().unwrap_or_default())
            .unwrap_or(now),
    )
}

fn text(now: OffsetDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.millisecond()
    )
}

/// Returns the current time in seconds since 1970.
pub fn unix_seconds() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_sort_as_text() {
        let first = super::now();
        assert_eq!(first.len(), "2026-11-28T05:00:00.000Z".len());
        assert!(first.as_str() <= super::now().as_str());
        assert!(super::time_before(std::time::Duration::from_secs(60)) < first);
    }
}
