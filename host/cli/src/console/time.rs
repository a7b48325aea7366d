//! Times for people, in UTC.

use std::time::Duration;

use time::OffsetDateTime;

/// Formats a time in milliseconds since 1970 as `2026-11-28 01:40:12.345`.
pub(crate) fn date_time(millis: u64) -> String {
    let nanos = i128::from(millis) * 1_000_000;
    let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else {
        return format!("{millis} ms since 1970");
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Formats a duration by its largest unit: `5s`, `12m`, `3h`, `2d`.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_times() {
        assert_eq!(date_time(1_700_000_000_123), "2023-11-14 22:13:20.123");
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m"),
            (7200, "2h"),
            (90_000, "1d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), expected);
        }
    }
}
