//! The JSON Schema of a tool's input: generated once for each type, shown to
//! agents, and used to validate their input.

use std::{any::TypeId, cell::RefCell, collections::BTreeMap, rc::Rc};

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::Checker;
use super::choices::PlainChoices;

/// A type that a tool can take as its argument: it derives `Deserialize` and
/// `JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of a tool",
    note = "add `#[derive(Deserialize, JsonSchema)]` to it"
)]
pub trait ToolInput: DeserializeOwned + JsonSchema + 'static {}

impl<T: DeserializeOwned + JsonSchema + 'static> ToolInput for T {}

/// The schema of a tool's input.
#[doc(hidden)]
pub struct InputSchema(Value);

thread_local! {
    static KNOWN: RefCell<BTreeMap<TypeId, Rc<InputSchema>>> = const { RefCell::new(BTreeMap::new()) };
}

impl InputSchema {
    /// Returns the schema of a type, from a cache.
    pub fn of<I: ToolInput>() -> Rc<Self> {
        let known = KNOWN.with_borrow(|known| known.get(&TypeId::of::<I>()).cloned());
        known.unwrap_or_else(|| {
            let schema = Rc::new(Self::make::<I>());
            KNOWN.with_borrow_mut(|known| known.insert(TypeId::of::<I>(), schema.clone()));
            schema
        })
    }

    fn make<I: ToolInput>() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| {
                settings.meta_schema = None;
                // Some clients convert schemas for a model's provider, and lose
                // references, or what stands beside them.
                settings.inline_subschemas = true;
            })
            .with_transform(RecursiveTransform(plain_numbers))
            .with_transform(PlainChoices);
        let mut schema = settings.into_generator().into_root_schema_for::<I>();
        // The name of a Rust type means nothing to an agent.
        schema.ensure_object().shift_remove("title");
        Self(schema.to_value())
    }

    /// Returns the schema as JSON.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Deserializes an input, or returns a message that lists every problem.
    pub(crate) fn read<I: DeserializeOwned>(&self, text: &str) -> Result<I, String> {
        let mut value: Value = serde_json::from_str(text)
            .map_err(|error| failure([format!("the input is not JSON: {error}")]))?;
        let mut checker = Checker::new(&self.0);
        checker.check(&self.0, &mut value);
        let (problems, coerced) = checker.finish();
        if !problems.is_empty() {
            return Err(failure(problems));
        }
        // The text keeps details that a `Value` loses, such as the digits of a
        // large number.
        if !coerced && let Ok(input) = serde_json::from_str(text) {
            return Ok(input);
        }
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            match path.as_str() {
                "." => failure([error.into_inner().to_string()]),
                _ => failure([format!("{path}: {}", error.into_inner())]),
            }
        })
    }
}

fn failure(problems: impl IntoIterator<Item = String>) -> String {
    let problems: Vec<String> = problems.into_iter().collect();
    format!("Tool input validation error: {}", problems.join("; "))
}

/// Replaces the Rust number formats of schemars (`uint8`) by bounds, which every
/// reader of schemas understands.
fn plain_numbers(schema: &mut Schema) {
    let bounds: Option<(i64, i64)> = match schema.get("format").and_then(Value::as_str) {
        Some("int8") => Some((i8::MIN.into(), i8::MAX.into())),
        Some("int16") => Some((i16::MIN.into(), i16::MAX.into())),
        Some("int32") => Some((i32::MIN.into(), i32::MAX.into())),
        Some("uint8") => Some((0, u8::MAX.into())),
        Some("uint16") => Some((0, u16::MAX.into())),
        Some("uint32") => Some((0, u32::MAX.into())),
        Some("int" | "int64" | "int128" | "uint" | "uint64" | "uint128" | "float" | "double") => {
            None
        }
        _ => return,
    };
    // `remove` would change the order of the members.
    schema.ensure_object().shift_remove("format");
    let Some((least, most)) = bounds else { return };
    for (keyword, exclusive, bound) in [
        ("minimum", "exclusiveMinimum", least),
        ("maximum", "exclusiveMaximum", most),
    ] {
        if schema.get(keyword).is_none() && schema.get(exclusive).is_none() {
            schema.insert(keyword.to_owned(), bound.into());
        }
    }
}
