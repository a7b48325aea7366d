//! What a program reads: values, lines or events.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::arguments::Arguments;
use super::budget;
use super::text::json::Reader;
use super::value::{self, Value};

/// The files that a run needs, or why they cannot be read.
pub(crate) type Files = HashMap<String, Result<String, String>>;

/// Where values come from: texts, one after the other.
pub(super) struct Source<'a> {
    texts: Vec<(Option<&'a str>, &'a str)>,
    raw: bool,
    reader: Option<(Option<&'a str>, Reader<'a>)>,
    /// The lines of raw input that remain.
    lines: Option<std::str::SplitInclusive<'a, char>>,
}

impl<'a> Source<'a> {
    /// Returns a source of these texts, which have names if they are files.
    pub(super) fn new(texts: Vec<(Option<&'a str>, &'a str)>, raw: bool) -> Self {
        Self {
            texts,
            raw,
            reader: None,
            lines: None,
        }
    }

    /// Returns the next value.
    pub(super) fn next(&mut self) -> Option<Result<Value, String>> {
        loop {
            if let Some(lines) = &mut self.lines {
                if let Some(line) = lines.next() {
                    let line = line.strip_suffix('\n').unwrap_or(line);
                    return Some(Ok(Value::text(line)));
                }
                return None;
            }
            if let Some((_, reader)) = &mut self.reader
                && let Some(value) = reader.next()
            {
                return Some(value.map_err(|reason| format!("parse error: {reason}")));
            }
            if self.texts.is_empty() {
                return None;
            }
            let (name, text) = self.texts.remove(0);
            if self.raw {
                self.lines = Some(text.split_inclusive('\n'));
            }
            self.reader = Some((name, Reader::new(text)));
        }
    }

    /// Returns where the last value ended.
    pub(super) fn place(&self) -> (&'a str, usize) {
        match &self.reader {
            Some((name, reader)) => (name.unwrap_or("<stdin>"), reader.line()),
            None => ("<stdin>", 0),
        }
    }
}

/// Returns the inputs of a run, and whether a file could not be read.
pub(super) fn inputs<'a>(
    arguments: &Arguments,
    files: &'a Files,
    stdin: &'a str,
    stderr: &mut String,
) -> (Vec<(Option<&'a str>, &'a str)>, bool) {
    if arguments.files.is_empty() {
        return (vec![(None, stdin)], false);
    }
    let mut texts = Vec::new();
    let mut failed = false;
    for name in &arguments.files {
        match files.get_key_value(name) {
            Some((name, Ok(text))) => texts.push((Some(name.as_str()), text.as_str())),
            Some((_, Err(reason))) => {
                failed = true;
                *stderr += &format!("jq: error: Could not open {name}: {reason}\n");
            }
            None => {}
        }
    }
    (texts, failed)
}

/// Returns the events of a value, as `--stream` has them.
fn events(value: &Value, path: &mut Vec<Value>, out: &mut Vec<Value>) {
    let children: Vec<(Value, Value)> = match value {
        Value::Array(array) => {
            let items = array.items.iter().cloned().enumerate();
            items.map(|(i, item)| (Value::from(i), item)).collect()
        }
        Value::Object(object) => {
            let entries = object.entries.iter();
            entries
                .map(|(key, value)| (Value::text(&**key), value.clone()))
                .collect()
        }
        _ => Vec::new(),
    };
    let last = children.last().map(|(key, _)| key.clone());
    for (key, child) in &children {
        path.push(key.clone());
        events(child, path, out);
        path.pop();
    }
    let event = match last {
        None => Value::array(vec![Value::array(path.clone()), value.clone()]),
        Some(last) => {
            path.push(last);
            let event = Value::array(vec![Value::array(path.clone())]);
            path.pop();
            event
        }
    };
    if budget::spend(1 + path.len() as u64).is_ok() {
        out.push(event);
    }
}

/// Returns what the program reads: values, lines or events, one by one or all in one.
pub(super) fn all_values<'a>(
    arguments: &Arguments,
    source: Rc<RefCell<Source<'a>>>,
) -> Box<dyn Iterator<Item = Result<Value, String>> + 'a> {
    let input = arguments.input;
    if input.is_raw && input.is_slurped {
        let texts = std::mem::take(&mut source.borrow_mut().texts);
        let text: String = texts.iter().map(|(_, text)| *text).collect();
        return Box::new(std::iter::once(Ok(Value::text(text))));
    }
    let values = std::iter::from_fn(move || source.try_borrow_mut().ok()?.next());
    let values: Box<dyn Iterator<Item = Result<Value, String>> + 'a> = if input.is_streamed {
        Box::new(values.flat_map(|value| {
            let mut out = Vec::new();
            match value {
                Ok(value) => {
                    events(&value, &mut Vec::new(), &mut out);
                    out.into_iter().map(Ok).collect::<Vec<_>>()
                }
                Err(reason) => vec![Err(reason)],
            }
        }))
    } else {
        Box::new(values)
    };
    if !input.is_slurped {
        return values;
    }
    Box::new(std::iter::once_with(move || {
        let mut all = Vec::new();
        for value in values {
            value::push(&mut all, value?).map_err(|stopped| stopped.to_string())?;
        }
        Ok(Value::array(all))
    }))
}
