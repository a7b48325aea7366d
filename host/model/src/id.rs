//! Names of things: sessions, runs, environments.
//!
//! Made once at the edge and compared by value afterwards, so that nothing
//! past it handles a raw string. Only an environment's name can be refused.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// The id of a session: chosen by the client, opaque, case-sensitive.
/// Wire contract section 3; the surrounding white space is gone by the time
/// that one is made.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Takes the id as the client wrote it; `None` if nothing is left of it
    /// once the surrounding white space is gone.
    pub fn new(text: &str) -> Option<SessionId> {
        let text = text.trim();
        (!text.is_empty()).then(|| SessionId(text.into()))
    }

    /// The id as it goes back to the client.
    pub fn as_str(&self) -> &str {
        &self.0
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

/// The id of a run, which the wire calls `task_id`: 128 random bits, written
/// as 32 hexadecimal digits. Possession lets a client of the session fetch the
/// result, so ids are not guessable.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId([u8; 16]);

impl TaskId {
    /// Draws a new id.
    pub fn random() -> TaskId {
        TaskId(rand::random())
    }

    /// The id of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> TaskId {
        TaskId(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads an id as [`TaskId`] writes it; `None` for any other text, which
    /// then names no run.
    pub fn parse(text: &str) -> Option<TaskId> {
        if text.len() != 32 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.bytes().all(|b| b.is_ascii_hexdigit()))
            .map(|bits| TaskId(bits.to_be_bytes()))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of an environment: 3 to 64 letters, digits, `-` and `_`, kept in
/// lower case because clients may write it in any.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvName(Arc<str>);

/// Why a text names no environment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no name for an environment: 3 to 64 letters, digits, '-' and '_' are")]
pub struct InvalidEnvName(String);

impl EnvName {
    /// Checks and lower-cases a name.
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

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
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

/// The SHA-256 of a component's bytes, which names a version of an
/// environment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The digest of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 digits alone.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The BLAKE3 of all that a guest can see of a data directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataDigest([u8; 32]);

impl DataDigest {
    /// The digest of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> DataDigest {
        DataDigest(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 digits alone.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for DataDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blake3:{}", self.hex())
    }
}

impl fmt::Debug for DataDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_reads_back_and_nothing_else_does() {
        let id = TaskId::random();
        assert_eq!(TaskId::parse(&id.to_string()), Some(id));
        for other in [
            "",
            "plain",
            "+0000000000000000000000000000000",
            &id.to_string()[1..],
            "ABCDEF00000000000000000000000000",
        ] {
            assert_eq!(TaskId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_session_id_is_trimmed_and_never_blank() {
        assert_eq!(SessionId::new(" a b\t").unwrap().as_str(), "a b");
        assert_eq!(SessionId::new(" \t"), None);
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
