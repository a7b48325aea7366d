//! JSON text that is passed on unchanged.
//!
//! Task specs, tool input, metadata and detail belong to authors and clients
//! and cross to the host as text. [`Json`] keeps such a text as written;
//! [`Object`] is a text that is known to be an object.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{Error, Result};

/// Any JSON value, kept as its text: with all digits of every number and the
/// order of the members.
///
/// An environment with `type Task = Json` receives its task specs unchanged. As
/// the field of a tool's input it accepts any JSON value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Serializes a value.
    pub fn new(value: impl Serialize) -> Result<Self> {
        Ok(Self(serde_json::value::to_raw_value(&value)?))
    }

    /// Validates that a text is JSON, and keeps it.
    pub fn from_text(text: impl Into<String>) -> Result<Self> {
        Ok(Self(RawValue::from_string(text.into())?))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Deserializes the text.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_str(self.as_str())?)
    }

    /// Returns the same value without white space and with the members of every
    /// object sorted by name. Numbers and strings stay as written; of members
    /// with the same name, the last one stays.
    ///
    /// ```
    /// # use orwd_sdk::Json;
    /// let json = Json::from_text(r#"{"b": [1.0, {}], "a": 1e2}"#).unwrap();
    /// assert_eq!(json.sorted().unwrap().as_str(), r#"{"a":1e2,"b":[1.0,{}]}"#);
    /// ```
    pub fn sorted(&self) -> Result<Self> {
        let text = self.as_str();
        match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, Self> = self.parse()?;
                let sorted = members.into_iter().map(|(name, member)| {
                    let sorted = member.sorted()?;
                    Ok((name, sorted))
                });
                Self::new(sorted.collect::<Result<BTreeMap<_, _>>>()?)
            }
            Some(b'[') => {
                let items: Vec<Self> = self.parse()?;
                let sorted = items.iter().map(Self::sorted);
                Self::new(sorted.collect::<Result<Vec<_>>>()?)
            }
            _ => Ok(self.clone()),
        }
    }
}

impl PartialEq for Json {
    /// Compares the texts.
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl schemars::JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// A JSON object, such as metadata or detail.
///
/// A value is serialized on creation, and an error is kept until the object is
/// used. So methods such as [`Output::metadata`](crate::Output::metadata) can be
/// chained.
#[derive(Clone, PartialEq)]
pub struct Object(std::result::Result<String, String>);

impl Object {
    /// Serializes a value.
    pub fn new(value: impl Serialize) -> Self {
        Self(match serde_json::to_string(&value) {
            Ok(text) if text.starts_with('{') => Ok(text),
            Ok(text) => Err(format!("is no JSON object but {}", clipped(&text))),
            Err(error) => Err(format!("cannot be written as JSON: {error}")),
        })
    }

    /// Takes a text without validation. Test guests use it to send invalid JSON
    /// to the host.
    #[doc(hidden)]
    pub fn unchecked(text: impl Into<String>) -> Self {
        Self(Ok(text.into()))
    }

    /// Deserializes the object.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_str(self.text("the object")?)?)
    }

    /// Returns the object as a value, or null if it is invalid.
    pub fn value(&self) -> Value {
        self.parse().unwrap_or_default()
    }

    /// Returns the text, or an error that names the object as `what`.
    pub(crate) fn text(&self, what: &str) -> Result<&str> {
        match &self.0 {
            Ok(text) => Ok(text),
            Err(reason) => Err(Error::msg(format_args!("{what} {reason}"))),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Ok(text) | Err(text)) = &self.0;
        f.write_str(text)
    }
}

impl PartialEq<Value> for Object {
    fn eq(&self, other: &Value) -> bool {
        self.value() == *other
    }
}

/// Returns a text cut to the length of a message.
pub(crate) fn clipped(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BTreeMap, Json, Object};

    #[test]
    fn text_is_kept_as_written() {
        for text in [
            "123456789012345678901234567890",
            "{\"b\": 1.0,  \"a\": 1e2}",
            "\"\\u00e9\"",
        ] {
            let kept: Json = serde_json::from_str(text).unwrap();
            assert_eq!(kept.as_str(), text);
            assert_eq!(serde_json::to_string(&kept).unwrap(), text);
        }
        assert!(Json::from_text("{").is_err());
    }

    #[test]
    fn only_objects_become_objects() {
        let problem = |object: Object| object.text("metadata").map(str::to_owned);
        assert_eq!(problem(Object::new(json!({"a": 1}))).unwrap(), "{\"a\":1}");
        assert_eq!(
            problem(Object::new(7)).unwrap_err().to_string(),
            "metadata is no JSON object but 7"
        );
        let keys = BTreeMap::from([((1, 2), 3)]);
        assert_eq!(
            problem(Object::new(keys)).unwrap_err().to_string(),
            "metadata cannot be written as JSON: key must be a string"
        );
    }
}
