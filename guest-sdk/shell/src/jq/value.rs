//! The values of `jq`. Arrays and objects know how deeply they nest and how large they
//! are as text, so that no value exists that cannot be walked, compared or freed.

use std::fmt;
use std::rc::Rc;

use indexmap::IndexMap;
use jaq_core::Error;

use super::budget::{self, MAX_DEPTH, MAX_ITEMS, MAX_WEIGHT, Stop};
use super::text::json::{self, Style};
use super::text::number;

pub(crate) type Failure = Error<Value>;
pub(crate) type Entries = IndexMap<Rc<str>, Value>;

/// A value. Clones share what they hold.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is no whole number below 2^53.
    Float(f64),
    Text(Rc<String>),
    Array(Rc<Array>),
    Object(Rc<Object>),
}

/// An array, with bounds of its depth and of its size as text.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) items: Vec<Value>,
    depth: u32,
    weight: u64,
}

/// An object, likewise. Its keys keep their order.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) entries: Entries,
    depth: u32,
    weight: u64,
}

/// Whether a container with these bounds may exist.
fn is_admitted(length: usize, depth: u32, weight: u64) -> bool {
    if depth > MAX_DEPTH {
        budget::stop(Stop::Depth);
    } else if weight > MAX_WEIGHT || length > MAX_ITEMS {
        budget::stop(Stop::Size);
    } else {
        return true;
    }
    false
}

fn key_weight(key: &str) -> u64 {
    key.len() as u64 + 4
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        budget::count(1 + text.len() as u64 / 512);
        Self::Text(Rc::new(text))
    }

    /// Returns an array. One that may not exist stops the run, and is null.
    pub(crate) fn array(items: Vec<Self>) -> Self {
        let depth = items.iter().map(Self::depth).max().unwrap_or(0) + 1;
        let weight = 2 + items.iter().map(|item| item.weight() + 1).sum::<u64>();
        Self::bounded_array(items, depth, weight)
    }

    fn bounded_array(items: Vec<Self>, depth: u32, weight: u64) -> Self {
        if is_admitted(items.len(), depth, weight) {
            Self::Array(Rc::new(Array {
                items,
                depth,
                weight,
            }))
        } else {
            Self::Null
        }
    }

    pub(crate) fn object(entries: Entries) -> Self {
        let depth = entries.values().map(Self::depth).max().unwrap_or(0) + 1;
        let weights = entries.iter();
        let weights = weights.map(|(key, value)| key_weight(key) + value.weight());
        let weight = 2 + weights.sum::<u64>();
        Self::bounded_object(entries, depth, weight)
    }

    fn bounded_object(entries: Entries, depth: u32, weight: u64) -> Self {
        if is_admitted(entries.len(), depth, weight) {
            Self::Object(Rc::new(Object {
                entries,
                depth,
                weight,
            }))
        } else {
            Self::Null
        }
    }

    /// Returns the levels of arrays and objects.
    fn depth(&self) -> u32 {
        match self {
            Self::Array(array) => array.depth,
            Self::Object(object) => object.depth,
            _ => 0,
        }
    }

    /// Returns the bytes of the value as text, roughly.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::Null | Self::Bool(_) => 4,
            Self::Int(_) | Self::Float(_) => 8,
            Self::Text(text) => text.len() as u64 + 2,
            Self::Array(array) => array.weight,
            Self::Object(object) => object.weight,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Float(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Names the value in a message, as `jq` does: its kind, and the start of its text.
    pub(crate) fn named(&self) -> String {
        let mut text = String::new();
        json::write_start(&mut text, self, 16);
        if text.len() > 14 {
            let end = (0..=11).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text.push_str("...");
        }
        format!("{} ({text})", self.kind())
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the items of an array, copied if others hold the array as well.
    pub(crate) fn into_items(self) -> Result<Vec<Self>, Self> {
        match self {
            Self::Array(array) => Ok(match Rc::try_unwrap(array) {
                Ok(array) => array.items,
                Err(shared) => {
                    budget::count(1 + shared.items.len() as u64 / 16);
                    shared.items.clone()
                }
            }),
            other => Err(other),
        }
    }
}

/// Appends an item to those that become an array.
pub(crate) fn push(items: &mut Vec<Value>, item: Value) -> Result<(), Failure> {
    if items.len() >= MAX_ITEMS {
        budget::stop(Stop::Size);
    }
    budget::spend(1)?;
    items.push(item);
    Ok(())
}

/// Appends the items of another array.
pub(crate) fn append(left: Rc<Array>, right: &Array) -> Value {
    let depth = left.depth.max(right.depth);
    let weight = left.weight.saturating_add(right.weight);
    let mut items = Value::Array(left).into_items().unwrap_or_default();
    items.extend_from_slice(&right.items);
    budget::count(1 + right.items.len() as u64 / 16);
    Value::bounded_array(items, depth, weight)
}

/// Puts a value at a place of an array, which exists.
pub(crate) fn put(array: Rc<Array>, place: usize, value: Value) -> Value {
    let (mut depth, mut weight) = (array.depth, array.weight);
    depth = depth.max(value.depth() + 1);
    let mut items = Value::Array(array).into_items().unwrap_or_default();
    if let Some(old) = items.get_mut(place) {
        weight = weight.saturating_sub(old.weight()) + value.weight();
        *old = value;
    }
    if depth > MAX_DEPTH {
        return Value::array(items);
    }
    Value::bounded_array(items, depth, weight)
}

/// Puts an entry into an object.
pub(crate) fn insert(object: Rc<Object>, key: Rc<str>, value: Value) -> Value {
    let (mut depth, mut weight) = (object.depth, object.weight);
    let mut entries = into_entries(object);
    depth = depth.max(value.depth() + 1);
    weight = weight.saturating_add(key_weight(&key) + value.weight());
    if let Some(old) = entries.insert(Rc::clone(&key), value) {
        weight = weight.saturating_sub(key_weight(&key) + old.weight());
    }
    if depth > MAX_DEPTH {
        return Value::object(entries);
    }
    Value::bounded_object(entries, depth, weight)
}

/// Returns the entries of an object, copied if others hold the object as well.
pub(crate) fn into_entries(object: Rc<Object>) -> Entries {
    match Rc::try_unwrap(object) {
        Ok(object) => object.entries,
        Err(shared) => {
            budget::count(1 + shared.entries.len() as u64 / 4);
            shared.entries.clone()
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        json::write(&mut text, self, &Style::COMPACT);
        f.write_str(&text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Value {
    fn from(value: isize) -> Self {
        Self::Int(value as i64)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        i64::try_from(value).map_or(Self::Null, Self::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        number::value(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::text(value)
    }
}

impl From<jaq_core::val::Range<Self>> for Value {
    fn from(range: jaq_core::val::Range<Self>) -> Self {
        let bound = |value: Option<Self>| value.unwrap_or(Self::Null);
        let entries = [("start", range.start), ("end", range.end)];
        let entries = entries.map(|(key, value)| (Rc::from(key), bound(value)));
        Self::object(Entries::from_iter(entries))
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        let mut items = Vec::new();
        for value in values {
            if push(&mut items, value).is_err() {
                return Self::Null;
            }
        }
        Self::array(items)
    }
}
