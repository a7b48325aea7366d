//! One rule: a destination that may be reached.
//!
//! As text it is a URL with methods before it: `https://api.example.com`,
//! `https://*.example.com/search`, `GET,POST http://127.0.0.1:9009/v1`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rules::url::{Host, InvalidUrl, Parts, Scheme, Url, is_name};

/// Methods that a guest may use.
pub(crate) const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A destination that may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    pub(crate) scheme: Scheme,
    pub(crate) host: HostRule,
    pub(crate) port: u16,
    /// A path, of which the paths below it are allowed too.
    path: String,
    /// The allowed methods, in the order of [`METHODS`].
    methods: Vec<&'static str>,
}

/// Which hosts a rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostRule {
    Exact(Host),
    /// All names below this one.
    Below(String),
}

/// A text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason}; expected a rule such as \"https://api.example.com\", \
     \"https://*.example.com/search\" or \"GET,POST http://127.0.0.1:9009\""
)]
pub struct InvalidRule {
    reason: String,
}

impl From<InvalidUrl> for InvalidRule {
    fn from(error: InvalidUrl) -> InvalidRule {
        InvalidRule {
            reason: error.to_string(),
        }
    }
}

impl Rule {
    /// Reads a rule.
    pub fn parse(text: &str) -> Result<Rule, InvalidRule> {
        let invalid = |reason: &str| InvalidRule {
            reason: reason.to_owned(),
        };
        let (methods, url) = match text.trim().rsplit_once(' ') {
            Some((methods, url)) => (Some(methods), url),
            None => (None, text.trim()),
        };
        let parts = Parts::split(url)?;
        if !parts.query.is_empty() {
            return Err(invalid("a rule cannot have a query"));
        }
        let host = match parts.host.strip_prefix("*.") {
            Some(suffix) => {
                let suffix = suffix.to_ascii_lowercase();
                // A name of one label is a whole top-level domain.
                if !is_name(&suffix) || !suffix.contains('.') {
                    return Err(invalid("after `*.` the name of a domain is missing"));
                }
                match Host::parse(&suffix)? {
                    Host::Name(suffix) => HostRule::Below(suffix),
                    Host::Address(_) => return Err(invalid("an address has no names below it")),
                }
            }
            None => HostRule::Exact(Host::parse(parts.host)?),
        };
        Ok(Rule {
            scheme: parts.scheme,
            host,
            port: parts.port.unwrap_or(parts.scheme.default_port()),
            path: parts.path.to_owned(),
            methods: methods.map_or_else(|| Ok(METHODS.to_vec()), parse_methods)?,
        })
    }

    /// Returns whether a request is allowed.
    pub(crate) fn allows(&self, method: &str, url: &Url) -> bool {
        self.methods.contains(&method)
            && self.scheme == url.scheme
            && self.port == url.port
            && self.host.allows(&url.host)
            && is_below(&url.path, &self.path)
    }

    /// Returns the rule that allows what both allow.
    pub(crate) fn and(&self, other: &Rule) -> Option<Rule> {
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        let path = if is_below(&other.path, &self.path) {
            &other.path
        } else if is_below(&self.path, &other.path) {
            &self.path
        } else {
            return None;
        };
        let methods = self.methods.iter().copied();
        let methods: Vec<_> = methods
            .filter(|method| other.methods.contains(method))
            .collect();
        (!methods.is_empty()).then_some(())?;
        Some(Rule {
            scheme: self.scheme,
            host: self.host.and(&other.host)?,
            port: self.port,
            path: path.clone(),
            methods,
        })
    }

    /// Returns whether the rule names an address.
    pub(crate) fn names_address(&self) -> bool {
        matches!(self.host, HostRule::Exact(Host::Address(_)))
    }
}

impl HostRule {
    fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (HostRule::Exact(allowed), host) => allowed == host,
            (HostRule::Below(suffix), Host::Name(name)) => is_subdomain(name, suffix),
            (HostRule::Below(_), Host::Address(_)) => false,
        }
    }

    fn and(&self, other: &HostRule) -> Option<HostRule> {
        match (self, other) {
            (HostRule::Exact(host), rule) | (rule, HostRule::Exact(host)) => {
                rule.allows(host).then(|| HostRule::Exact(host.clone()))
            }
            (HostRule::Below(one), HostRule::Below(two)) => {
                if one == two || is_subdomain(one, two) {
                    Some(HostRule::Below(one.clone()))
                } else {
                    is_subdomain(two, one).then(|| HostRule::Below(two.clone()))
                }
            }
        }
    }
}

