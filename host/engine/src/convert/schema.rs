//! Checks the input schema of a tool.
//!
//! Schemas are passed to clients unchanged, and clients validate with them: an
//! external reference would make them fetch it, and an expensive pattern would
//! make them hang. So a schema may refer only to itself, and all of its parts
//! are bounded. The check does not know which objects are schemas and which are
//! data, such as a `default`; a value under a keyword's name is held to the
//! keyword's rule. That rejects slightly more than necessary.

use serde_json::Value;

use orwd_model::Json;

/// Bytes of one schema.
const MAX_BYTES: usize = 64 << 10;
/// Nesting depth of objects and arrays.
const MAX_DEPTH: usize = 32;
/// References in one schema.
const MAX_REFERENCES: usize = 256;
/// Bytes of one pattern.
const MAX_PATTERN: usize = 1024;

/// Keywords whose value is a reference.
const REFERRING: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Accepts a schema that is safe for clients; the error gives the place as a
/// JSON pointer, and the reason.
pub(crate) fn check(schema: &Json) -> Result<(), String> {
    let size = schema.as_str().len();
    if size > MAX_BYTES {
        return Err(format!(
            "it has {size} bytes, and at most {MAX_BYTES} are allowed"
        ));
    }
    // The parser has its own, larger, depth limit.
    let value: Value = schema.read().map_err(|error| error.to_string())?;
    let mut walk = SchemaWalk {
        pointer: String::new(),
        references: 0,
    };
    walk.value(&value, 1)
        .map_err(|problem| format!("at {:?}: {problem}", walk.pointer))
}

/// A walk through a schema. It stops at the first problem, with `pointer` at
/// its place.
struct SchemaWalk {
    pointer: String,
    references: usize,
}

impl SchemaWalk {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        let is_nest = value.is_object() || value.is_array();
        if is_nest && depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH}"));
        }
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    self.step(key, |walk| {
                        walk.member(key, member)?;
                        walk.value(member, depth + 1)
                    })?;
                }
            }
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.step(&place.to_string(), |walk| walk.value(item, depth + 1))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Visits a child value, and restores the pointer on success.
    fn step(
        &mut self,
        token: &str,
        visit: impl FnOnce(&mut SchemaWalk) -> Result<(), String>,
    ) -> Result<(), String> {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer
            .push_str(&token.replace('~', "~0").replace('/', "~1"));
        visit(self)?;
        self.pointer.truncate(length);
        Ok(())
    }

    fn member(&mut self, key: &str, member: &Value) -> Result<(), String> {
        match member {
            Value::String(text) if REFERRING.contains(&key) => {
                self.references += 1;
                if self.references > MAX_REFERENCES {
                    return Err(format!("it has more than {MAX_REFERENCES} references"));
                }
                if text != "#" && !text.starts_with("#/") {
                    return Err(
                        "it refers to something outside of the schema; a reference begins with #/"
                            .to_owned(),
                    );
                }
            }
            Value::String(text) if key == "pattern" => pattern(text)?,
            Value::Object(patterns) if key == "patternProperties" => {
                patterns.keys().try_for_each(|text| pattern(text))?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn pattern(text: &str) -> Result<(), String> {
    let size = text.len();
    if size > MAX_PATTERN {
        return Err(format!(
            "its pattern has {size} bytes, and at most {MAX_PATTERN} are allowed"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "{\"a\":".repeat(levels - 1), "{}") + &"}".repeat(levels - 1)
    }

    fn references(count: usize) -> String {
        let list = vec!["{\"$ref\":\"#/$defs/a\"}"; count].join(",");
        format!("{{\"anyOf\":[{list}]}}")
    }

    #[test]
    fn schemas() {
        let filler = |size: usize| format!("{{\"title\":\"{}\"}}", "x".repeat(size - 12));
        let pattern = |size: usize| format!("{{\"pattern\":\"{}\"}}", "x".repeat(size));
        let patterns = |size: usize| {
            format!(
                "{{\"properties\":{{\"a/b~c\":{{\"patternProperties\":{{\"{}\":{{}}}}}}}}}}",
                "x".repeat(size)
            )
        };
        for (schema, expected) in [
            ("{}".to_owned(), ""),
            (
                "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$defs\":{\"a\":\
                 {\"type\":\"string\",\"pattern\":\"^a+$\"}},\"properties\":{\"x\":{\"$ref\":\
                 \"#/$defs/a\"},\"$ref\":{\"type\":\"string\"},\"pattern\":{}}}"
                    .to_owned(),
                "",
            ),
            (filler(MAX_BYTES), ""),
            (
                filler(MAX_BYTES + 1),
                "it has 65537 bytes, and at most 65536 are allowed",
            ),
            (nested(MAX_DEPTH), ""),
            (
                nested(MAX_DEPTH + 1),
                "at \"/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a\": \
                 it is nested deeper than 32",
            ),
            (references(MAX_REFERENCES), ""),
            (
                references(MAX_REFERENCES + 1),
                "at \"/anyOf/256/$ref\": it has more than 256 references",
            ),
            (pattern(MAX_PATTERN), ""),
            (
                pattern(MAX_PATTERN + 1),
                "at \"/pattern\": its pattern has 1025 bytes, and at most 1024 are allowed",
            ),
            (patterns(MAX_PATTERN), ""),
            (
                patterns(MAX_PATTERN + 1),
                "at \"/properties/a~1b~0c/patternProperties\": its pattern has 1025 bytes, and \
                 at most 1024 are allowed",
            ),
        ] {
            let schema = Json::object(schema).unwrap();
            let problem = check(&schema).err().unwrap_or_default();
            assert_eq!(problem, expected, "{schema:?}");
        }
    }

    #[test]
    fn a_schema_refers_only_to_itself() {
        for (keyword, target, inside) in [
            ("$ref", "#", true),
            ("$ref", "#/$defs/a", true),
            ("$dynamicRef", "#/$defs/a", true),
            ("$ref", "http://169.254.169.254/latest", false),
            ("$ref", "https://example.org/schema#/a", false),
            ("$ref", "file:///etc/passwd", false),
            ("$ref", "other.json", false),
            ("$ref", "//example.org", false),
            ("$ref", " #/a", false),
            ("$ref", "", false),
            ("$dynamicRef", "other#meta", false),
            ("$recursiveRef", "other", false),
        ] {
            let text = format!("{{\"items\":[{{}},{{\"{keyword}\":\"{target}\"}}]}}");
            let found = check(&Json::object(text).unwrap());
            assert_eq!(found.is_ok(), inside, "{keyword} {target}");
            if let Err(problem) = found {
                let place = format!("at \"/items/1/{keyword}\": it refers");
                assert!(problem.starts_with(&place), "{problem}");
            }
        }
    }

    /// Far deeper than the stack of any parser, and within the size limit.
    #[test]
    fn extreme_depth_is_rejected() {
        let schema = Json::object(nested(10_000)).unwrap();
        assert!(check(&schema).unwrap_err().contains("recursion limit"));
    }
}
