//! Limits that a manifest tightens.

use orwd_model::{Amount, LimitSpec, SessionLimits};

type SessionLimit = &'static LimitSpec<SessionLimits>;

/// Limits from a manifest, each at most once.
///
/// They only tighten: a manifest may come from anyone, and the operator decides
/// what a session may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitOverrides(Vec<(SessionLimit, Amount)>);

/// An override above the operator's limit, which therefore has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CappedLimit {
    /// The name of the limit.
    pub limit: &'static str,
    /// The amount in the manifest.
    pub requested: Amount,
    /// The amount in force.
    pub allowed: Amount,
}

impl LimitOverrides {
    /// Sets one limit, replacing an earlier amount.
    pub fn set(&mut self, limit: SessionLimit, amount: Amount) {
        self.0.retain(|(other, _)| *other != limit);
        self.0.push((limit, amount));
    }

    /// Returns the limits in force, and the overrides without effect.
    pub fn apply(&self, operator: SessionLimits) -> (SessionLimits, Vec<CappedLimit>) {
        let mut limits = operator;
        let mut capped = Vec::new();
        for (limit, requested) in &self.0 {
            match limit.amount(&operator) {
                Some(allowed) if *requested > allowed => capped.push(CappedLimit {
                    limit: limit.name,
                    requested: *requested,
                    allowed,
                }),
                _ => (limit.set)(&mut limits, requested.raw()),
            }
        }
        (limits, capped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orwd_model::LimitSet;

    use super::*;

    #[test]
    fn a_manifest_only_tightens() {
        let mut overrides = LimitOverrides::default();
        for (name, amount) in [("memory", "1GiB"), ("call-cpu", "3s"), ("call-cpu", "2s")] {
            let limit = SessionLimits::spec(name).unwrap();
            overrides.set(limit, limit.parse(amount).unwrap());
        }
        let (limits, capped) = overrides.apply(SessionLimits::default());
        assert_eq!(limits.memory, 256 << 20);
        assert_eq!(limits.call_cpu, Duration::from_secs(2));
        assert_eq!(limits.call_wall, Duration::from_secs(60));
        let [capped] = capped.try_into().unwrap();
        let CappedLimit {
            limit,
            requested,
            allowed,
        } = capped;
        assert_eq!(
            format!("{limit} {requested} {allowed}"),
            "memory 1GiB 256MiB"
        );
    }
}
