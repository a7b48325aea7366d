//! Reads JSON objects field by field, noting every problem on the way.
//!
//! The rules are those of the reference's validator (wire contract section 4):
//! of a repeated key the last counts, undeclared keys are problems, integers
//! may come as text, as a float or as a boolean. Values stay slices of the
//! body; nothing is built but what was asked for.
//!
//! A reading function gives `None` exactly where it has noted a problem.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::problems::{Loc, Mistake, Problems};
use orwd_model::Json;

/// The members of an object in the order in which they came.
#[derive(Debug)]
pub(super) struct Members<'a> {
    whole: &'a str,
    list: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Members<'a> {
    /// Reads an object. The text must start with its brace.
    pub(super) fn parse(whole: &'a str) -> serde_json::Result<Members<'a>> {
        let Collected(list) = serde_json::from_str(whole)?;
        Ok(Members { whole, list })
    }

    /// Every member, with the repeated ones.
    pub(super) fn into_list(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.list
    }

    /// Every member, with the repeated ones, to be looked at.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.list.iter().map(|(key, value)| (&**key, *value))
    }

    /// Whether there is a member of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(key, _)| key == name)
    }

    /// Takes every member of this name out, and gives the last.
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

struct Collected<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Collected<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Collected<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::with_capacity(4);
                while let Some(Key(key)) = map.next_key()? {
                    list.push((key, map.next_value()?));
                }
                Ok(Collected(list))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// An integer of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    /// One that 64 bits hold.
    Within(i64),
    /// One below all that 64 bits hold.
    Below,
    /// One above.
    Above,
}

impl Integer {
    /// The integer, if 64 bits hold it.
    pub(super) fn exact(self) -> Option<i64> {
        match self {
            Integer::Within(value) => Some(value),
            Integer::Below | Integer::Above => None,
        }
    }

    /// The nearest that 64 bits hold.
    pub(super) fn saturated(self) -> i64 {
        match self {
            Integer::Within(value) => value,
            Integer::Below => i64::MIN,
            Integer::Above => i64::MAX,
        }
    }
}

/// Reads the fields of one object.
pub(super) struct Reader<'s, 'a> {
    members: Members<'a>,
    loc: Loc<'s>,
    /// Where problems are noted.
    pub(super) problems: &'s mut Problems,
}

impl<'s, 'a> Reader<'s, 'a> {
    /// Reads members that are there already.
    pub(super) fn new(members: Members<'a>, loc: Loc<'s>, problems: &'s mut Problems) -> Self {
        Reader {
            members,
            loc,
            problems,
        }
    }

    /// Reads a value that should be an object with known fields.
    pub(super) fn open(
        raw: &'a RawValue,
        loc: Loc<'s>,
        problems: &'s mut Problems,
    ) -> Option<Self> {
        let members = raw
            .get()
            .starts_with('{')
            .then(|| Members::parse(raw.get()).ok())
            .flatten();
        match members {
            Some(members) => Some(Reader::new(members, loc, problems)),
            None => {
                problems.push(&Mistake::Model, &loc, raw.get());
                None
            }
        }
    }

    /// Whether a field of this name is there and not taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.has(name)
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a RawValue, &Loc<'_>, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        let loc = self.loc.key(name);
        match self.members.take(name) {
            Some(raw) => read(raw, &loc, self.problems),
            None => {
                self.problems
                    .push(&Mistake::Missing, &loc, self.members.whole);
                None
            }
        }
    }

    /// A field that may be absent or null; the outer `None` is a problem.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a RawValue, &Loc<'_>, &mut Problems) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.members.take(name) {
            Some(raw) if raw.get() != "null" => {
                read(raw, &self.loc.key(name), self.problems).map(Some)
            }
            _ => Some(None),
        }
    }

    /// A field that may be absent, but not null.
    pub(super) fn or_default<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&'a RawValue, &Loc<'_>, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        match self.members.take(name) {
            Some(raw) => read(raw, &self.loc.key(name), self.problems),
            None => Some(default),
        }
    }

    /// Ends the reading: what has not been taken is not declared. Gives the
    /// text of the whole object and the problems, for rules between fields.
    pub(super) fn finish(self) -> (&'a str, &'s mut Problems) {
        for (at, (key, value)) in self.members.list.iter().enumerate() {
            if self.problems.full() {
                break;
            }
            let repeated = self.members.list.iter().skip(at + 1).take(MOST_REPEATS);
            if !repeated.clone().any(|(later, _)| later == key) {
                self.problems
                    .push(&Mistake::Extra, &self.loc.key(key), value.get());
            }
        }
        (self.members.whole, self.problems)
    }
}

