//! What an environment may reach: what its manifest asks for and its operator
//! allows.

use serde::{Deserialize, Serialize};

use crate::rules::rule::Rule;
use crate::rules::url::Url;

/// What an operator allows an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorRules {
    /// Whatever its manifest asks for, except addresses that are not public.
    Manifest,
    /// The same, and what it asks for within these rules.
    ManifestAnd(Vec<Rule>),
    /// What its manifest asks for within these rules.
    Rules(Vec<Rule>),
}

/// What an environment may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkGrant {
    rules: Vec<GrantedRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GrantedRule {
    rule: Rule,
    /// The operator named the address of the rule, so it need not be public.
    named: bool,
}

/// How a request is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// To public addresses.
    Public,
    /// To the address that the URL names, whatever it is.
    NamedAddress,
}

impl NetworkGrant {
    /// Returns the intersection of what a manifest asks for and an operator
    /// allows.
    pub fn new(manifest: &[Rule], operator: &OperatorRules) -> NetworkGrant {
        let mut rules: Vec<GrantedRule> = Vec::new();
        let mut add = |granted: GrantedRule| {
            if !rules.contains(&granted) {
                rules.push(granted);
            }
        };
        let (all, allowed): (bool, &[Rule]) = match operator {
            OperatorRules::Manifest => (true, &[]),
            OperatorRules::ManifestAnd(rules) => (true, rules),
            OperatorRules::Rules(rules) => (false, rules),
        };
        for asked in manifest {
            for allowed in allowed {
                if let Some(rule) = asked.and(allowed) {
                    let named = allowed.names_address();
                    add(GrantedRule { rule, named });
                }
            }
            if all {
                let rule = asked.clone();
                add(GrantedRule { rule, named: false });
            }
        }
        NetworkGrant { rules }
    }

    /// Returns whether nothing may be reached.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Iterates over the rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|granted| &granted.rule)
    }

    /// Returns the rules as text.
    pub fn in_words(&self) -> Vec<String> {
        self.rules().map(Rule::to_string).collect()
    }

    /// Returns the TCP ports of all rules.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.rules().map(|rule| rule.port)
    }

    /// Returns how a request is allowed, if it is.
    pub(crate) fn allows(&self, method: &str, url: &Url) -> Option<Allowed> {
        let mut allowing = self
            .rules
            .iter()
            .filter(|granted| granted.rule.allows(method, url))
            .peekable();
        allowing.peek()?;
        Some(if allowing.any(|granted| granted.named) {
            Allowed::NamedAddress
        } else {
            Allowed::Public
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<Rule> {
        texts
            .iter()
            .map(|text| Rule::parse(text).unwrap())
            .collect()
    }

    fn allowed(grant: &NetworkGrant, url: &str) -> Option<Allowed> {
        grant.allows("GET", &Url::parse(url).unwrap())
    }

    #[test]
    fn without_one_of_both_nothing_is_granted() {
        let some = rules(&["https://a.com"]);
        assert!(NetworkGrant::new(&[], &OperatorRules::Rules(some.clone())).is_empty());
        assert!(NetworkGrant::new(&some, &OperatorRules::Rules(Vec::new())).is_empty());
        assert!(
            NetworkGrant::new(&some, &OperatorRules::Rules(rules(&["https://b.com"]))).is_empty()
        );
        assert!(!NetworkGrant::new(&some, &OperatorRules::Manifest).is_empty());
    }

    #[test]
    fn only_the_operator_can_name_an_address_that_is_not_public() {
        let manifest = rules(&["http://127.0.0.1:9009", "http://127.0.0.1:9010"]);
        let grant = NetworkGrant::new(&manifest, &OperatorRules::Manifest);
        assert_eq!(
            allowed(&grant, "http://127.0.0.1:9009/"),
            Some(Allowed::Public)
        );
        let operator = OperatorRules::Rules(rules(&["http://127.0.0.1:9009/v1"]));
        let grant = NetworkGrant::new(&manifest, &operator);
        assert_eq!(grant.in_words(), ["http://127.0.0.1:9009/v1"]);
        let url = "http://127.0.0.1:9009/v1/chat";
        assert_eq!(allowed(&grant, url), Some(Allowed::NamedAddress));
        assert_eq!(allowed(&grant, "http://127.0.0.1:9010/v1"), None);
    }

    #[test]
    fn a_grant_survives_its_encoding() {
        let manifest = rules(&["GET https://*.a.com/x", "http://127.0.0.1:9009"]);
        let operator = OperatorRules::Rules(rules(&["https://*.a.com", "http://127.0.0.1:9009"]));
        let grant = NetworkGrant::new(&manifest, &operator);
        let mut bytes = Vec::new();
        ciborium::into_writer(&grant, &mut bytes).unwrap();
        assert_eq!(
            ciborium::from_reader::<NetworkGrant, _>(&bytes[..]).unwrap(),
            grant
        );
    }
}
