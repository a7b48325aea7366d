//! Regular expressions of programs, in linear time.

use std::cell::RefCell;
use std::rc::Rc;

use regex::{Captures, Regex, RegexBuilder};

use crate::jq::budget;
use crate::jq::value::{self, Entries, Failure, Value};

/// Bytes of a compiled expression.
const MAX_COMPILED: usize = 1 << 20;

/// Expressions that are kept for the next use.
const KEPT: usize = 16;

thread_local! {
    static COMPILED: RefCell<Vec<(String, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// Drops the expressions that are kept.
pub(crate) fn forget() {
    COMPILED.take();
}

/// Returns how many states a search may follow at once, roughly: the length of the
/// expression, with its counted repetitions multiplied.
fn complexity(expression: &str) -> u64 {
    let counts = expression.split('{').skip(1).filter_map(|rest| {
        let numbers = rest.split_once('}')?.0;
        let numbers = numbers
            .split(',')
            .filter_map(|number| number.parse::<u64>().ok());
        numbers.max()
    });
    let repeated = counts.fold(1, |all: u64, count| all.saturating_mul(count.max(1)));
    (expression.len() as u64).saturating_add(repeated)
}

/// An expression with its flags.
pub(crate) struct Pattern {
    regex: Rc<Regex>,
    complexity: u64,
    is_global: bool,
    skips_empty: bool,
}

impl Pattern {
    /// Compiles an expression. It may come with its flags in an array.
    pub(crate) fn new(expression: &Value, flags: &Value) -> Result<Self, Failure> {
        let (expression, flags) = match expression {
            Value::Array(pair) => {
                let part = |i: usize| pair.items.get(i).cloned().unwrap_or_default();
                (part(0), part(1))
            }
            other => (other.clone(), flags.clone()),
        };
        let Some(text) = expression.as_text() else {
            return Err(Failure::str(format_args!(
                "{} cannot be matched, as it is not a string",
                expression.named()
            )));
        };
        let letters = match &flags {
            Value::Null => "",
            Value::Text(letters) => letters.as_str(),
            other => {
                let message = format_args!("{} is not a string", other.named());
                return Err(Failure::str(message));
            }
        };
        let mut options = String::new();
        let (mut is_global, mut skips_empty) = (false, false);
        for letter in letters.chars() {
            match letter {
                'g' => is_global = true,
                'n' => skips_empty = true,
                'i' | 'x' => options.push(letter),
                's' | 'p' => options.push('s'),
                'l' => {}
                _ => {
                    let message = format_args!("{letters} is not a valid modifier string");
                    return Err(Failure::str(message));
                }
            }
        }
        let regex = compiled(text, &options).map_err(Failure::str)?;
        Ok(Self {
            regex,
            complexity: complexity(text),
            is_global,
            skips_empty,
        })
    }

    /// Counts the work of a search in a text.
    fn spend(&self, text: &str) -> Result<(), Failure> {
        let work = (text.len() as u64).saturating_mul(self.complexity);
        budget::spend(1 + work / 200)
    }

    /// Whether a text matches.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool, Failure> {
        if self.skips_empty {
            return Ok(!self.matches(text, false)?.is_empty());
        }
        self.spend(text)?;
        Ok(self.regex.is_match(text))
    }

    /// Returns the matches of a text; with `between`, also the text around them.
    pub(crate) fn matches(&self, text: &str, between: bool) -> Result<Vec<Value>, Failure> {
        self.spend(text)?;
        let mut found = Vec::new();
        let mut places = Places {
            text,
            offset: 0,
            characters: 0,
        };
        let mut end = 0;
        for captures in self.regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else {
                continue;
            };
            // The search for the next match may look at all of the rest.
            let rest = (text.len() - whole.start()) as u64;
            budget::spend(1 + rest.saturating_mul((self.complexity / 50).max(1)) / 512)?;
            if !(self.skips_empty && whole.is_empty()) {
                if between {
                    let part = text.get(end..whole.start()).unwrap_or_default();
                    value::push(&mut found, Value::text(part))?;
                    end = whole.end();
                }
                value::push(&mut found, self.describe(&captures, &mut places))?;
            }
            if !self.is_global {
                break;
            }
        }
        if between {
            let part = text.get(end..).unwrap_or_default();
            value::push(&mut found, Value::text(part))?;
        }
        Ok(found)
    }

    fn describe(&self, captures: &Captures<'_>, places: &mut Places<'_>) -> Value {
        let names = self.regex.capture_names();
        let mut groups = names.zip(captures.iter()).map(|(name, group)| {
            let (offset, length, text) = match group {
                Some(group) => {
                    let length = group.as_str().chars().count();
                    let place = places.of(group.start());
                    (Value::from(place), length, Value::text(group.as_str()))
                }
                None => (Value::Int(-1), 0, Value::Null),
            };
            let name = name.map_or(Value::Null, Value::text);
            (offset, Value::from(length), text, name)
        });
        let object = |entries: &[(&str, Value)]| {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (Rc::from(*key), value.clone()));
            Value::object(Entries::from_iter(entries))
        };
        let Some((offset, length, text, _)) = groups.next() else {
            return Value::Null;
        };
        let captures = groups.map(|(offset, length, string, name)| {
            object(&[
                ("offset", offset),
                ("length", length),
                ("string", string),
                ("name", name),
            ])
        });
        let captures = Value::array(captures.collect());
        object(&[
            ("offset", offset),
            ("length", length),
            ("string", text),
            ("captures", captures),
        ])
    }
}

fn compiled(text: &str, options: &str) -> Result<Rc<Regex>, String> {
    let key = format!("{options}/{text}");
    let known = COMPILED.with_borrow(|known| {
        let mut known = known.iter();
        known
            .find(|(name, _)| *name == key)
            .map(|(_, regex)| Rc::clone(regex))
    });
    if let Some(regex) = known {
        return Ok(regex);
    }
    budget::count(1000);
    let regex = RegexBuilder::new(text)
        .case_insensitive(options.contains('i'))
        .ignore_whitespace(options.contains('x'))
        .dot_matches_new_line(options.contains('s'))
        .size_limit(MAX_COMPILED)
        .nest_limit(100)
        .build()
        .map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            format!("{text} (at offset 0) is not a valid regex: {reason}")
        })?;
    let regex = Rc::new(regex);
    COMPILED.with_borrow_mut(|known| {
        if known.len() >= KEPT {
            known.remove(0);
        }
        known.push((key, Rc::clone(&regex)));
    });
    Ok(regex)
}

/// Counts the characters before places of a text, which mostly go forward.
struct Places<'a> {
    text: &'a str,
    offset: usize,
    characters: usize,
}

impl Places<'_> {
    fn of(&mut self, offset: usize) -> usize {
        if offset < self.offset {
            (self.offset, self.characters) = (0, 0);
        }
        let part = self.text.get(self.offset..offset).unwrap_or_default();
        self.characters += part.chars().count();
        self.offset = offset;
        self.characters
    }
}
