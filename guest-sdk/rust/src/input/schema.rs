//! The JSON Schema of a tool's input: made once a type, shown to agents, and
//! used to read what they send.

use std::{any::TypeId, cell::RefCell, collections::BTreeMap, rc::Rc};

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ToolInput, check::Checker};

/// A schema that an agent can read.
#[doc(hidden)]
pub struct InputSchema(Value);

thread_local! {
    static KNOWN: RefCell<BTreeMap<TypeId, Rc<InputSchema>>> = const { RefCell::new(BTreeMap::new()) };
}

impl InputSchema {
    /// The schema of a type.
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
            .with(|settings| settings.meta_schema = None)
            .with_transform(RecursiveTransform(plain_numbers));
        let mut schema = settings.into_generator().into_root_schema_for::<I>();
        // The name of a Rust type tells an agent nothing.
        schema.ensure_object().shift_remove("title");
        Self(schema.to_value())
    }

    /// The schema as JSON.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Reads an input, or says in words all that is wrong with it.
    pub(crate) fn read<I: DeserializeOwned>(&self, text: &str) -> Result<I, String> {
        let mut value: Value = serde_json::from_str(text)
            .map_err(|error| failure([format!("the input is not JSON: {error}")]))?;
        let mut checker = Checker::new(&self.0);
        checker.check(&self.0, &mut value);
        let (problems, coerced) = checker.finish();
        if !problems.is_empty() {
            return Err(failure(problems));
        }
        // What came is read from its text where possible, which keeps what a
        // value loses, such as the digits of a great number.
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

/// Writes the size of a number, which schemars gives as a format of Rust's
/// (`uint8`), as bounds, which every reader of schemas understands.
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
    // Shifted, for `remove` would put the last member in its place.
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
