//! Validates a value against a JSON Schema and coerces scalars.
//!
//! It supports the keywords that schemars generates for Rust types. It ignores
//! other keywords (`pattern`, `not`, `if`, …) and leaves them to serde. Work is
//! bounded by the size of the value, except for unions of objects that no field
//! distinguishes.

use serde_json::{Map, Value};

use super::{coerce, describe};

/// Validates a value and collects the problems.
pub(super) struct Checker<'s> {
    root: &'s Value,
    path: Vec<Step>,
    lenient: bool,
    coerced: bool,
    problems: Vec<String>,
}

enum Step {
    Field(String),
    Item(usize),
}

impl<'s> Checker<'s> {
    pub(super) fn new(root: &'s Value) -> Self {
        Self {
            root,
            path: Vec::new(),
            lenient: true,
            coerced: false,
            problems: Vec::new(),
        }
    }

    /// Returns the problems, and whether a scalar was coerced.
    pub(super) fn finish(self) -> (Vec<String>, bool) {
        (self.problems, self.coerced)
    }

    pub(super) fn check(&mut self, schema: &'s Value, value: &mut Value) {
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(false) => return self.unexpected(schema, value),
            _ => return,
        };
        if let Some(target) = self.target(members) {
            self.check(target, value);
        }
        if !self.check_type(schema, members, value) || !self.check_choice(schema, members, value) {
            return;
        }
        match value {
            Value::Number(number) => {
                if !in_bounds(members, number.as_f64()) {
                    self.unexpected(schema, value);
                }
            }
            Value::String(text) => {
                if !sized(members, "Length", text.chars().count()) {
                    self.unexpected(schema, value);
                }
            }
            Value::Array(items) => {
                if !sized(members, "Items", items.len()) {
                    self.unexpected(schema, value);
                } else {
                    self.check_items(members, items);
                }
            }
            Value::Object(fields) => {
                if !sized(members, "Properties", fields.len()) {
                    self.unexpected(schema, value);
                } else {
                    self.check_fields(members, fields);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
        for part in list(members, "allOf") {
            self.check(part, value);
        }
        for keyword in ["anyOf", "oneOf"] {
            if members.contains_key(keyword) {
                self.check_union(list(members, keyword), value);
            }
        }
    }

    /// Returns the target of a `$ref`: the schema itself or one of its
    /// definitions.
    fn target(&self, members: &Map<String, Value>) -> Option<&'s Value> {
        let pointer = members.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    /// Returns the schema, or the target if it is only a reference.
    fn resolved(&self, schema: &'s Value) -> &'s Value {
        let target = schema.as_object().and_then(|members| self.target(members));
        // schemars never generates a reference to a reference, so one step is
        // enough.
        target.unwrap_or(schema)
    }

    /// Returns false if the value has none of the types. A scalar is coerced to
    /// the first type that it can represent.
    fn check_type(
        &mut self,
        schema: &Value,
        members: &Map<String, Value>,
        value: &mut Value,
    ) -> bool {
        let kinds = describe::kinds(members);
        if kinds.is_empty() || kinds.iter().any(|kind| is_of(kind, value)) {
            return true;
        }
        let read = kinds.iter().find_map(|kind| match *kind {
            "integer" => coerce::integer(value),
            "number" => coerce::number(value),
            "boolean" => coerce::boolean(value),
            _ => None,
        });
        match read {
            Some(read) if self.lenient => {
                *value = read;
                self.coerced = true;
                true
            }
            _ => {
                self.unexpected(schema, value);
                false
            }
        }
    }

    fn check_choice(
        &mut self,
        schema: &Value,
        members: &Map<String, Value>,
        value: &Value,
    ) -> bool {
        let chosen = match (members.get("const"), members.get("enum")) {
            (Some(only), _) => only == value,
            (None, Some(Value::Array(values))) => values.contains(value),
            _ => true,
        };
        if !chosen {
            self.unexpected(schema, value);
        }
        chosen
    }

    fn check_items(&mut self, members: &'s Map<String, Value>, items: &mut [Value]) {
        let first = list(members, "prefixItems");
        let rest = members.get("items");
        for (place, item) in items.iter_mut().enumerate() {
            if let Some(schema) = first.get(place).or(rest) {
                self.within(Step::Item(place), |this| this.check(schema, item));
            }
        }
        if members.get("uniqueItems") == Some(&Value::Bool(true)) {
            for (place, item) in items.iter().enumerate() {
                if items.iter().take(place).any(|earlier| earlier == item) {
                    self.within(Step::Item(place), |this| {
                        this.problem(format_args!("{} came before", describe::got(item)));
                    });
                }
            }
        }
    }

    fn check_fields(&mut self, members: &'s Map<String, Value>, fields: &mut Map<String, Value>) {
        let properties = members.get("properties").and_then(Value::as_object);
        for name in list(members, "required").iter().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                let schema = properties.and_then(|properties| properties.get(name));
                let expected = self.expected(schema.unwrap_or(&Value::Bool(true)));
                self.within(Step::Field(name.to_owned()), |this| {
                    this.problem(format_args!("missing, expected {expected}"));
                });
            }
        }
        for (name, field) in fields.iter_mut() {
            let step = Step::Field(name.clone());
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                self.within(step, |this| this.check(schema, field));
            } else if !members.contains_key("patternProperties") {
                match members.get("additionalProperties") {
                    Some(Value::Bool(false)) => self.within(step, |this| {
                        let known = properties.map(|known| describe::names(known.keys()));
                        let known = known.unwrap_or_else(|| "nothing".to_owned());
                        this.problem(format_args!("unknown field, expected only {known}"));
                    }),
                    Some(schema) => self.within(step, |this| this.check(schema, field)),
                    None => {}
                }
            }
        }
    }

