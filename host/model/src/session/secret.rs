//! Secrets of a session's owner.
//!
//! They are passed to their session and nowhere else: the types implement
//! neither `Display`, `Serialize` nor `Clone`, their `Debug` shows names only,
//! and values are zeroed on drop.
//!
//! Zeroing covers this program's own copies, from the parsed header to the
//! strings passed to the guest. It does not cover hyper's read buffer, which the
//! next request overwrites or the end of the connection frees. Nor does it cover
//! the guest's memory, which is unmapped or cleared when the session ends.

use std::fmt;

use zeroize::Zeroizing;

/// How a placeholder ends, after the name of its secret.
pub const PLACEHOLDER_END: &str = "__";

/// A named secret.
pub struct Secret {
    /// The name by which the environment requests it.
    pub name: String,
    /// The hosts that its owner allows it to be sent to, as names or as
    /// `*.example.com`; without a list all hosts that the environment may reach.
    pub allowed_domains: Option<Vec<String>>,
    value: Zeroizing<String>,
}

impl Secret {
    /// Takes a value, which is zeroed on drop.
    pub fn new(name: String, value: Zeroizing<String>) -> Secret {
        Secret {
            name,
            allowed_domains: None,
            value,
        }
    }

    /// Returns whether its owner allows it to be sent to this host, which is a
    /// lower-case name or an address.
    pub fn may_go_to(&self, host: &str) -> bool {
        let Some(domains) = &self.allowed_domains else {
            return true;
        };
        domains.iter().any(|domain| {
            let domain = domain.to_ascii_lowercase();
            match domain.strip_prefix('*') {
                // The dot stays, so that only names below it match.
                Some(below) => {
                    below.starts_with('.')
                        && below.len() > 1
                        && host.len() > below.len()
                        && host.ends_with(below)
                }
                None => domain == host,
            }
        })
    }

    /// Returns the value, to pass it to the guest or to seal it. It must not be
    /// put into a text that people read.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Returns the value.
    pub fn into_value(self) -> Zeroizing<String> {
        self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

/// All secrets of one session.
///
/// They are *hidden* if the guest gets a placeholder in place of each value.
#[derive(Debug, Default)]
pub struct Secrets {
    list: Vec<Secret>,
    /// What the placeholders name; none if the guest gets the values.
    hidden_as: Option<String>,
}

impl Secrets {
    /// Takes the secrets in their order.
    pub fn new(secrets: Vec<Secret>) -> Secrets {
        Secrets {
            list: secrets,
            hidden_as: None,
        }
    }

    /// Hides the values from the guest. The placeholders have this text, which stays
    /// the same when the session is resumed or forked.
    pub fn hide_as(&mut self, session: String) {
        self.hidden_as = Some(session);
    }

    /// Returns what the placeholders name; none if the guest gets the values.
    pub fn hidden_as(&self) -> Option<&str> {
        self.hidden_as.as_deref()
    }

    /// Returns how all placeholders begin; none if the guest gets the values.
    pub fn placeholder_start(&self) -> Option<String> {
        let session = self.hidden_as.as_ref()?;
        Some(format!("__SECRET:{session}:"))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Keeps the secrets with these names and drops the others. Returns the
    /// names of those dropped.
    pub fn retain_named(&mut self, names: &[String]) -> Vec<String> {
        let (kept, others): (Vec<Secret>, Vec<Secret>) = std::mem::take(&mut self.list)
            .into_iter()
            .partition(|secret| names.contains(&secret.name));
        self.list = kept;
        others.into_iter().map(|secret| secret.name).collect()
    }

    /// Iterates over the secrets.
    pub fn iter(&self) -> std::slice::Iter<'_, Secret> {
        self.list.iter()
    }

    /// Returns the secrets, for the guest.
    pub fn into_inner(self) -> Vec<Secret> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(pairs: &[(&str, &str)]) -> Secrets {
        let secret = |(name, value): &(&str, &str)| {
            Secret::new((*name).to_owned(), Zeroizing::new((*value).to_owned()))
        };
        Secrets::new(pairs.iter().map(secret).collect())
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let secrets = secrets(&[("KEY", "hunter2"), ("OTHER", "hunter3")]);
        let shown = format!("{secrets:?} {secrets:#?}");
        assert!(shown.contains("KEY") && shown.contains("OTHER"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn a_secret_goes_to_the_hosts_of_its_owner_only() {
        let mut secret = Secret::new("K".to_owned(), Zeroizing::default());
        assert!(secret.may_go_to("a.com"));
        secret.allowed_domains = Some(
            ["A.com", "*.b.com", "127.0.0.1", "*", "*."]
                .map(str::to_owned)
                .into(),
        );
        for (host, expected) in [
            ("a.com", true),
            ("x.a.com", false),
            ("b.com", false),
            ("x.b.com", true),
            ("y.x.b.com", true),
            ("xb.com", false),
            (".b.com", false),
            ("127.0.0.1", true),
            ("c.com", false),
        ] {
            assert_eq!(secret.may_go_to(host), expected, "{host}");
        }
        secret.allowed_domains = Some(Vec::new());
        assert!(!secret.may_go_to("a.com"));
    }

    #[test]
    fn retains_only_the_named_secrets() {
        let mut secrets = secrets(&[("A", "1"), ("b", "2"), ("C", "3"), ("B", "4")]);
        let requested = ["C", "B", "D"].map(str::to_owned);
        assert_eq!(secrets.retain_named(&requested), ["A", "b"]);
        let kept: Vec<(&str, &str)> = secrets
            .iter()
            .map(|secret| (&*secret.name, secret.expose()))
            .collect();
        assert_eq!(kept, [("C", "3"), ("B", "4")]);
    }
}
