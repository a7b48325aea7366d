//! The form of a session's limits in journal records.
//!
//! It is a map whose fields the declarations name: sizes in bytes, times in
//! nanoseconds, and a pair of CPU and wall-clock time for a budget.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::session::SessionLimits;
use super::spec::{LimitSet, LimitSpec};

/// Limits that older records lack, with the amount that their sessions had. A
/// record with that amount has no field for it, so that its bytes stay the same.
const ADDED: &[(&str, u64)] = &[("http_requests", 10_000), ("http_call", 16 << 20)];

/// Returns the amount that sessions had before a field was added.
fn former(name: &str) -> Option<u64> {
    let added = ADDED.iter().find(|(added, _)| *added == name);
    added.map(|(_, amount)| *amount)
}

type Spec = &'static LimitSpec<SessionLimits>;

/// Returns each field with its limits: one, or the two of a budget.
fn fields() -> Vec<(&'static str, Vec<Spec>)> {
    let mut fields: Vec<(&str, Vec<Spec>)> = Vec::new();
    for spec in SessionLimits::SPECS {
        let Some(name) = spec.journal else { continue };
        match fields.last_mut() {
            Some((last, specs)) if *last == name => specs.push(spec),
            _ => fields.push((name, vec![spec])),
        }
    }
    fields
}

impl Serialize for SessionLimits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = |spec: Spec| (spec.get)(self).unwrap_or_default();
        let is_former = |(name, specs): &(&str, Vec<Spec>)| {
            former(name).is_some_and(|amount| specs.iter().all(|spec| raw(spec) == amount))
        };
        let mut fields = fields();
        fields.retain(|field| !is_former(field));
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (name, specs) in fields {
            match specs.as_slice() {
                [cpu, wall] => map.serialize_entry(name, &(raw(cpu), raw(wall)))?,
                specs => {
                    for spec in specs {
                        map.serialize_entry(name, &raw(spec))?;
                    }
                }
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for SessionLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SessionLimits, D::Error> {
        deserializer.deserialize_map(LimitsVisitor)
    }
}

struct LimitsVisitor;

impl<'de> Visitor<'de> for LimitsVisitor {
    type Value = SessionLimits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of limits")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SessionLimits, A::Error> {
        let mut missing: HashMap<&str, Vec<Spec>> = fields().into_iter().collect();
        let mut limits = SessionLimits::EMPTY;
        for (name, specs) in &missing {
            for spec in specs.iter().filter(|_| former(name).is_some()) {
                (spec.set)(&mut limits, former(name).unwrap_or_default());
            }
        }
        while let Some(name) = map.next_key::<String>()? {
            let specs = missing
                .remove(name.as_str())
                .ok_or_else(|| A::Error::custom(format!("unknown or repeated limit {name:?}")))?;
            match specs.as_slice() {
                [cpu, wall] => {
                    let (cpu_time, wall_time) = map.next_value()?;
                    (cpu.set)(&mut limits, cpu_time);
                    (wall.set)(&mut limits, wall_time);
                }
                specs => {
                    let raw = map.next_value()?;
                    for spec in specs {
                        (spec.set)(&mut limits, raw);
                    }
                }
            }
        }
        missing.retain(|name, _| former(name).is_none());
        match missing.keys().min() {
            None => Ok(limits),
            Some(name) => Err(A::Error::custom(format!("missing limit {name:?}"))),
        }
    }
}
