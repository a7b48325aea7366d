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

/// A named secret.
pub struct Secret {
    /// The name by which the environment requests it.
    pub name: String,
    value: Zeroizing<String>,
}

impl Secret {
    /// Takes a value, which is zeroed on drop.
    pub fn new(name: String, value: Zeroizing<String>) -> Secret {
        Secret { name, value }
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
#[derive(Debug, Default)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Takes the secrets in their order.
    pub fn new(secrets: Vec<Secret>) -> Secrets {
        Secrets(secrets)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the secrets with these names and drops the others. Returns the
    /// names of those dropped.
    pub fn retain_named(&mut self, names: &[String]) -> Vec<String> {
        let (kept, others): (Vec<Secret>, Vec<Secret>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|secret| names.contains(&secret.name));
        self.0 = kept;
        others.into_iter().map(|secret| secret.name).collect()
    }

    /// Iterates over the secrets.
    pub fn iter(&self) -> std::slice::Iter<'_, Secret> {
        self.0.iter()
    }

    /// Returns the secrets, for the guest.
    pub fn into_inner(self) -> Vec<Secret> {
        self.0
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
