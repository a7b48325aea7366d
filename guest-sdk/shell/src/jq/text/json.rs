//! JSON text: a stream of values is read, and values are written.

use std::fmt::Write;
use std::rc::Rc;

use super::number;
use crate::jq::budget::{self, MAX_DEPTH};
use crate::jq::value::{self, Entries, Value};

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// What a level is indented with, and how often. Without it all is on one line.
    pub(crate) indent: Option<(char, usize)>,
    pub(crate) sorts_keys: bool,
    pub(crate) is_ascii: bool,
}

impl Style {
    pub(crate) const COMPACT: Self = Self {
        indent: None,
        sorts_keys: false,
        is_ascii: false,
    };
}

/// Writes a value.
pub(crate) fn write(out: &mut String, value: &Value, style: &Style) {
    let most = usize::MAX;
    Writer { out, style, most }.value(value, 0);
}

/// Writes a value up to about this many bytes.
pub(crate) fn write_start(out: &mut String, value: &Value, most: usize) {
    let style = &Style::COMPACT;
    Writer { out, style, most }.value(value, 0);
}

struct Writer<'a> {
    out: &'a mut String,
    style: &'a Style,
    most: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, level: usize) {
        if self.out.len() > self.most {
            return;
        }
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(number) => {
                let _ = write!(self.out, "{number}");
            }
            Value::Float(number) => number::write(self.out, *number),
            Value::Text(text) => self.text(text),
            Value::Array(array) if array.items.is_empty() => self.out.push_str("[]"),
            Value::Array(array) => {
                let mut before = '[';
                for item in &array.items {
                    self.out.push(before);
                    before = ',';
                    self.line(level + 1);
                    self.value(item, level + 1);
                    if self.out.len() > self.most {
                        return;
                    }
                }
                self.line(level);
                self.out.push(']');
            }
            Value::Object(object) if object.entries.is_empty() => self.out.push_str("{}"),
            Value::Object(object) => {
                let mut entries: Vec<_> = object.entries.iter().collect();
                if self.style.sorts_keys {
                    entries.sort_by(|one, other| one.0.cmp(other.0));
                }
                let mut before = '{';
                for (key, value) in entries {
                    self.out.push(before);
                    before = ',';
                    self.line(level + 1);
                    self.text(key);
                    self.out.push(':');
                    if self.style.indent.is_some() {
                        self.out.push(' ');
                    }
                    self.value(value, level + 1);
                    if self.out.len() > self.most {
                        return;
                    }
                }
                self.line(level);
                self.out.push('}');
            }
        }
    }

    fn line(&mut self, level: usize) {
        if let Some((character, width)) = self.style.indent {
            self.out.push('\n');
            self.out
                .extend(std::iter::repeat_n(character, width * level));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\t' => self.out.push_str("\\t"),
                '\r' => self.out.push_str("\\r"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || c == '\u{7f}' || (self.style.is_ascii && !c.is_ascii()) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
            if self.out.len() > self.most {
                return;
            }
        }
        self.out.push('"');
    }
}

