//! Ids of sessions and runs, and names of environments.
//!
//! They are made once at the edge and compared by value afterwards, so that no
//! inner code handles a raw string.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The id of a session: chosen by the client, opaque and case-sensitive (wire
/// contract section 3). It has no white space around it and is never empty.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Trims the client's text. Returns `None` if nothing is left of it.
    pub fn new(text: &str) -> Option<SessionId> {
        let text = text.trim();
        (!text.is_empty()).then(|| SessionId(text.into()))
    }

    /// Returns the id as it goes back to the client.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SessionId {
    type Error = &'static str;

    /// Takes an id that is trimmed already.
    fn try_from(text: String) -> Result<SessionId, &'static str> {
        SessionId::new(&text)
            .filter(|id| id.as_str() == text)
            .ok_or("invalid session id")
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> String {
        id.as_str().to_owned()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

byte_array_type! {
    /// The id of a run, which the wire calls `task_id`: 128 random bits.
    /// Possession lets a client of the session fetch the result, so ids cannot
    /// be guessed.
    RunId, 16, ""
}

impl RunId {
    /// Draws a new id.
    pub fn random() -> RunId {
        RunId(rand::random())
    }
}

/// The name of an environment: 3 to 64 letters, digits, `-` and `_`. It is
/// stored in lower case because clients may write it in any case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvName(Arc<str>);

/// The text is not the name of an environment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid environment name {0:?}: expected 3 to 64 letters, digits, '-' or '_'")]
pub struct InvalidEnvName(String);

impl EnvName {
    /// Checks a name and converts it to lower case.
    pub fn new(text: &str) -> Result<EnvName, InvalidEnvName> {
        let fits = (3..=64).contains(&text.len());
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits && plain {
            Ok(EnvName(text.to_ascii_lowercase().into()))
        } else {
            Err(InvalidEnvName(text.chars().take(80).collect()))
        }
    }

    /// Returns the name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EnvName {
    type Error = InvalidEnvName;

    fn try_from(text: String) -> Result<EnvName, InvalidEnvName> {
        EnvName::new(&text)
    }
}

impl From<EnvName> for String {
    fn from(name: EnvName) -> String {
        name.as_str().to_owned()
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_reads_back_and_nothing_else_does() {
        let id = RunId::random();
        assert_eq!(RunId::parse(&id.to_string()), Some(id));
        for other in [
            "",
            "plain",
            "+0000000000000000000000000000000",
            &id.to_string()[1..],
            "ABCDEF00000000000000000000000000",
        ] {
            assert_eq!(RunId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_session_id_is_trimmed_and_never_blank() {
        assert_eq!(SessionId::new(" a b\t").unwrap().as_str(), "a b");
        assert_eq!(SessionId::new(" \t"), None);
        assert!(SessionId::try_from(" a".to_owned()).is_err());
    }

    #[test]
    fn environment_names() {
        for (text, expected) in [
            ("Alpha", Some("alpha")),
            ("a-b_9", Some("a-b_9")),
            ("ab", None),
            ("a/b", None),
            ("é-env", None),
            (&"x".repeat(65), None),
        ] {
            let name = EnvName::new(text).ok();
            assert_eq!(name.as_ref().map(EnvName::as_str), expected, "{text}");
        }
    }
}
