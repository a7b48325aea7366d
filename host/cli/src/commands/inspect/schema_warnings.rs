//! Warns of schemas that clients change when they convert them for a model.
//!
//! The Python client converts the schemas of tools to those of model providers.
//! For OpenAI and OpenRouter it keeps one part of a union; for Google it removes
//! unions and renames references. A model then sees other inputs than the tool
//! takes.

use orwd_model::Json;
use serde_json::{Map, Value};

/// The most warnings of one schema.
const MAX_WARNINGS: usize = 8;

/// Returns what conversions lose of a schema, with the place of each loss.
pub(super) fn schema_warnings(schema: &Json) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Ok(schema) = schema.read::<Value>() {
        visit(&schema, "", &mut warnings);
    }
    let more = warnings.len().saturating_sub(MAX_WARNINGS);
    warnings.truncate(MAX_WARNINGS);
    if more > 0 {
        warnings.push(format!("{more} more"));
    }
    warnings
}

fn visit(schema: &Value, place: &str, warnings: &mut Vec<String>) {
    let Some(members) = schema.as_object() else {
        return;
    };
    let at = if place.is_empty() {
        "the schema"
    } else {
        place
    };
    warnings.extend(losses(members).map(|loss| format!("{at}: {loss}")));
    for (key, value) in members {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(all)) => {
                for (name, schema) in all {
                    visit(schema, &format!("{place}/{key}/{name}"), warnings);
                }
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(all)) => {
                for (number, schema) in all.iter().enumerate() {
                    visit(schema, &format!("{place}/{key}/{number}"), warnings);
                }
            }
            ("items" | "additionalProperties" | "not", schema) => {
                visit(schema, &format!("{place}/{key}"), warnings);
            }
            _ => {}
        }
    }
}

/// Returns what is lost of these members, not of schemas within.
fn losses(members: &Map<String, Value>) -> impl Iterator<Item = String> {
    let union = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|keyword| {
        let parts = members.get(keyword)?.as_array()?;
        let is_null = |part: &&Value| part.get("type").is_some_and(|kind| kind == "null");
        let kept = parts.iter().filter(|part| !is_null(part)).count();
        let cure = if parts.iter().all(is_constant) {
            "; use one `enum`"
        } else {
            "; use one object with optional fields, or one tool for each part"
        };
        Some(match kept {
            // Only the Google format loses a part that may be null.
            0 | 1 if keyword == "anyOf" => {
                format!("clients with the google format drop `{keyword}`{cure}")
            }
            0 | 1 => format!("clients with the google format drop `{keyword}`"),
            _ => format!(
                "of the {} parts of `{keyword}`, clients with the openai format keep one, and with \
                 the google format none{cure}",
                parts.len()
            ),
        })
    });
    let reference = members.contains_key("$ref").then(|| {
        "clients with the google format rename `$ref`; write the schema in its place".to_owned()
    });
    let removed = ["not", "patternProperties"]
        .into_iter()
        .filter(|keyword| members.contains_key(*keyword))
        .map(|keyword| format!("clients with the openai and google formats drop `{keyword}`"));
    let map = members
        .get("additionalProperties")
        .filter(|schema| schema.is_object())
        .map(|_| {
            "clients with the openai and google formats drop `additionalProperties`; use a list of \
             objects with a name and a value"
                .to_owned()
        });
    union
        .chain(reference)
        .chain(removed)
        .chain(map)
        .collect::<Vec<_>>()
        .into_iter()
}

fn is_constant(part: &Value) -> bool {
    part.get("const").is_some() || part.get("enum").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_clients_lose_and_where() {
        for (schema, expected) in [
            (
                r#"{"type":"object","properties":{"a":{"type":"string","enum":["x","y"]}}}"#,
                None,
            ),
            (
                r#"{"properties":{"a":{"type":["string","null"]}},"additionalProperties":false}"#,
                None,
            ),
            (
                r#"{"properties":{"dir":{"oneOf":[{"const":"n"},{"const":"s"}]}}}"#,
                Some(
                    "/properties/dir: of the 2 parts of `oneOf`, clients with the openai format keep one, and with the google format none; use one `enum`",
                ),
            ),
            (
                r#"{"properties":{"a":{"anyOf":[{"type":"integer"},{"type":"string"},{"type":"null"}]}}}"#,
                Some("of the 3 parts of `anyOf`"),
            ),
            (
                r#"{"properties":{"a":{"anyOf":[{"type":"object"},{"type":"null"}]}}}"#,
                Some("google format drop `anyOf`"),
            ),
            (
                r##"{"properties":{"l":{"items":{"$ref":"#/$defs/X"}}},"$defs":{"X":{}}}"##,
                Some("/properties/l/items: clients with the google format rename `$ref`"),
            ),
            (
                r#"{"properties":{"m":{"type":"object","additionalProperties":{"type":"integer"}}}}"#,
                Some("drop `additionalProperties`"),
            ),
            (r#"{"not":{"type":"null"}}"#, Some("the schema: clients")),
        ] {
            let warnings = schema_warnings(&Json::object(schema.to_owned()).unwrap());
            match expected {
                None => assert_eq!(warnings, Vec::<String>::new(), "{schema}"),
                Some(part) => {
                    assert_eq!(warnings.len(), 1, "{schema}: {warnings:?}");
                    assert!(warnings[0].contains(part), "{warnings:?}");
                }
            }
        }
    }

    #[test]
    fn a_hostile_schema_gives_few_warnings() {
        let parts = vec![r#"{"not":{}}"#; 1000].join(",");
        let schema = Json::object(format!("{{\"anyOf\":[{parts}]}}")).unwrap();
        assert_eq!(schema_warnings(&schema).len(), MAX_WARNINGS + 1);
    }
}
