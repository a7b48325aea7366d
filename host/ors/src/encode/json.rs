//! Appends JSON to text.

use std::io::{self, Write};

use serde::Serialize;

/// Appends the compact JSON of a value.
pub(crate) fn append_json(out: &mut String, value: &(impl Serialize + ?Sized)) {
    // Neither writing to memory nor serialising the types of this crate fails.
    if let Err(error) = serde_json::to_writer(StringWriter(out), value) {
        tracing::error!(%error, "cannot encode JSON");
    }
}

/// Returns the length of the compact JSON of a value, without writing it.
pub(crate) fn json_length(value: &(impl Serialize + ?Sized)) -> usize {
    let mut length = LengthWriter(0);
    if let Err(error) = serde_json::to_writer(&mut length, value) {
        tracing::error!(%error, "cannot encode JSON");
    }
    length.0
}

/// Counts what is written.
struct LengthWriter(usize);

impl Write for LengthWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes into a string. serde_json writes whole pieces of text.
struct StringWriter<'s>(&'s mut String);

impl Write for StringWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.push_str(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_json_demands_and_no_more() {
        for (text, expected) in [
            ("", "\"\""),
            ("a/b", "\"a/b\""),
            ("\"\\", "\"\\\"\\\\\""),
            ("\n\r\t\u{8}\u{c}", "\"\\n\\r\\t\\b\\f\""),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("é\u{85}\u{2028}😀", "\"é\u{85}\u{2028}😀\""),
        ] {
            let mut out = String::new();
            append_json(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
            assert_eq!(json_length(text), expected.len());
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
