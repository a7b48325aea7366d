//! Lower-case hexadecimal text.
//!
//! One spelling per value: ids and keys are compared as text in places, so
//! upper-case digits are refused.

use std::fmt::Write;

/// Returns two lower-case digits for each byte.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Parses exactly `2 * N` lower-case digits. Returns `None` for any other text.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | value(*digit)?;
        }
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes_and_nothing_else() {
        let bytes = [0, 9, 0xa5, 0xff];
        assert_eq!(encode(&bytes), "0009a5ff");
        assert_eq!(decode("0009a5ff"), Some(bytes));
        for other in [
            "",
            "0009a5f",
            "0009a5ff0",
            "0009A5FF",
            "+009a5ff",
            "é009a5f",
        ] {
            assert_eq!(decode::<4>(other), None, "{other}");
        }
    }
}