/// So far ahead a repeated undeclared key is looked for; the search would be
/// quadratic otherwise.
const MOST_REPEATS: usize = 64;

/// A string.
pub(super) fn string(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<String> {
    let mistake = if raw.get().starts_with('"') {
        match serde_json::from_str(raw.get()) {
            Ok(text) => return Some(text),
            Err(_) => Mistake::StringUnicode,
        }
    } else {
        Mistake::String
    };
    problems.push(&mistake, loc, raw.get());
    None
}

/// An integer, or what stands for one.
pub(super) fn integer(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<Integer> {
    let text = raw.get();
    let read = match text.bytes().next() {
        Some(b't') => Ok(Integer::Within(1)),
        Some(b'f') => Ok(Integer::Within(0)),
        Some(b'-' | b'0'..=b'9') => number(text),
        Some(b'"') => serde_json::from_str::<String>(text)
            .ok()
            .and_then(|text| numeral(&text))
            .ok_or(Mistake::IntParsing),
        _ => Err(Mistake::Int),
    };
    read.map_err(|mistake| problems.push(&mistake, loc, text))
        .ok()
}

/// A JSON number as an integer.
fn number(text: &str) -> Result<Integer, Mistake> {
    if let Some(integer) = digits(text) {
        return Ok(integer);
    }
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 => Ok(whole(value)),
        Ok(value) if value.is_infinite() => Ok(whole(value)),
        _ => Err(Mistake::IntFromFloat),
    }
}

/// A float without a fraction.
fn whole(value: f64) -> Integer {
    // The casts saturate, and the bounds are powers of two, hence exact.
    if value >= i64::MAX as f64 {
        Integer::Above
    } else if value < i64::MIN as f64 {
        Integer::Below
    } else {
        Integer::Within(value as i64)
    }
}

/// An integer within a string: white space around it, a sign, underscores
/// between digits and a fraction of zeros are all right.
fn numeral(text: &str) -> Option<Integer> {
    let text = text.trim();
    let text = match text.split_once('.') {
        Some((integer, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => integer,
        Some(_) => return None,
        None => text,
    };
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    if bare.starts_with('_') || bare.ends_with('_') || bare.contains("__") {
        return None;
    }
    digits(&text.replace('_', ""))
}

/// A sign and digits.
fn digits(text: &str) -> Option<Integer> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match text.parse() {
        Ok(value) => Integer::Within(value),
        Err(_) if text.starts_with('-') => Integer::Below,
        Err(_) => Integer::Above,
    })
}

/// A boolean, or what stands for one.
pub(super) fn boolean(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<bool> {
    let word = match raw.get() {
        quoted if quoted.starts_with('"') => serde_json::from_str::<String>(quoted).ok(),
        bare => Some(bare.to_owned()),
    };
    let word = word.map(|word| word.to_ascii_lowercase());
    match word.as_deref() {
        Some("true" | "t" | "yes" | "y" | "on" | "1" | "1.0") => Some(true),
        Some("false" | "f" | "no" | "n" | "off" | "0" | "0.0") => Some(false),
        _ => {
            problems.push(&Mistake::Bool, loc, raw.get());
            None
        }
    }
}

/// Any object.
pub(super) fn object(raw: &RawValue, loc: &Loc<'_>, problems: &mut Problems) -> Option<Json> {
    let json = Json::from_raw(raw).ok();
    if json.is_none() {
        problems.push(&Mistake::Dict, loc, raw.get());
    }
    json
}

/// A list, each item by `read`.
pub(super) fn list<'a, T>(
    raw: &'a RawValue,
    loc: &Loc<'_>,
    problems: &mut Problems,
    mut read: impl FnMut(&'a RawValue, &Loc<'_>, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let items: Option<Vec<&'a RawValue>> = raw
        .get()
        .starts_with('[')
        .then(|| serde_json::from_str(raw.get()).ok())
        .flatten();
    let Some(items) = items else {
        problems.push(&Mistake::List, loc, raw.get());
        return None;
    };
    let length = items.len();
    let read: Vec<T> = items
        .into_iter()
        .enumerate()
        .filter_map(|(at, item)| read(item, &loc.index(at), problems))
        .collect();
    (read.len() == length).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(problems: &Problems) -> Vec<String> {
        let list: Vec<serde_json::Value> = serde_json::from_str(&problems.to_json()).unwrap();
        list.iter()
            .map(|item| format!("{} {}", item["type"].as_str().unwrap(), item["loc"]))
            .collect()
    }

    #[test]
    fn integers_come_in_many_shapes() {
        use Integer::{Above, Below, Within};
        for (text, expected) in [
            ("2", Ok(Within(2))),
            ("-1", Ok(Within(-1))),
            ("-0", Ok(Within(0))),
            ("2.0", Ok(Within(2))),
            ("2e1", Ok(Within(20))),
            ("true", Ok(Within(1))),
            ("false", Ok(Within(0))),
            ("\"2\"", Ok(Within(2))),
            ("\" -2 \"", Ok(Within(-2))),
            ("\"+1_000\"", Ok(Within(1000))),
            ("\"2.00\"", Ok(Within(2))),
            ("9223372036854775807", Ok(Within(i64::MAX))),
            ("9223372036854775808", Ok(Above)),
            ("-9223372036854775808", Ok(Within(i64::MIN))),
            ("-9223372036854775809", Ok(Below)),
            ("1e30", Ok(Above)),
            ("-1e999", Ok(Below)),
            ("1.5", Err("int_from_float [\"body\"]")),
            ("\"x\"", Err("int_parsing [\"body\"]")),
            ("\"\"", Err("int_parsing [\"body\"]")),
            ("\"1.5\"", Err("int_parsing [\"body\"]")),
            ("\"1.\"", Err("int_parsing [\"body\"]")),
            ("\"_1\"", Err("int_parsing [\"body\"]")),
            ("\"1__0\"", Err("int_parsing [\"body\"]")),
            ("null", Err("int_type [\"body\"]")),
            ("[1]", Err("int_type [\"body\"]")),
            ("{}", Err("int_type [\"body\"]")),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let mut problems = Problems::new();
            let read = integer(raw, &Loc::BODY, &mut problems);
            match expected {
                Ok(value) => {
                    assert_eq!(read, Some(value), "{text}");
                    assert!(!problems.any(), "{text}");
                }
                Err(kind) => {
                    assert_eq!(read, None, "{text}");
                    assert_eq!(kinds(&problems), [kind], "{text}");
                }
            }
        }
    }

    #[test]
    fn booleans_come_in_many_shapes() {
        for (text, expected) in [
            ("true", Some(true)),
            ("0", Some(false)),
            ("1.0", Some(true)),
            ("\"Yes\"", Some(true)),
            ("\"off\"", Some(false)),
            ("null", None),
            ("2", None),
            ("\"\"", None),
            ("[]", None),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let mut problems = Problems::new();
            assert_eq!(boolean(raw, &Loc::BODY, &mut problems), expected, "{text}");
            assert_eq!(problems.any(), expected.is_none());
        }
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        let text = r#"{"a":1,"b":"x","a":2,"\u0061":3}"#;
        let mut problems = Problems::new();
        let members = Members::parse(text).unwrap();
        let mut reader = Reader::new(members, Loc::BODY, &mut problems);
        assert_eq!(reader.required("a", integer), Some(Integer::Within(3)));
        assert_eq!(reader.required("b", string).as_deref(), Some("x"));
        assert_eq!(reader.finish().0, text);
        assert!(!problems.any());
    }

    #[test]
    fn all_problems_are_found_at_once() {
        let text = r#"{"s":1,"o":[],"x":{"y":null},"l":[{"n":"1"},{"n":null},3],"x":0}"#;
        let mut problems = Problems::new();
        let members = Members::parse(text).unwrap();
        let mut reader = Reader::new(members, Loc::BODY, &mut problems);
        reader.required("s", string);
        reader.required("gone", string);
        reader.optional("o", object);
        reader.required("l", |raw, loc, problems| {
            list(raw, loc, problems, |raw, loc, problems| {
                let mut item = Reader::open(raw, *loc, problems)?;
                item.required("n", integer)
            })
        });
        assert_eq!(reader.optional("absent", object), Some(None));
        reader.finish();
        assert_eq!(
            kinds(&problems),
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

    #[test]
    fn strings_must_be_text() {
        for (text, expected) in [
            ("\"\\u00e9\"", None),
            ("\"\\ud800\"", Some("string_unicode [\"body\"]")),
            ("null", Some("string_type [\"body\"]")),
            ("3", Some("string_type [\"body\"]")),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let mut problems = Problems::new();
            string(raw, &Loc::BODY, &mut problems);
            assert_eq!(kinds(&problems).first().map(String::as_str), expected);
        }
    }
}
