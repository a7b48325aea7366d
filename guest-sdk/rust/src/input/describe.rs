//! Descriptions of schemas and values for error messages.

use serde_json::{Map, Value};

use crate::json::clipped;

/// Describes the values that a schema accepts.
pub(super) fn expected(schema: &Value) -> String {
    let members = match schema {
        Value::Object(members) => members,
        Value::Bool(false) => return "nothing".to_owned(),
        _ => return "any value".to_owned(),
    };
    if let Some(only) = members.get("const") {
        return written(only);
    }
    if let Some(Value::Array(values)) = members.get("enum") {
        return one_of(values.iter());
    }
    let kinds = kinds(members);
    match kinds.is_empty() {
        true => "any value".to_owned(),
        false => either(kinds.iter().map(|kind| of_kind(kind, members))),
    }
}

/// Returns the types that a schema names.
pub(super) fn kinds(members: &Map<String, Value>) -> Vec<&str> {
    match members.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn of_kind(kind: &str, members: &Map<String, Value>) -> String {
    match kind {
        "string" => format!("a string{}", size(members, "Length", "character")),
        "integer" => format!("an integer{}", bounds(members)),
        "number" => format!("a number{}", bounds(members)),
        "boolean" => "true or false".to_owned(),
        "array" => format!("a list{}", size(members, "Items", "item")),
        "object" => format!("an object{}", size(members, "Properties", "field")),
        "null" => "null".to_owned(),
        other => other.to_owned(),
    }
}

fn bounds(members: &Map<String, Value>) -> String {
    let get = |keyword: &str| members.get(keyword);
    let mut text = match (get("minimum"), get("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    };
    for (keyword, phrase) in [
        ("exclusiveMinimum", "greater than"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "divisible by"),
    ] {
        if let Some(bound) = get(keyword) {
            let joint = if text.is_empty() { "" } else { " and" };
            text.push_str(&format!("{joint} {phrase} {bound}"));
        }
    }
    text
}

fn size(members: &Map<String, Value>, keyword: &str, unit: &str) -> String {
    let get = |end: &str| {
        let bound = members.get(&format!("{end}{keyword}"))?;
        bound.as_u64()
    };
    let units = |count: u64| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match (get("min"), get("max")) {
        (Some(least), Some(most)) if least == most => format!(" of {}", units(least)),
        (Some(least), Some(most)) => format!(" of {least} to {}", units(most)),
        (Some(least), None) => format!(" of at least {}", units(least)),
        (None, Some(most)) => format!(" of at most {}", units(most)),
        (None, None) => String::new(),
    }
}

/// Describes a received value.
pub(super) fn got(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => format!("the boolean {truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => format!("the string {}", written(value)),
        Value::Array(items) => match items.len() {
            0 => "an empty list".to_owned(),
            1 => "a list of 1 item".to_owned(),
            count => format!("a list of {count} items"),
        },
        Value::Object(members) => match members.is_empty() {
            true => "an empty object".to_owned(),
            false => format!("an object with {}", names(members.keys())),
        },
    }
}

/// Joins names: `a, b and c`.
pub(super) fn names<'n>(names: impl Iterator<Item = &'n String>) -> String {
    listed(names.map(|name| format!("`{name}`")), "and")
}

/// Joins alternatives: `"a", "b" or "c"`.
pub(super) fn one_of<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    listed(values.map(written), "or")
}

/// Joins alternatives without duplicates.
pub(super) fn either(phrases: impl Iterator<Item = String>) -> String {
    let mut said: Vec<String> = Vec::new();
    for phrase in phrases {
        if !said.contains(&phrase) {
            said.push(phrase);
        }
    }
    listed(said.into_iter(), "or")
}

fn written(value: &Value) -> String {
    match value {
        // Cut before it is quoted, or the quotes would be cut too.
        Value::String(text) => Value::String(clipped(text)).to_string(),
        other => clipped(&other.to_string()),
    }
}

fn listed(phrases: impl Iterator<Item = String>, joint: &str) -> String {
    let mut phrases: Vec<String> = phrases.collect();
    match phrases.pop() {
        None => "nothing".to_owned(),
        Some(only) if phrases.is_empty() => only,
        Some(last) => format!("{} {joint} {last}", phrases.join(", ")),
    }
}