    /// Validates a union by the first variant that matches without coercion, or
    /// else by the first that matches with it. So a union of integer and string
    /// keeps `"3"` a string. `oneOf` requires exactly one match; like serde, this
    /// takes the first.
    fn check_union(&mut self, parts: &'s [Value], value: &mut Value) {
        let likely: Vec<&'s Value> = parts
            .iter()
            .filter(|part| self.is_likely(self.resolved(part), value))
            .collect();
        // Copies the value only if several variants are possible: nested copies
        // would double the cost at each level.
        if let [only] = likely.as_slice() {
            return self.check(only, value);
        }
        for lenient in [false, true] {
            if lenient && !self.lenient {
                break;
            }
            for part in &likely {
                let mut read = value.clone();
                let mut trial = Checker::new(self.root);
                trial.lenient = lenient;
                trial.check(part, &mut read);
                if trial.problems.is_empty() {
                    *value = read;
                    self.coerced |= trial.coerced;
                    return;
                }
            }
        }
        if likely.is_empty() {
            return self.check_tag(parts, value);
        }
        let expected = describe::either(likely.iter().map(|part| self.expected(part)));
        self.mismatch(&expected, value);
    }

    /// Returns whether the type of a value, and the tag of an object, match this
    /// variant of a union.
    fn is_likely(&self, part: &Value, value: &Value) -> bool {
        let Some(members) = part.as_object() else {
            return part != &Value::Bool(false);
        };
        let kinds = describe::kinds(members);
        let scalar = !matches!(value, Value::Object(_) | Value::Array(_) | Value::Null);
        let fits = |kind: &&str| {
            is_of(kind, value) || scalar && matches!(*kind, "integer" | "number" | "boolean")
        };
        if !kinds.is_empty() && !kinds.iter().any(fits) {
            return false;
        }
        let Value::Object(fields) = value else {
            return true;
        };
        let properties = members.get("properties").and_then(Value::as_object);
        let tags = properties
            .into_iter()
            .flatten()
            .filter_map(|(name, schema)| {
                let tag = schema.get("const")?;
                Some((name, tag))
            });
        let tagged = tags.clone().next().is_some();
        // An externally tagged variant is named by its only field.
        let named = list(members, "required")
            .iter()
            .filter_map(Value::as_str)
            .all(|name| fields.contains_key(name));
        match tagged {
            true => tags
                .into_iter()
                .all(|(name, tag)| fields.get(name) == Some(tag)),
            false => named,
        }
    }

