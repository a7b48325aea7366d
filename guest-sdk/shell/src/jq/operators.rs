//! Arithmetic and the order of values.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use super::budget;
use super::text::number;
use super::value::{self, Failure, Object, Value};

type Answer = Result<Value, Failure>;

fn refuse(left: &Value, right: &Value, what: &str) -> Failure {
    Failure::str(format_args!(
        "{} and {} cannot be {what}",
        left.named(),
        right.named()
    ))
}

/// Fails if a text would be too long.
pub(crate) fn admit_text(bytes: f64) -> Result<(), Failure> {
    if bytes > budget::MAX_TEXT as f64 {
        budget::stop(budget::Stop::Size);
    }
    budget::spend(1)
}

/// Calculates with whole numbers as long as the result is one.
fn calculate(
    left: &Value,
    right: &Value,
    whole: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Option<Value> {
    if let (Value::Int(left), Value::Int(right)) = (left, right)
        && let Some(result) = whole(*left, *right)
    {
        return Some(Value::Int(result));
    }
    let (left, right) = (left.as_number()?, right.as_number()?);
    Some(number::value(float(left, right)))
}

impl Add for Value {
    type Output = Answer;

    fn add(self, other: Self) -> Answer {
        budget::spend(1)?;
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Text(mut left), Self::Text(right)) => {
                admit_text(left.len() as f64 + right.len() as f64)?;
                budget::spend_bytes(right.len())?;
                if Rc::get_mut(&mut left).is_none() {
                    budget::spend_bytes(left.len())?;
                }
                Rc::make_mut(&mut left).push_str(&right);
                Ok(Self::Text(left))
            }
            (Self::Array(left), Self::Array(right)) => Ok(value::append(left, &right)),
            (Self::Object(left), Self::Object(right)) => {
                let mut sum = Self::Object(left);
                for (key, entry) in &right.entries {
                    budget::spend(1)?;
                    if let Self::Object(object) = sum {
                        sum = value::insert(object, Rc::clone(key), entry.clone());
                    }
                }
                Ok(sum)
            }
            (left, right) => calculate(&left, &right, i64::checked_add, f64::add)
                .ok_or_else(|| refuse(&left, &right, "added")),
        }
    }
}

impl Sub for Value {
    type Output = Answer;

    fn sub(self, other: Self) -> Answer {
        budget::spend(1)?;
        match (self, other) {
            (Self::Array(left), Self::Array(right)) => {
                let mut rest = Vec::new();
                for item in &left.items {
                    budget::spend(1 + right.items.len() as u64 / 4)?;
                    if !right.items.contains(item) {
                        rest.push(item.clone());
                    }
                }
                Ok(Self::array(rest))
            }
            (left, right) => calculate(&left, &right, i64::checked_sub, f64::sub)
                .ok_or_else(|| refuse(&left, &right, "subtracted")),
        }
    }
}

impl Mul for Value {
    type Output = Answer;

    fn mul(self, other: Self) -> Answer {
        budget::spend(1)?;
        match (&self, &other) {
            (Self::Text(text), times) | (times, Self::Text(text))
                if times.as_number().is_some() =>
            {
                let times = times.as_number().unwrap_or(0.0);
                if times <= 0.0 || times.is_nan() {
                    return Ok(Self::Null);
                }
                // More than half of one is one.
                let times = times.max(1.0);
                admit_text(text.len() as f64 * times)?;
                budget::spend_bytes((text.len() as f64 * times) as usize)?;
                Ok(Self::text(text.repeat(times as usize)))
            }
            (Self::Object(_), Self::Object(_)) => merge(self, &other),
            _ => calculate(&self, &other, i64::checked_mul, f64::mul)
                .ok_or_else(|| refuse(&self, &other, "multiplied")),
        }
    }
}

/// Merges objects, and the objects in them.
fn merge(left: Value, right: &Value) -> Answer {
    budget::spend(1)?;
    let (Value::Object(left), Value::Object(right)) = (left, right) else {
        return Ok(right.clone());
    };
    let mut merged = value::into_entries(left);
    for (key, entry) in &right.entries {
        let old = merged.get_mut(key).map(std::mem::take);
        merged.insert(Rc::clone(key), merge(old.unwrap_or_default(), entry)?);
    }
    Ok(Value::object(merged))
}

impl Div for Value {
    type Output = Answer;

    fn div(self, other: Self) -> Answer {
        budget::spend(1)?;
        if let (Self::Text(text), Self::Text(separator)) = (&self, &other) {
            return split(text, separator);
        }
        if self.as_number().is_some() && other.as_number() == Some(0.0) {
            let what = "divided because the divisor is zero";
            return Err(refuse(&self, &other, what));
        }
        let whole = |left: i64, right: i64| (left.checked_rem(right)? == 0).then(|| left / right);
        calculate(&self, &other, whole, f64::div).ok_or_else(|| refuse(&self, &other, "divided"))
    }
}

