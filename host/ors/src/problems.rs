//! What is wrong with a request body: the array of a 422 (wire contract
//! section 4).
//!
//! All problems of a body are told at once. Both their number and the part of
//! the body that each repeats are bounded, so that a bad body cannot be turned
//! into a much larger answer.

use std::borrow::Cow;
use std::fmt::Write;

use super::text::json_string;

/// So many problems are told at most.
const MOST: usize = 64;

/// An input that is longer is told by its beginning.
const LONGEST_INPUT: usize = 2048;

/// A place in a body: the path from its root, held as links so that a body
/// without problems costs no memory for it.
#[derive(Clone, Copy)]
pub(super) struct Loc<'p> {
    parent: Option<&'p Loc<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

impl<'p> Loc<'p> {
    /// The body itself.
    pub(super) const BODY: Loc<'static> = Loc {
        parent: None,
        step: Step::Key("body"),
    };

    /// A field of the object that is here.
    pub(super) fn key(&'p self, key: &'p str) -> Loc<'p> {
        Loc {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// An item of the list that is here.
    pub(super) fn index(&'p self, index: usize) -> Loc<'p> {
        Loc {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
            out.push(',');
        }
        match self.step {
            Step::Key(key) => json_string(out, key),
            Step::Index(index) => {
                let _ = write!(out, "{index}");
            }
        }
    }
}

/// What a value should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// A field is absent.
    Missing,
    /// A field is not declared.
    Extra,
    /// Not a string.
    String,
    /// A string that is no text: half of a surrogate pair.
    StringUnicode,
    /// Not an integer.
    Int,
    /// A number with a fraction.
    IntFromFloat,
    /// A text that is no integer.
    IntParsing,
    /// Not a boolean.
    Bool,
    /// Not an object, where any object will do.
    Dict,
    /// Not an object, where one of known fields is wanted.
    Model,
    /// Not a list.
    List,
    /// Not one of these, which come as a readable list.
    Literal(&'static str),
    /// A rule between fields is broken; this says which.
    Value(Cow<'static, str>),
}

impl Mistake {
    fn kind(&self) -> &'static str {
        match self {
            Mistake::Missing => "missing",
            Mistake::Extra => "extra_forbidden",
            Mistake::String => "string_type",
            Mistake::StringUnicode => "string_unicode",
            Mistake::Int => "int_type",
            Mistake::IntFromFloat => "int_from_float",
            Mistake::IntParsing => "int_parsing",
            Mistake::Bool => "bool_type",
            Mistake::Dict => "dict_type",
            Mistake::Model => "model_attributes_type",
            Mistake::List => "list_type",
            Mistake::Literal(_) => "literal_error",
            Mistake::Value(_) => "value_error",
        }
    }

    fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Mistake::Missing => "Field required",
            Mistake::Extra => "Extra inputs are not permitted",
            Mistake::String => "Input should be a valid string",
            Mistake::StringUnicode => {
                "Input should be a valid string, unable to parse raw data as a unicode string"
            }
            Mistake::Int => "Input should be a valid integer",
            Mistake::IntFromFloat => {
                "Input should be a valid integer, got a number with a fractional part"
            }
            Mistake::IntParsing => {
                "Input should be a valid integer, unable to parse string as an integer"
            }
            Mistake::Bool => "Input should be a valid boolean",
            Mistake::Dict => "Input should be a valid dictionary",
            Mistake::Model => "Input should be a valid dictionary or object to extract fields from",
            Mistake::List => "Input should be a valid list",
            Mistake::Literal(expected) => return Cow::Owned(format!("Input should be {expected}")),
            Mistake::Value(rule) => return Cow::Owned(format!("Value error, {rule}")),
        })
    }

    fn write_context(&self, out: &mut String) {
        match self {
            Mistake::Literal(expected) => {
                out.push_str(",\"ctx\":{\"expected\":");
                json_string(out, expected);
                out.push('}');
            }
            Mistake::Value(_) => out.push_str(",\"ctx\":{\"error\":{}}"),
            _ => {}
        }
    }
}