    /// Reports that no variant of a union matches, or that the tag is wrong if
    /// there is one.
    fn check_tag(&mut self, parts: &'s [Value], value: &Value) {
        let tag_of = |part: &'s Value| {
            let properties = self.resolved(part).get("properties")?.as_object()?;
            properties
                .iter()
                .find_map(|(name, schema)| Some((name, schema.get("const")?)))
        };
        let tags: Vec<(&String, &Value)> = parts.iter().filter_map(tag_of).collect();
        if let (Some((name, _)), Value::Object(fields)) = (tags.first(), value)
            && tags.len() == parts.len()
            && tags.iter().all(|(other, _)| other == name)
        {
            let expected = describe::one_of(tags.iter().map(|(_, tag)| *tag));
            let step = Step::Field((*name).clone());
            return self.within(step, |this| match fields.get(*name) {
                Some(tag) => this.mismatch(&expected, tag),
                None => this.problem(format_args!("missing, expected {expected}")),
            });
        }
        let expected = describe::either(parts.iter().map(|part| self.expected(part)));
        self.mismatch(&expected, value);
    }

    fn expected(&self, schema: &'s Value) -> String {
        let schema = self.resolved(schema);
        let parts = ["anyOf", "oneOf"]
            .into_iter()
            .find_map(|keyword| schema.get(keyword)?.as_array());
        match parts {
            Some(parts) => describe::either(
                parts
                    .iter()
                    .map(|part| describe::expected(self.resolved(part))),
            ),
            None => describe::expected(schema),
        }
    }

    fn unexpected(&mut self, schema: &Value, value: &Value) {
        self.mismatch(&describe::expected(schema), value);
    }

    fn mismatch(&mut self, expected: &str, value: &Value) {
        self.problem(format_args!(
            "expected {expected}, got {}",
            describe::got(value)
        ));
    }

    fn problem(&mut self, what: std::fmt::Arguments<'_>) {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if place.is_empty() => place.push_str(name),
                Step::Field(name) => place.push_str(&format!(".{name}")),
                Step::Item(index) => place.push_str(&format!("[{index}]")),
            }
        }
        if place.is_empty() {
            place.push_str("input");
        }
        self.problems.push(format!("{place}: {what}"));
    }

    fn within(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn in_bounds(members: &Map<String, Value>, number: Option<f64>) -> bool {
    let Some(number) = number else { return true };
    let holds = |keyword: &str, holds: fn(f64, f64) -> bool| {
        let bound = members.get(keyword).and_then(Value::as_f64);
        bound.is_none_or(|bound| holds(number, bound))
    };
    holds("minimum", |number, bound| number >= bound)
        && holds("maximum", |number, bound| number <= bound)
        && holds("exclusiveMinimum", |number, bound| number > bound)
        && holds("exclusiveMaximum", |number, bound| number < bound)
        && holds("multipleOf", |number, step| {
            // Decimal steps have no exact floats, so this compares with a tolerance.
            let times = number / step;
            (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
        })
}

fn sized(members: &Map<String, Value>, keyword: &str, size: usize) -> bool {
    let bound = |end: &str| {
        let bound = members.get(&format!("{end}{keyword}"))?;
        bound.as_u64()
    };
    let size = size as u64;
    bound("min").is_none_or(|least| size >= least) && bound("max").is_none_or(|most| size <= most)
}

fn list<'s>(members: &'s Map<String, Value>, keyword: &str) -> &'s [Value] {
    match members.get(keyword) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}
