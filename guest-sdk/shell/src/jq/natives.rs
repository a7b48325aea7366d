//! Functions of `jq` that are not definitions.

use std::cell::RefCell;

use jaq_core::box_iter::box_once;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Ctx, DataT, Exn, Native, RunPtr, ValX};
use jaq_std::input::{HasInputs, Inputs};

use super::budget::{self, MAX_PATH};
use super::operators::indices;
use super::text::convert::{from_json, to_json, to_number};
use super::text::format;
use super::text::regex::Pattern;
use super::value::{Failure, Value};

/// Functions of the libraries that are replaced: they would run without end, read what
/// is not the session's, or differ from `jq`.
const REPLACED: [&str; 11] = [
    "range",
    "env",
    "stderr_empty",
    "debug_empty",
    "jn",
    "yn",
    "matches",
    "split_matches",
    "split_",
    "ltrimstr",
    "rtrimstr",
];

thread_local! {
    static MESSAGES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Takes what the program has written to standard error.
pub(crate) fn take_messages() -> String {
    MESSAGES.take()
}

fn say(text: &str) {
    MESSAGES.with_borrow_mut(|messages| {
        if messages.len() < budget::MAX_TEXT / 16 {
            messages.push_str(text);
        }
    });
}

/// The kind of data that programs run on.
pub(crate) struct Kind;

/// What a program finds beside its values.
#[derive(Clone)]
pub(crate) struct Data<'a> {
    pub(crate) lut: &'a jaq_core::Lut<Kind>,
    pub(crate) inputs: Inputs<'a, Value>,
}

impl DataT for Kind {
    type V<'a> = Value;
    type Data<'a> = Data<'a>;
}

impl<'a> jaq_core::data::HasLut<'a, Kind> for Data<'a> {
    fn lut(&self) -> &'a jaq_core::Lut<Kind> {
        self.lut
    }
}

impl<'a> HasInputs<'a, Value> for Data<'a> {
    fn inputs(&self) -> Inputs<'a, Value> {
        self.inputs
    }
}

/// Returns all functions that programs may call.
pub(crate) fn functions() -> impl Iterator<Item = Fun<Kind>> {
    let library = jaq_core::funs::<Kind>().chain(jaq_std::funs::<Kind>());
    let library = library.filter(|(name, ..)| !REPLACED.contains(name));
    let inputs = jaq_std::input::funs::<Kind>().into_vec().into_iter();
    let inputs = inputs.map(|(name, arguments, f)| run::<Kind>((name, arguments, f)));
    let own = own().into_vec().into_iter();
    let own = own.map(|(name, arguments, f)| run::<Kind>((name, arguments, f)));
    own.chain([step()]).chain(inputs).chain(library)
}

/// The step of the evaluator, which every definition takes: it is `.`, and fails when the
/// run is to end.
fn step() -> Fun<Kind> {
    let step = Native::<Kind>::new(|cv| box_once(budget::step(false).map(|()| cv.1)))
        .with_paths(|cv| {
            let path_is_long = cv.1.1.skip(MAX_PATH).head().is_some();
            box_once(budget::step(path_is_long).map(|()| cv.1))
        })
        .with_update(|cv, f| match budget::step(false) {
            Ok(()) => f(cv.1),
            Err(stopped) => box_once(Err(stopped)),
        });
    ("_step", v(0), step)
}