fn is_subdomain(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix)
        .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
}

/// Whether a path is `prefix`, or below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

fn parse_methods(text: &str) -> Result<Vec<&'static str>, InvalidRule> {
    let words: Vec<&str> = text
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .collect();
    if let Some(unknown) = words.iter().find(|word| !METHODS.contains(word)) {
        return Err(InvalidRule {
            reason: format!(
                "{unknown:?} is not one of the methods {}",
                METHODS.join(", ")
            ),
        });
    }
    let named = METHODS.iter().copied();
    Ok(named.filter(|method| words.contains(method)).collect())
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.methods.len() < METHODS.len() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        write!(f, "{}://", self.scheme.as_str())?;
        match &self.host {
            HostRule::Exact(host) => host.fmt(f)?,
            HostRule::Below(suffix) => write!(f, "*.{suffix}")?,
        }
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(if self.path == "/" { "" } else { &self.path })
    }
}

impl TryFrom<String> for Rule {
    type Error = InvalidRule;

    fn try_from(text: String) -> Result<Rule, InvalidRule> {
        Rule::parse(&text)
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> String {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text).unwrap()
    }

    fn allows(text: &str, method: &str, url: &str) -> bool {
        rule(text).allows(method, &Url::parse(url).unwrap())
    }

    #[test]
    fn a_rule_is_shown_as_it_is_written() {
        for text in [
            "https://api.openai.com",
            "https://*.tavily.com/search",
            "http://127.0.0.1:9009",
            "http://[::1]:9009/v1/",
            "GET,POST https://a.com:8443/x",
        ] {
            assert_eq!(rule(text).to_string(), text);
        }
        assert_eq!(
            rule("POST, GET HTTPS://A.com:443/").to_string(),
            "GET,POST https://a.com"
        );
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_reason() {
        for (text, part) in [
            ("api.openai.com", "http:// or https://"),
            ("https://*.com", "name of a domain is missing"),
            ("https://*", "no valid host"),
            ("https://a.*.com", "no valid host"),
            ("https://*.0.0.1", "address"),
            ("https://a.com?x", "query"),
            ("TRACE https://a.com", "\"TRACE\" is not one of"),
            ("https://a.com/../x", "segment"),
            ("https://u:p@a.com", "user"),
        ] {
            let error = Rule::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_allows_its_destination_and_no_other() {
        let suffix = "https://*.tavily.com/search";
        assert!(allows(suffix, "GET", "https://api.tavily.com/search"));
        assert!(allows(
            suffix,
            "POST",
            "https://a.b.tavily.com/search/x?q=1"
        ));
        for url in [
            "http://api.tavily.com/search",
            "https://tavily.com/search",
            "https://eviltavily.com/search",
            "https://api.tavily.com.evil.com/search",
            "https://api.tavily.com/searching",
            "https://api.tavily.com/",
            "https://api.tavily.com:444/search",
        ] {
            assert!(!allows(suffix, "GET", url), "{url}");
        }
        assert!(!allows("GET https://a.com", "POST", "https://a.com/"));
        assert!(!allows("https://a.com", "get", "https://a.com/"));
        assert!(!allows("http://127.0.0.1", "GET", "http://localhost/"));
    }

    #[test]
    fn both_rules_allow_what_their_intersection_allows() {
        for (one, two, both) in [
            ("https://a.com", "https://a.com", Some("https://a.com")),
            (
                "https://*.a.com",
                "https://x.a.com/v1",
                Some("https://x.a.com/v1"),
            ),
            (
                "https://*.a.com",
                "https://*.b.a.com",
                Some("https://*.b.a.com"),
            ),
            (
                "GET,PUT https://a.com/v1",
                "PUT https://a.com/v1/x",
                Some("PUT https://a.com/v1/x"),
            ),
            ("https://a.com", "http://a.com", None),
            ("https://a.com", "https://a.com:444", None),
            ("https://a.com/v1", "https://a.com/v2", None),
            ("GET https://a.com", "POST https://a.com", None),
            ("https://*.a.com", "https://a.com", None),
        ] {
            let found = rule(one).and(&rule(two)).map(|rule| rule.to_string());
            assert_eq!(found.as_deref(), both, "{one} {two}");
            let found = rule(two).and(&rule(one)).map(|rule| rule.to_string());
            assert_eq!(found.as_deref(), both, "{two} {one}");
        }
    }
}
