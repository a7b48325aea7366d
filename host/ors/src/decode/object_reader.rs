//! Reads JSON objects field by field and collects every validation error.
//!
//! The rules are those of the reference's validator
//! (`docs/src/reference/wire-contract.md#section-4`): the last of a repeated key
//! counts, and undeclared keys are errors. Values stay slices of the body, so
//! that nothing is built that no field needs.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::field_value::FieldValue;
use super::non_finite::NonFinite;
use super::validation_error::{Location, ValidationError, ValidationErrors};

/// How many later keys are searched for a repetition of an undeclared key; an
/// unbounded search would be quadratic.
const REPEAT_SEARCH: usize = 64;

/// The members of an object, in their order.
#[derive(Debug)]
pub(crate) struct ObjectMembers<'a> {
    source: &'a str,
    non_finite: NonFinite<'a>,
    list: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> ObjectMembers<'a> {
    /// Parses an object. The text must start with its brace.
    pub(crate) fn parse(source: &'a str) -> serde_json::Result<ObjectMembers<'a>> {
        let MemberList(list) = serde_json::from_str(source)?;
        Ok(ObjectMembers {
            source,
            non_finite: NonFinite::default(),
            list,
        })
    }

    /// Adds the numbers of the body that JSON cannot express.
    pub(super) fn with_non_finite(mut self, non_finite: NonFinite<'a>) -> ObjectMembers<'a> {
        self.non_finite = non_finite;
        self
    }

    /// Returns every member, including repeated ones.
    pub(crate) fn into_list(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.list
    }

    /// Iterates over every member, including repeated ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.list.iter().map(|(key, value)| (&**key, *value))
    }

    fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(key, _)| key == name)
    }

    /// Removes every member of this name and returns the last.
    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut last = None;
        self.list.retain(|(key, value)| {
            let other = key != name;
            if !other {
                last = Some(*value);
            }
            other
        });
        last
    }
}

struct MemberList<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for MemberList<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MemberVisitor;

        impl<'de> Visitor<'de> for MemberVisitor {
            type Value = MemberList<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::with_capacity(4);
                while let Some(MemberKey(key)) = map.next_key()? {
                    list.push((key, map.next_value()?));
                }
                Ok(MemberList(list))
            }
        }

        deserializer.deserialize_map(MemberVisitor)
    }
}

/// A key, borrowed if it has no escapes.
struct MemberKey<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for MemberKey<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = MemberKey<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(MemberKey(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(MemberKey(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Reads the fields of one object.
pub(crate) struct ObjectReader<'s, 'a> {
    members: ObjectMembers<'a>,
    location: Location<'s>,
    errors: &'s mut ValidationErrors,
}

impl<'s, 'a> ObjectReader<'s, 'a> {
    /// Reads members that are parsed already.
    pub(crate) fn new(
        members: ObjectMembers<'a>,
        location: Location<'s>,
        errors: &'s mut ValidationErrors,
    ) -> Self {
        ObjectReader {
            members,
            location,
            errors,
        }
    }

    /// Reads a value that should be an object with known fields.
    pub(crate) fn open(value: FieldValue<'s, 'a>) -> Option<Self> {
        let members = value
            .text()
            .starts_with('{')
            .then(|| ObjectMembers::parse(value.text()).ok())
            .flatten();
        match members {
            Some(members) => {
                let members = members.with_non_finite(value.non_finite);
                Some(ObjectReader::new(members, *value.location, value.errors))
            }
            None => value.fail(&ValidationError::ModelType),
        }
    }

    /// Returns whether there is a field of this name that has not been read.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.has(name)
    }

    /// Reads a required field.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(FieldValue<'_, 'a>) -> Option<T>,
    ) -> Option<T> {
        match self.members.take(name) {
            Some(raw) => self.read(name, raw, read),
            None => {
                let location = self.location.key(name);
                let source = self.members.source;
                self.errors
                    .push(&ValidationError::Missing, &location, source);
                None
            }
        }
    }

    /// Reads a field that may be absent or null; the outer `None` is an error.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(FieldValue<'_, 'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.members.take(name) {
            Some(raw) if raw.get() != "null" || self.members.non_finite.is(raw.get()) => {
                self.read(name, raw, read).map(Some)
            }
            _ => Some(None),
        }
    }

    /// Reads a field that may be absent, but not null.
    pub(crate) fn or_default<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(FieldValue<'_, 'a>) -> Option<T>,
    ) -> Option<T> {
        match self.members.take(name) {
            Some(raw) => self.read(name, raw, read),
            None => Some(default),
        }
    }

    fn read<T>(
        &mut self,
        name: &str,
        raw: &'a RawValue,
        read: impl FnOnce(FieldValue<'_, 'a>) -> Option<T>,
    ) -> Option<T> {
        read(FieldValue {
            raw,
            location: &self.location.key(name),
            non_finite: self.members.non_finite,
            errors: self.errors,
        })
    }

    /// Ends the reading: fields that were not read are undeclared. Returns the
    /// source of the object and the errors, for rules between fields.
    pub(crate) fn finish(self) -> (&'a str, &'s mut ValidationErrors) {
        for (at, (key, value)) in self.members.list.iter().enumerate() {
            if self.errors.is_full() {
                break;
            }
            let mut later = self.members.list.iter().skip(at + 1).take(REPEAT_SEARCH);
            if !later.any(|(later, _)| later == key) {
                let location = self.location.key(key);
                self.errors
                    .push(&ValidationError::ExtraForbidden, &location, value.get());
            }
        }
        (self.members.source, self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scalars::{Integer, integer, list, object, string};
    use super::*;

    fn types(errors: &ValidationErrors) -> Vec<String> {
        let list: Vec<serde_json::Value> = serde_json::from_str(&errors.to_json()).unwrap();
        list.iter()
            .map(|item| format!("{} {}", item["type"].as_str().unwrap(), item["loc"]))
            .collect()
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        let text = r#"{"a":1,"b":"x","a":2,"\u0061":3}"#;
        let mut errors = ValidationErrors::new();
        let members = ObjectMembers::parse(text).unwrap();
        let mut reader = ObjectReader::new(members, Location::BODY, &mut errors);
        assert_eq!(reader.required("a", integer), Some(Integer::Within(3)));
        assert_eq!(reader.required("b", string).as_deref(), Some("x"));
        assert_eq!(reader.finish().0, text);
        assert!(!errors.any());
    }

    #[test]
    fn collects_all_errors() {
        let text = r#"{"s":1,"o":[],"x":{"y":null},"l":[{"n":"1"},{"n":null},3],"x":0}"#;
        let mut errors = ValidationErrors::new();
        let members = ObjectMembers::parse(text).unwrap();
        let mut reader = ObjectReader::new(members, Location::BODY, &mut errors);
        reader.required("s", string);
        reader.required("gone", string);
        reader.optional("o", object);
        reader.required("l", |value| {
            list(value, |value| {
                ObjectReader::open(value)?.required("n", integer)
            })
        });
        assert_eq!(reader.optional("absent", object), Some(None));
        reader.finish();
        assert_eq!(
            types(&errors),
            [
                "string_type [\"body\",\"s\"]",
                "missing [\"body\",\"gone\"]",
                "dict_type [\"body\",\"o\"]",
                "int_type [\"body\",\"l\",1,\"n\"]",
                "model_attributes_type [\"body\",\"l\",2]",
                "extra_forbidden [\"body\",\"x\"]",
            ]
        );
    }
}