/// Splits a text. An empty one has no parts.
pub(crate) fn split(text: &str, separator: &str) -> Answer {
    budget::spend_bytes(text.len())?;
    let mut parts = Vec::new();
    if separator.is_empty() {
        for c in text.chars() {
            value::push(&mut parts, Value::text(c))?;
        }
    } else if !text.is_empty() {
        for part in text.split(separator) {
            value::push(&mut parts, Value::text(part))?;
        }
    }
    Ok(Value::array(parts))
}

impl Rem for Value {
    type Output = Answer;

    fn rem(self, other: Self) -> Answer {
        budget::spend(1)?;
        let (Some(left), Some(right)) = (self.as_number(), other.as_number()) else {
            return Err(refuse(&self, &other, "divided (remainder)"));
        };
        if left.is_nan() || right.is_nan() {
            return Ok(Self::Float(f64::NAN));
        }
        let (left, right) = (left as i64, right as i64);
        if right == 0 {
            let what = "divided (remainder) because the divisor is zero";
            return Err(refuse(&self, &other, what));
        }
        Ok(Self::Int(left.wrapping_rem(right.wrapping_abs())))
    }
}

impl Neg for Value {
    type Output = Answer;

    fn neg(self) -> Answer {
        budget::spend(1)?;
        match self {
            Self::Int(number) if number != 0 => Ok(number
                .checked_neg()
                .map_or(Self::Float(-(number as f64)), Self::Int)),
            other => match other.as_number() {
                Some(number) => Ok(number::value(-number)),
                None => Err(Failure::str(format_args!(
                    "{} cannot be negated",
                    other.named()
                ))),
            },
        }
    }
}

/// The place of a kind in the order of all values.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Int(_) | Value::Float(_) => 3,
        Value::Text(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

/// Compares numbers. What is no number is below all others.
fn compare_numbers(left: &Value, right: &Value) -> Ordering {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        return left.cmp(right);
    }
    let number = |value: &Value| value.as_number().unwrap_or(f64::NAN);
    let (left, right) = (number(left), number(right));
    match left.partial_cmp(&right) {
        Some(order) => order,
        None => right.is_nan().cmp(&left.is_nan()),
    }
}

/// Compares objects by their sorted keys, and then by the values in this order.
fn compare_objects(left: &Object, right: &Object) -> Ordering {
    let sorted = |object: &Object| {
        let mut keys: Vec<Rc<str>> = object.entries.keys().cloned().collect();
        keys.sort();
        keys
    };
    let (keys, others) = (sorted(left), sorted(right));
    keys.cmp(&others).then_with(|| {
        let values = |object: &Object, key: &Rc<str>| object.entries.get(key).cloned();
        let pairs = keys
            .iter()
            .map(|key| (values(left, key), values(right, key)));
        let mut orders = pairs.map(|(one, other)| one.cmp(&other));
        orders
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    })
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        budget::count(1);
        match (self, other) {
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => {
                compare_numbers(self, other)
            }
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Array(left), Self::Array(right)) => left.items.cmp(&right.items),
            (Self::Object(left), Self::Object(right)) => compare_objects(left, right),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // For `<`, what is no number is below itself too.
        let is_nan = |value: &Self| matches!(value, Self::Float(number) if number.is_nan());
        if is_nan(self) && is_nan(other) {
            return Some(Ordering::Less);
        }
        Some(self.cmp(other))
    }
}

impl Eq for Value {}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        budget::count(1);
        match (self, other) {
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => match (self, other) {
                (Self::Int(left), Self::Int(right)) => left == right,
                _ => self.as_number() == other.as_number(),
            },
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Array(left), Self::Array(right)) => left.items == right.items,
            (Self::Object(left), Self::Object(right)) => left.entries == right.entries,
            _ => rank(self) == rank(other),
        }
    }
}

/// Returns the places of a part in a text or an array.
pub(crate) fn indices(value: &Value, part: &Value) -> Result<Value, Failure> {
    let mut places = Vec::new();
    match (value, part) {
        (Value::Null, _) => return Ok(Value::Null),
        (Value::Text(text), Value::Text(part)) => {
            budget::spend_bytes(text.len())?;
            let (mut from, mut characters) = (0, 0);
            while let Some(found) = text.get(from..).and_then(|rest| rest.find(part.as_str())) {
                let Some(step) = part.chars().next().map(char::len_utf8) else {
                    break;
                };
                let skipped = text.get(from..from + found).unwrap_or_default();
                characters += skipped.chars().count();
                value::push(&mut places, Value::from(characters))?;
                characters += 1;
                from += found + step;
                budget::spend_bytes(part.len())?;
            }
        }
        (Value::Array(array), Value::Array(part)) => {
            let length = part.items.len().max(1);
            for (place, window) in array.items.windows(length).enumerate() {
                budget::spend(1)?;
                if !part.items.is_empty() && *window == *part.items {
                    value::push(&mut places, Value::from(place))?;
                }
            }
        }
        (Value::Array(array), item) => {
            for (place, found) in array.items.iter().enumerate() {
                budget::spend(1)?;
                if found == item {
                    value::push(&mut places, Value::from(place))?;
                }
            }
        }
        _ => {
            let (value, part) = (value.kind(), part.kind());
            let message = format_args!("Cannot determine indices of {part} in {value}");
            return Err(Failure::str(message));
        }
    }
    Ok(Value::array(places))
}
