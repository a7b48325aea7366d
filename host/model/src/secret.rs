//! The secrets of a session's owner.
//!
//! They go to the session that they came with and nowhere else: the types have
//! no `Display`, no `Serialize` and no `Clone`, their `Debug` shows names alone,
//! and the values are wiped when they are dropped.
//!
//! Wiping reaches what this program keeps by itself, from the parsed header to
//! the strings that the guest is handed. It does not reach hyper's buffer,
//! which held the request and is overwritten by the next one or freed with its
//! connection, nor the guest's own memory, which is unmapped or cleared when
//! the session ends.

use std::fmt;

use zeroize::Zeroizing;

/// One named secret.
pub struct Secret {
    /// The name that the environment asks for.
    pub name: String,
    value: Zeroizing<String>,
}

impl Secret {
    /// A secret, which from here on is wiped when it goes.
    pub fn new(name: String, value: Zeroizing<String>) -> Secret {
        Secret { name, value }
    }

    /// The value, for whoever hands it on or seals it; never for a text that
    /// anyone reads.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The value by itself.
    pub fn into_value(self) -> Zeroizing<String> {
        self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

/// All that came with one session.
#[derive(Debug, Default)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Takes them in the order in which they came.
    pub fn new(secrets: Vec<Secret>) -> Secrets {
        Secrets(secrets)
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps those of these names, and gives the names of the others, whose
    /// values are wiped.
    pub fn keep(&mut self, names: &[String]) -> Vec<String> {
        let (kept, others): (Vec<Secret>, Vec<Secret>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|secret| names.contains(&secret.name));
        self.0 = kept;
        others.into_iter().map(|secret| secret.name).collect()
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Secret> {
        self.0.iter()
    }

    /// Hands them on, to the guest.
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
    fn names_are_shown_and_values_are_not() {
        let secrets = secrets(&[("KEY", "hunter2"), ("OTHER", "hunter3")]);
        let shown = format!("{secrets:?} {secrets:#?}");
        assert!(shown.contains("KEY") && shown.contains("OTHER"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn only_what_was_asked_for_is_kept() {
        let mut secrets = secrets(&[("A", "1"), ("b", "2"), ("C", "3"), ("B", "4")]);
        let asked = ["C", "B", "D"].map(str::to_owned);
        assert_eq!(secrets.keep(&asked), ["A", "b"]);
        let kept: Vec<(&str, &str)> = secrets
            .iter()
            .map(|secret| (&*secret.name, secret.expose()))
            .collect();
        assert_eq!(kept, [("C", "3"), ("B", "4")]);
    }
}
