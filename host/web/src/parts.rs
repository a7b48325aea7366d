//! Small parts that several pages show.

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The field by which a form proves that one of our pages sent it.
pub(crate) fn token_field(token: &str) -> Markup {
    html! { input type="hidden" name="token" value=(token); }
}

/// Returns a segment of a path, or a value of a query, as it is written in an
/// address.
pub(crate) fn encode(text: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A block of code with a button that copies it.
pub(crate) fn code(text: &str) -> Markup {
    html! {
        div.code {
            pre tabindex="0" { code { (text) } }
            button.quiet.copy type="button" hidden { "Copy" }
        }
    }
}

/// A time in ISO 8601, to the minute.
pub(crate) fn moment(iso: &str) -> Markup {
    let shown = match (iso.get(..10), iso.get(11..16)) {
        (Some(date), Some(time)) => format!("{date} {time}"),
        _ => iso.to_owned(),
    };
    html! { time datetime=(iso) title=(iso) { (shown) } }
}

/// A time in milliseconds since 1970, to the second.
pub(crate) fn moment_ms(milliseconds: u64) -> Markup {
    let iso = iso(milliseconds);
    let shown = iso.get(..19).unwrap_or(&iso).replace('T', " ");
    html! { time datetime=(iso) { (shown) } }
}

/// Returns a time in ISO 8601.
fn iso(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns the date of a number of days after 1970-01-01, by the proleptic
/// Gregorian calendar in eras of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// Returns a duration in milliseconds with a unit for people.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        60_000..3_600_000 => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds / 1000 % 60
        ),
        _ => format!(
            "{} h {} min",
            milliseconds / 3_600_000,
            milliseconds / 60_000 % 60
        ),
    }
}

/// Returns a number of bytes with a unit for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut amount = bytes as f64;
    let mut unit = "bytes";
    for name in UNITS {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = name;
    }
    format!("{amount:.1} {unit}")
}

/// Returns a reward as text, with at most six digits after the point.
pub(crate) fn reward(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// Returns the beginning of an id or a digest.
pub(crate) fn short(text: &str) -> &str {
    let bare = text.split_once(':').map_or(text, |(_, digest)| digest);
    let end = bare.char_indices().nth(8).map_or(bare.len(), |(at, _)| at);
    bare.get(..end).unwrap_or(bare)
}

/// A badge with the state of a deployment.
pub(crate) fn status(status: &str) -> Markup {
    let class = match status {
        "deployed" => "badge good",
        "failed" => "badge bad",
        "queued" | "building" | "deploying" => "badge wait pulse",
        _ => "badge",
    };
    html! { span class=(class) data-status { (status) } }
}

/// Links to the neighbours of a page of a list.
pub(crate) fn pager(newer: Option<&str>, older: Option<&str>) -> Markup {
    html! {
        @if newer.is_some() || older.is_some() {
            nav.pager aria-label="Pages" {
                span { @if let Some(address) = newer { a rel="prev" href=(address) { "← Back" } } }
                span { @if let Some(address) = older { a rel="next" href=(address) { "More →" } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(iso(1_795_877_999_999), "2026-11-28T14:59:59Z");
        assert_eq!(duration(61_000), "1 min 1 s");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(reward(0.1 + 0.2), "0.3");
        assert_eq!(reward(-0.0), "0");
        assert_eq!(reward(-1.0), "-1");
        assert_eq!(size(512), "512 bytes");
        assert_eq!(size(3 << 20), "3.0 MiB");
        assert_eq!(short("sha256:0123456789"), "01234567");
        assert_eq!(short("0123456789"), "01234567");
        assert_eq!(short("ü"), "ü");
    }

    #[test]
    fn segments_stay_segments() {
        assert_eq!(encode("a/b?c#d e"), "a%2Fb%3Fc%23d%20e");
    }
}
