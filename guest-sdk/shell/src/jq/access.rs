//! How programs look into values and change them.

use std::rc::Rc;

use jaq_core::box_iter::BoxIter;
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Exn, ValR, ValT, ValX};

use super::budget;
use super::text::number;
use super::value::{self, Entries, Failure, Value};

/// Elements that an array is filled up with at most, for a place behind its end.
const MAX_FILL: usize = 1 << 20;

/// Lets values through as long as the run may go on.
fn metered<T: 'static>(
    mut values: impl Iterator<Item = T> + 'static,
) -> BoxIter<'static, Result<T, Failure>> {
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let value = values.next()?;
        Some(
            budget::spend(1)
                .map(|()| value)
                .inspect_err(|_| ended = true),
        )
    }))
}

fn no_children(value: &Value) -> Failure {
    Failure::str(format_args!("Cannot iterate over {}", value.named()))
}

fn no_index(value: &Value, index: &Value) -> Failure {
    match index {
        Value::Text(key) => {
            let mut text = String::new();
            super::text::json::write_start(&mut text, &Value::Text(Rc::clone(key)), 100);
            Failure::str(format_args!(
                "Cannot index {} with string {text}",
                value.kind()
            ))
        }
        _ => Failure::str(format_args!(
            "Cannot index {} with {}",
            value.kind(),
            index.kind()
        )),
    }
}

/// Returns the place that an index of an array means, which may be behind its end.
fn place(length: usize, index: f64) -> Option<usize> {
    let index = index.floor();
    let index = if index < 0.0 {
        index + length as f64
    } else {
        index
    };
    (index >= 0.0).then_some(index as usize)
}

/// Returns the places that a range means.
fn bounds(length: usize, range: &Range<&Value>) -> Result<(usize, usize), Failure> {
    let bound = |value: Option<&Value>, default: usize, round: fn(f64) -> f64| match value {
        None | Some(Value::Null) => Ok(default),
        Some(value) => match value.as_number() {
            Some(number) => {
                let number = round(number);
                let number = if number < 0.0 {
                    number + length as f64
                } else {
                    number
                };
                Ok((number.max(0.0) as usize).min(length))
            }
            None => Err(Failure::str(
                "Start and end indices of an array slice must be numbers",
            )),
        },
    };
    let start = bound(range.start, 0, f64::floor)?;
    let end = bound(range.end, length, f64::ceil)?;
    Ok((start, end.max(start)))
}

/// Returns the part of a text between two of its characters.
fn slice(text: &str, start: usize, end: usize) -> &str {
    let offset = |place: usize| {
        let mut offsets = text.char_indices().map(|(offset, _)| offset);
        offsets.nth(place).unwrap_or(text.len())
    };
    text.get(offset(start)..offset(end)).unwrap_or_default()
}

/// Returns the range that an object with `start` and `end` means.
fn as_range(index: &Value) -> Option<Range<Value>> {
    let Value::Object(object) = index else {
        return None;
    };
    let bound = |key| object.entries.get(key).cloned();
    (object.entries.contains_key("start") || object.entries.contains_key("end"))
        .then(|| bound("start")..bound("end"))
}

fn as_refs(range: &Range<Value>) -> Range<&Value> {
    range.start.as_ref()..range.end.as_ref()
}

