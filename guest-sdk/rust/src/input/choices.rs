//! Choices in schemas as one `enum`.
//!
//! For an enum whose variants have doc comments, schemars generates a union of
//! constants. Clients that convert a schema for a model's provider keep the first
//! part of a union, or none, so the model would see one choice or none. So a
//! union of constants becomes one `enum`, and the texts of its parts become lines
//! of the description. A choice that may be null becomes an `enum` with null.

use schemars::Schema;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Map, Value};

/// The transformation of a schema and of all schemas in it.
#[derive(Clone, Debug)]
pub(super) struct PlainChoices;

impl Transform for PlainChoices {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(members) = schema.as_object_mut() {
            join_constants(members);
            join_null(members);
        }
    }
}

/// Replaces `oneOf` or `anyOf` whose parts are all constants.
fn join_constants(members: &mut Map<String, Value>) {
    for keyword in ["oneOf", "anyOf"] {
        let Some(Value::Array(parts)) = members.get(keyword) else {
            continue;
        };
        let Some(choices) = parts.iter().map(Choices::of).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let mut kinds: Vec<&str> = choices.iter().map(|part| part.kind).collect();
        kinds.dedup();
        // Constants and null are joined below.
        if choices.is_empty() || kinds.contains(&"null") {
            continue;
        }
        let kind = match kinds.as_slice() {
            [kind] => Value::from(*kind),
            kinds => Value::from(kinds.to_vec()),
        };
        let texts: Vec<String> = choices.iter().filter_map(Choices::text).collect();
        let values: Vec<Value> = choices
            .iter()
            .flat_map(|part| part.values.clone())
            .collect();
        members.shift_remove(keyword);
        describe(members, &texts.join("\n"));
        members.insert("type".to_owned(), kind);
        members.insert("enum".to_owned(), Value::Array(values));
    }
}

/// Replaces `anyOf` with a choice and null.
fn join_null(members: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = members.get("anyOf") else {
        return;
    };
    let [Value::Object(choice), Value::Object(null)] = parts.as_slice() else {
        return;
    };
    let is_null = null.len() == 1 && null.get("type").is_some_and(|kind| kind == "null");
    let (Some(Value::Array(values)), true) = (choice.get("enum"), is_null) else {
        return;
    };
    let mut kinds = match choice.get("type") {
        Some(Value::String(kind)) => vec![Value::from(kind.as_str())],
        Some(Value::Array(kinds)) => kinds.clone(),
        _ => return,
    };
    let (mut values, text) = (values.clone(), choice.get("description").cloned());
    values.push(Value::Null);
    kinds.push("null".into());
    members.shift_remove("anyOf");
    describe(
        members,
        text.as_ref().and_then(Value::as_str).unwrap_or_default(),
    );
    members.insert("type".to_owned(), Value::Array(kinds));
    members.insert("enum".to_owned(), Value::Array(values));
}

/// Appends to the description.
fn describe(members: &mut Map<String, Value>, text: &str) {
    let before = members.get("description").and_then(Value::as_str);
    let whole = match before {
        Some(before) if !before.is_empty() && !text.is_empty() => format!("{before}\n\n{text}"),
        Some(before) => format!("{before}{text}"),
        None => text.to_owned(),
    };
    if !whole.is_empty() {
        members.insert("description".to_owned(), whole.into());
    }
}

/// A part of a union that holds only constants.
struct Choices<'s> {
    kind: &'s str,
    values: Vec<Value>,
    text: &'s str,
}

impl<'s> Choices<'s> {
    /// Returns the constants of a schema that has nothing else; `None` for any
    /// other schema.
    fn of(schema: &'s Value) -> Option<Self> {
        let members = schema.as_object()?;
        let known = [
            "type",
            "const",
            "enum",
            "description",
            "title",
            "deprecated",
        ];
        if !members.keys().all(|key| known.contains(&key.as_str())) {
            return None;
        }
        let values = match (members.get("const"), members.get("enum")) {
            (Some(value), None) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => return None,
        };
        let text = members.get("description").and_then(Value::as_str);
        Some(Self {
            kind: members.get("type")?.as_str()?,
            values,
            text: text.unwrap_or_default(),
        })
    }

    /// Returns the line of the description; `None` without a text.
    fn text(&self) -> Option<String> {
        let [value] = self.values.as_slice() else {
            return None;
        };
        let name = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then(|| format!("- `{name}`: {text}"))
    }
}