/// Reads values one after the other.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the lines that are read, up to the end of the last one.
    pub(crate) fn line(&self) -> usize {
        let read = self.text.get(..self.at).unwrap_or(self.text);
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ends_line = rest.starts_with('\n') || rest.starts_with("\r\n");
        read.matches('\n').count() + usize::from(ends_line)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r' | 0x1e)) {
            self.at += 1;
        }
    }

    fn fail(&self, message: &str) -> String {
        let read = self.text.get(..self.at).unwrap_or(self.text);
        let column = read.len() - read.rfind('\n').map_or(0, |end| end + 1);
        let line = read.matches('\n').count() + 1;
        let end = if self.at >= self.text.len() {
            " at EOF"
        } else {
            ""
        };
        format!("{message}{end} at line {line}, column {column}")
    }

    fn value(&mut self, level: u32) -> Result<Value, String> {
        if level > MAX_DEPTH {
            return Err(self.fail("Exceeds depth limit for parsing"));
        }
        if let Err(stopped) = budget::spend(1) {
            return Err(stopped.to_string());
        }
        self.skip_space();
        match self.peek() {
            Some(b'[') => self.array(level),
            Some(b'{') => self.object(level),
            Some(b'"') => Ok(Value::text(self.string()?)),
            Some(_) => self.literal(),
            None => Err(self.fail("Unfinished JSON term")),
        }
    }

    fn array(&mut self, level: u32) -> Result<Value, String> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::array(items));
        }
        loop {
            let item = self.value(level + 1)?;
            value::push(&mut items, item).map_err(|stopped| stopped.to_string())?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(_) => return Err(self.fail("Expected separator between values")),
                None => return Err(self.fail("Unfinished JSON term")),
            }
            self.skip_space();
            if self.peek() == Some(b']') {
                return Err(self.fail("Expected another array element"));
            }
        }
        self.at += 1;
        Ok(Value::array(items))
    }

    fn object(&mut self, level: u32) -> Result<Value, String> {
        let mut entries = Entries::default();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::object(entries));
        }
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'"') => {}
                Some(_) => return Err(self.fail("Object keys must be strings")),
                None => return Err(self.fail("Unfinished JSON term")),
            }
            let key: Rc<str> = self.string()?.into();
            self.skip_space();
            match self.peek() {
                Some(b':') => self.at += 1,
                Some(_) => return Err(self.fail("Expected separator between values")),
                None => return Err(self.fail("Unfinished JSON term")),
            }
            let value = self.value(level + 1)?;
            entries.insert(key, value);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(_) => return Err(self.fail("Expected separator between values")),
                None => return Err(self.fail("Unfinished JSON term")),
            }
        }
        self.at += 1;
        Ok(Value::object(entries))
    }

    /// Reads a string, which begins here.
    fn string(&mut self) -> Result<String, String> {
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(end) = rest.find(['"', '\\']) else {
                self.at = self.text.len();
                return Err(self.fail("Unfinished string"));
            };
            text.push_str(rest.get(..end).unwrap_or_default());
            let is_end = rest.as_bytes().get(end) == Some(&b'"');
            self.at += end + 1;
            if is_end {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let byte = self.peek();
        self.at += 1;
        Ok(match byte {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => {
                let first = self.unit()?;
                let is_high = (0xd800..0xdc00).contains(&first);
                let rest = self.text.get(self.at..).unwrap_or_default();
                if is_high && rest.starts_with("\\u") {
                    let start = self.at;
                    self.at += 2;
                    let second = self.unit()?;
                    if (0xdc00..0xe000).contains(&second) {
                        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    self.at = start;
                }
                char::from_u32(first).unwrap_or('\u{fffd}')
            }
            _ => {
                // A character of several bytes is not to be cut.
                self.at -= 1;
                return Err(self.fail("Invalid escape"));
            }
        })
    }

    fn unit(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4);
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(unit) = unit else {
            return Err(self.fail("Invalid escape"));
        };
        self.at += 4;
        Ok(unit)
    }

    fn literal(&mut self) -> Result<Value, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_end = |c: char| c.is_ascii_whitespace() || ",:[]{}\"".contains(c);
        let word = rest.get(..rest.find(is_end).unwrap_or(rest.len()));
        let word = word.unwrap_or_default();
        let value = match word {
            "null" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "nan" | "NaN" => Some(Value::Float(f64::NAN)),
            "Infinity" => Some(Value::Float(f64::INFINITY)),
            "-Infinity" => Some(Value::Float(f64::NEG_INFINITY)),
            _ => number::parse(word),
        };
        if word.is_empty() {
            let found = rest.chars().next().unwrap_or_default();
            return Err(self.fail(&format!("Unmatched '{found}'")));
        }
        self.at += word.len();
        value.ok_or_else(|| self.fail("Invalid literal"))
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Value, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_space();
        if self.at >= self.text.len() {
            return None;
        }
        let value = self.value(1);
        if value.is_err() {
            // What follows an error cannot be told apart.
            self.at = self.text.len();
        }
        Some(value)
    }
}