impl ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        budget::spend(1)?;
        number::parse(text)
            .ok_or_else(|| Failure::str(format_args!("{text} cannot be parsed as a number")))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        let mut map = Entries::default();
        for (key, value) in entries {
            budget::spend(1)?;
            match key {
                Self::Text(key) => map.insert(Rc::from(key.as_str()), value),
                other => {
                    let named = other.named();
                    let message = format_args!("Cannot use {named} as object key");
                    return Err(Failure::str(message));
                }
            };
        }
        Ok(Self::object(map))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::Array(array) => {
                let item = move |i: usize| Some((Self::from(i), array.items.get(i)?.clone()));
                metered((0_usize..).map_while(item))
            }
            Self::Object(object) => {
                let entry = move |i: usize| {
                    let (key, value) = object.entries.get_index(i)?;
                    Some((Self::text(&**key), value.clone()))
                };
                metered((0_usize..).map_while(entry))
            }
            other => {
                let message = format_args!("{} has no keys", other.named());
                Box::new(std::iter::once(Err(Failure::str(message))))
            }
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Self::Array(array) => {
                metered((0_usize..).map_while(move |i| array.items.get(i).cloned()))
            }
            Self::Object(object) => {
                let value = move |i: usize| Some(object.entries.get_index(i)?.1.clone());
                metered((0_usize..).map_while(value))
            }
            other => Box::new(std::iter::once(Err(no_children(&other)))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        budget::spend(1)?;
        match (&self, index) {
            (Self::Object(object), Self::Text(key)) => Ok(object
                .entries
                .get(key.as_str())
                .cloned()
                .unwrap_or_default()),
            (Self::Array(array), Self::Int(_) | Self::Float(_)) => {
                let index = index.as_number().unwrap_or(f64::NAN);
                let found = place(array.items.len(), index).and_then(|i| array.items.get(i));
                Ok(found.cloned().unwrap_or_default())
            }
            (Self::Array(_), Self::Array(_)) => super::operators::indices(&self, index),
            (Self::Null, Self::Text(_) | Self::Int(_) | Self::Float(_) | Self::Null) => {
                Ok(Self::Null)
            }
            _ => match as_range(index) {
                Some(range) => self.range(as_refs(&range)),
                None => Err(no_index(&self, index)),
            },
        }
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        budget::spend(1)?;
        match self {
            Self::Null => Ok(Self::Null),
            Self::Array(array) => {
                let (start, end) = bounds(array.items.len(), &range)?;
                budget::spend(1 + (end - start) as u64 / 16)?;
                let items = array.items.get(start..end).unwrap_or_default();
                Ok(Self::array(items.to_vec()))
            }
            Self::Text(text) => {
                budget::spend_bytes(text.len())?;
                let (start, end) = bounds(text.chars().count(), &range)?;
                Ok(Self::text(slice(&text, start, end)))
            }
            other => Err(Failure::str(format_args!(
                "Cannot index {} with object",
                other.kind()
            ))),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::Array(array) => {
                let items = Self::Array(array).into_items().unwrap_or_default();
                let mut mapped = Vec::with_capacity(items.len());
                for item in items {
                    budget::spend(1)?;
                    if let Some(value) = f(item).next() {
                        mapped.push(value?);
                    }
                }
                Ok(Self::array(mapped))
            }
            Self::Object(object) => {
                let mut mapped = Entries::default();
                for (key, value) in value::into_entries(object) {
                    budget::spend(1)?;
                    if let Some(value) = f(value).next() {
                        mapped.insert(key, value?);
                    }
                }
                Ok(Self::object(mapped))
            }
            other => opt.fail(other, |other| Exn::from(no_children(&other))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        budget::spend(1)?;
        if let Some(range) = as_range(index) {
            return self.map_range(as_refs(&range), opt, f);
        }
        match (self, index) {
            (Self::Null, Self::Text(_)) => {
                Self::object(Entries::default()).map_index(index, opt, f)
            }
            (Self::Null, Self::Int(_) | Self::Float(_)) => {
                Self::array(Vec::new()).map_index(index, opt, f)
            }
            (Self::Object(object), Self::Text(key)) => {
                let old = object.entries.get(key.as_str()).cloned();
                match f(old.unwrap_or_default()).next().transpose()? {
                    Some(new) => Ok(value::insert(object, Rc::from(key.as_str()), new)),
                    None => {
                        let mut entries = value::into_entries(object);
                        budget::spend(1 + entries.len() as u64 / 16)?;
                        entries.shift_remove(key.as_str());
                        Ok(Self::object(entries))
                    }
                }
            }
            (Self::Array(array), Self::Int(_) | Self::Float(_)) => {
                let length = array.items.len();
                let Some(place) = place(length, index.as_number().unwrap_or(f64::NAN)) else {
                    return Err(Failure::str("Out of bounds negative array index").into());
                };
                let old = array.items.get(place).cloned();
                let new = f(old.unwrap_or_default()).next().transpose()?;
                let Some(new) = new else {
                    let mut items = Self::Array(array).into_items().unwrap_or_default();
                    if place < length {
                        items.remove(place);
                    }
                    return Ok(Self::array(items));
                };
                if place < length {
                    return Ok(value::put(array, place, new));
                }
                if place - length > MAX_FILL {
                    return Err(Failure::str("Array index too large").into());
                }
                budget::spend(1 + (place - length) as u64)?;
                let mut items = Self::Array(array).into_items().unwrap_or_default();
                items.resize(place, Self::Null);
                items.push(new);
                Ok(Self::array(items))
            }
            (other, _) => opt.fail(other, |other| Exn::from(no_index(&other, index))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        budget::spend(1)?;
        let array = match self {
            Self::Null => Self::array(Vec::new()),
            other => other,
        };
        let Self::Array(array) = array else {
            return opt.fail(array, |array| {
                let message =
                    format_args!("Cannot update field at object index of {}", array.kind());
                Exn::from(Failure::str(message))
            });
        };
        let (start, end) = bounds(array.items.len(), &range)?;
        let part = array.items.get(start..end).unwrap_or_default().to_vec();
        let new = f(Self::array(part)).next().transpose()?;
        let new = match new.map(Self::into_items) {
            Some(Ok(items)) => items,
            Some(Err(_)) => {
                let message = "A slice of an array can only be assigned another array";
                return Err(Failure::str(message).into());
            }
            None => Vec::new(),
        };
        let mut items = Self::Array(array).into_items().unwrap_or_default();
        items.splice(start..end, new);
        Ok(Self::array(items))
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(_) => self,
            other => super::text::convert::to_json(&other).map_or(Self::Null, Self::text),
        }
    }
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        self.into_items().map(S::from_iter)
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Int(_))
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Int(number) => isize::try_from(*number).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.as_number()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        let text = self.as_text()?;
        budget::count(1 + text.len() as u64 / 512);
        Some(text.as_bytes())
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self::text(String::from_utf8_lossy(part))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(String::from_utf8_lossy(bytes.as_ref()))
    }
}