fn own() -> Box<[Filter<RunPtr<Kind>>]> {
    Box::new([
        ("range", v(3), |mut cv| {
            let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
            Box::new(range(from, to, by))
        }),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("tojson", v(0), |cv| bome(to_json(&cv.1).map(Value::text))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
        ("nan", v(0), |_| box_once(Ok(Value::Float(f64::NAN)))),
        ("infinite", v(0), |_| {
            box_once(Ok(Value::Float(f64::INFINITY)))
        }),
        ("isnan", v(0), |cv| number(&cv.1, f64::is_nan)),
        ("isinfinite", v(0), |cv| number(&cv.1, f64::is_infinite)),
        ("isnormal", v(0), |cv| number(&cv.1, f64::is_normal)),
        ("type", v(0), |cv| box_once(Ok(Value::text(cv.1.kind())))),
        ("has", v(1), |cv| unary(cv, |value, key| has(&value, &key))),
        ("contains", v(1), |cv| {
            unary(cv, |value, part| contains(&value, &part).map(Value::Bool))
        }),
        ("indices", v(1), |cv| {
            unary(cv, |value, part| indices(&value, &part))
        }),
        ("bsearch", v(1), |cv| {
            unary(cv, |value, item| search(&value, &item))
        }),
        ("join", v(1), |cv| {
            unary(cv, |value, separator| join(value, &separator))
        }),
        ("split", v(1), |cv| {
            unary(cv, |value, separator| match (&value, &separator) {
                (Value::Text(text), Value::Text(by)) => super::operators::split(text, by),
                _ => Err(Failure::str("split input and separator must be strings")),
            })
        }),
        ("ltrimstr", v(1), |cv| {
            unary(cv, |value, part| {
                Ok(trim(value, &part, |text, part| text.strip_prefix(part)))
            })
        }),
        ("rtrimstr", v(1), |cv| {
            unary(cv, |value, part| {
                Ok(trim(value, &part, |text, part| text.strip_suffix(part)))
            })
        }),
        ("format", v(1), |cv| {
            unary(cv, |value, name| {
                let name = name.as_text().unwrap_or_default();
                format::format(&value, name).map(Value::text)
            })
        }),
        ("_test", v(2), |cv| {
            matching(cv, |pattern, text| Ok(pattern.is_match(text)?.into()))
        }),
        ("_matches", v(2), |cv| {
            matching(cv, |pattern, text| {
                Ok(Value::array(pattern.matches(text, false)?))
            })
        }),
        ("_pieces", v(2), |cv| {
            matching(cv, |pattern, text| {
                Ok(Value::array(pattern.matches(text, true)?))
            })
        }),
        ("stderr_empty", v(0), |cv| {
            say(&to_json(&cv.1).unwrap_or_default());
            Box::new(std::iter::empty())
        }),
        ("_say", v(0), |cv| {
            match cv.1.as_text() {
                Some(text) => say(text),
                None => say(&format!("{}\n", to_json(&cv.1).unwrap_or_default())),
            }
            Box::new(std::iter::empty())
        }),
        ("debug_empty", v(0), |cv| {
            say(&format!(
                "[\"DEBUG:\",{}]\n",
                to_json(&cv.1).unwrap_or_default()
            ));
            Box::new(std::iter::empty())
        }),
    ])
}

/// Returns the numbers of a range. Each is a step.
fn range<'a>(from: Value, to: Value, by: Value) -> impl Iterator<Item = ValX<'a, Value>> {
    let is_rising = by > Value::Int(0);
    let is_still = by == Value::Int(0);
    let mut next = Some(from);
    std::iter::from_fn(move || {
        let now = next.take()?;
        let goes_on = if is_rising {
            now < to
        } else {
            is_still || now > to
        };
        if !goes_on {
            return None;
        }
        if now.as_number().is_none() || to.as_number().is_none() {
            return Some(Err(Failure::str("Range bounds must be numeric").into()));
        }
        if let Err(stopped) = budget::step(false) {
            return Some(Err(stopped));
        }
        next = (now.clone() + by.clone()).ok();
        Some(Ok(now))
    })
}

fn length(value: Value) -> Result<Value, Failure> {
    Ok(match &value {
        Value::Null => Value::Int(0),
        Value::Bool(_) => {
            let message = format_args!("{} has no length", value.named());
            return Err(Failure::str(message));
        }
        Value::Int(number) => number
            .checked_abs()
            .map_or(Value::Float(-(*number as f64)), Value::Int),
        Value::Float(number) => Value::from(number.abs()),
        Value::Text(text) => {
            budget::spend_bytes(text.len())?;
            Value::from(text.chars().count())
        }
        Value::Array(array) => Value::from(array.items.len()),
        Value::Object(object) => Value::from(object.entries.len()),
    })
}

fn number<'a>(value: &Value, is: fn(f64) -> bool) -> jaq_core::ValXs<'a, Value> {
    box_once(match value.as_number() {
        Some(number) => Ok(Value::Bool(is(number))),
        None => {
            let message = format_args!("{} number required", value.named());
            Err(Exn::from(Failure::str(message)))
        }
    })
}

fn has(value: &Value, key: &Value) -> Result<Value, Failure> {
    match (value, key) {
        (Value::Object(object), Value::Text(key)) => {
            Ok(Value::Bool(object.entries.contains_key(key.as_str())))
        }
        (Value::Array(array), Value::Int(_) | Value::Float(_)) => {
            let place = key.as_number().unwrap_or(f64::NAN);
            Ok(Value::Bool(
                place >= 0.0 && place < array.items.len() as f64,
            ))
        }
        _ => Err(Failure::str(format_args!(
            "Cannot check whether {} has a {} key",
            value.kind(),
            key.kind()
        ))),
    }
}

fn contains(value: &Value, part: &Value) -> Result<bool, Failure> {
    budget::spend(1)?;
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            for (key, part) in &part.entries {
                let found = match value.entries.get(key) {
                    Some(value) => contains(value, part)?,
                    None => false,
                };
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Array(value), Value::Array(part)) => {
            for part in &part.items {
                let mut found = false;
                for value in &value.items {
                    found = value.kind() == part.kind() && contains(value, part)?;
                    if found {
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Text(value), Value::Text(part)) => {
            budget::spend_bytes(value.len())?;
            Ok(value.contains(part.as_str()))
        }
        _ if value.kind() == part.kind() => Ok(value == part),
        _ => Err(Failure::str(format_args!(
            "{} and {} cannot have their containment checked",
            value.named(),
            part.named()
        ))),
    }
}

fn search(value: &Value, item: &Value) -> Result<Value, Failure> {
    let Value::Array(array) = value else {
        let message = format_args!("{} cannot be searched from", value.named());
        return Err(Failure::str(message));
    };
    Ok(match array.items.binary_search(item) {
        Ok(place) => Value::from(place),
        Err(place) => (Value::Int(-1) - Value::from(place))?,
    })
}

fn join(value: Value, separator: &Value) -> Result<Value, Failure> {
    let items = match value.into_items() {
        Ok(items) => items,
        Err(other) => {
            let message = format_args!("Cannot iterate over {}", other.named());
            return Err(Failure::str(message));
        }
    };
    let mut joined = Value::Null;
    for item in items {
        let item = match item {
            Value::Null => Value::text(""),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Value::text(to_json(&item)?),
            other => other,
        };
        joined = match joined {
            Value::Null => (Value::text("") + item)?,
            before => ((before + separator.clone())? + item)?,
        };
    }
    Ok(match joined {
        Value::Null => Value::text(""),
        joined => joined,
    })
}

/// Takes a part off a text. Other values stay.
fn trim(value: Value, part: &Value, strip: for<'a> fn(&'a str, &str) -> Option<&'a str>) -> Value {
    let text = value.as_text().zip(part.as_text());
    match text.and_then(|(text, part)| strip(text, part)) {
        Some(rest) => Value::text(rest),
        None => value,
    }
}

fn matching<'a>(
    mut cv: (Ctx<'a, Kind>, Value),
    answer: fn(&Pattern, &str) -> Result<Value, Failure>,
) -> jaq_core::ValXs<'a, Value> {
    let (flags, expression) = (cv.0.pop_var(), cv.0.pop_var());
    let Some(text) = cv.1.as_text() else {
        let named = cv.1.named();
        let message = format_args!("{named} cannot be matched, as it is not a string");
        return box_once(Err(Failure::str(message).into()));
    };
    let pattern = Pattern::new(&expression, &flags);
    bome(pattern.and_then(|pattern| answer(&pattern, text)))
}
