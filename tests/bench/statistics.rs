//! Medians, and times as numbers of a unit.

use std::time::Duration;

/// Returns the median of figures in any order.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;
    match figures.len() % 2 {
        1 => Some(upper),
        _ => Some(f64::midpoint(figures[middle - 1], upper)),
    }
}

/// Returns the median of figures in any order, NaN if there are none.
pub(crate) fn median_or_nan(figures: Vec<f64>) -> f64 {
    median(figures).unwrap_or(f64::NAN)
}

/// Converts a time to milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Converts a time to microseconds.
#[allow(clippy::cast_precision_loss, reason = "no run lasts that long")]
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::{median, median_or_nan};

    #[test]
    fn the_median_is_in_the_middle() {
        for (figures, expected) in [
            (vec![], None),
            (vec![1.0], Some(1.0)),
            (vec![2.0, 1.0], Some(1.5)),
            (vec![9.0, 1.0, 2.0], Some(2.0)),
        ] {
            assert_eq!(median(figures), expected);
        }
        assert!(median_or_nan(vec![]).is_nan());
    }
}