/// Whether every reader of JSON takes this text. The syntax is known to be
/// right, but an escape may stand for half of a character.
fn is_readable(json: &str) -> bool {
    !json.contains("\\u") || serde_json::from_str::<serde_json::Value>(json).is_ok()
}

/// The problems found so far, as the text of the array that they become.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: usize,
    items: String,
}

impl Problems {
    pub(super) fn new() -> Problems {
        Problems::default()
    }

    /// Notes that what is here, the JSON text `input`, is not what it should
    /// be.
    pub(super) fn push(&mut self, mistake: &Mistake, loc: &Loc<'_>, input: &str) {
        self.found += 1;
        if self.found > MOST {
            return;
        }
        if !self.items.is_empty() {
            self.items.push(',');
        }
        let out = &mut self.items;
        let _ = write!(out, "{{\"type\":\"{}\",\"loc\":[", mistake.kind());
        loc.write(out);
        out.push_str("],\"msg\":");
        json_string(out, &mistake.message());
        out.push_str(",\"input\":");
        if input.len() > LONGEST_INPUT {
            let start: String = input.chars().take(LONGEST_INPUT / 4).collect();
            json_string(out, &format!("{start}…"));
        } else if is_readable(input) {
            out.push_str(input);
        } else {
            json_string(out, input);
        }
        mistake.write_context(out);
        out.push('}');
    }

    /// The problem of a body that is not JSON: where it stops being JSON, and
    /// why.
    pub(super) fn not_json(offset: usize, why: &str) -> Problems {
        let mut items = format!(
            "{{\"type\":\"json_invalid\",\"loc\":[\"body\",{offset}],\
             \"msg\":\"JSON decode error\",\"input\":{{}},\"ctx\":{{\"error\":"
        );
        json_string(&mut items, why);
        items.push_str("}}");
        Problems { found: 1, items }
    }

    /// What was read, if nothing was wrong with it. A reader gives nothing
    /// only where it has noted a problem.
    pub(super) fn or<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.found == 0 => Ok(value),
            _ => Err(self),
        }
    }

    /// Whether anything is wrong.
    pub(super) fn any(&self) -> bool {
        self.found > 0
    }

    /// Whether no more will be told.
    pub(super) fn full(&self) -> bool {
        self.found >= MOST
    }

    /// The array.
    pub(super) fn to_json(&self) -> String {
        format!("[{}]", self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_in_order_with_their_place() {
        let mut problems = Problems::new();
        let list = Loc::BODY.key("candidates");
        let item = list.index(0);
        problems.push(&Mistake::Missing, &item.key("messages"), "{}");
        problems.push(&Mistake::Literal("'a' or 'b'"), &Loc::BODY.key("é\""), "3");
        assert_eq!(
            problems.to_json(),
            "[{\"type\":\"missing\",\"loc\":[\"body\",\"candidates\",0,\"messages\"],\
             \"msg\":\"Field required\",\"input\":{}},\
             {\"type\":\"literal_error\",\"loc\":[\"body\",\"é\\\"\"],\
             \"msg\":\"Input should be 'a' or 'b'\",\"input\":3,\
             \"ctx\":{\"expected\":\"'a' or 'b'\"}}]"
        );
    }

    #[test]
    fn a_bad_body_cannot_ask_for_a_large_answer() {
        let mut problems = Problems::new();
        let input = format!("\"{}\"", "x".repeat(100_000));
        for _ in 0..10_000 {
            problems.push(&Mistake::Int, &Loc::BODY, &input);
        }
        assert_eq!(problems.found, 10_000);
        let told = problems.to_json();
        assert!(told.len() < 64 * 1024, "{} bytes", told.len());
        let read: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
        assert_eq!(read.len(), MOST);
    }
}
