//! The key file: what a line contains, and which line a key matches.
//!
//! A key is `orwd_ID_SECRET` with 256 random bits of secret; its line is
//! `name = "ID:HASH"`, where the hash is BLAKE3 keyed by the id. Random bits need
//! no slow hash. The id selects the line and is not secret; hashes are compared
//! in constant time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use blake3::Hash;
use orwd_session::Principal;

const PREFIX: &str = "orwd_";

/// Separates these hashes from all others that use BLAKE3.
const CONTEXT: &str = "orwd 2026-11 hash of an API key";

/// The content of a key file: principals and hashes by key id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyFile(HashMap<String, (Principal, Hash)>);

/// A new key.
pub(crate) struct GeneratedKey {
    /// The key, which the client sends.
    pub(crate) key: String,
    /// The line of the key file.
    pub(crate) line: String,
}

impl GeneratedKey {
    pub(crate) fn random(name: &str) -> GeneratedKey {
        let id = format!("{:016x}", rand::random::<u64>());
        let secret = Hash::from_bytes(rand::random()).to_hex();
        let hash = hash_secret(&id, secret.as_bytes()).to_hex();
        GeneratedKey {
            key: format!("{PREFIX}{id}_{secret}"),
            line: format!("{name} = \"{id}:{hash}\"\n"),
        }
    }
}

impl KeyFile {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.0.values().any(|(owner, _)| owner.name() == Some(name))
    }

    /// Parses the text of a key file; an error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<KeyFile, String> {
        let lines: HashMap<String, String> =
            toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut keys = HashMap::new();
        for (name, value) in lines {
            let entry = value
                .split_once(':')
                .filter(|(id, _)| is_valid_name(&name) && !id.is_empty())
                .and_then(|(id, hash)| Some((id, Hash::from_hex(hash).ok()?)));
            let Some((id, hash)) = entry else {
                return Err(format!("the line of {name:?} is not \"id:hash\""));
            };
            let Entry::Vacant(vacant) = keys.entry(id.to_owned()) else {
                return Err(format!("two keys have the id {id:?}"));
            };
            vacant.insert((Principal::Named(name.into()), hash));
        }
        Ok(KeyFile(keys))
    }

    /// Returns the owner of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Principal> {
        let text = std::str::from_utf8(key).ok()?;
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let (principal, hash) = self.0.get(id)?;
        // `Hash` compares in constant time.
        (hash_secret(id, secret.as_bytes()) == *hash).then(|| principal.clone())
    }
}

fn hash_secret(id: &str, secret: &[u8]) -> Hash {
    blake3::keyed_hash(&blake3::derive_key(CONTEXT, id.as_bytes()), secret)
}

/// Returns whether a name is safe in the file and in a log line.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_invalid_files() {
        let hash = "0".repeat(64);
        for (text, part) in [
            ("alice", "expected"),
            ("alice = 1", "expected a string"),
            ("alice = \"x\"", "the line of \"alice\""),
            ("alice = \"id:beef\"", "the line of \"alice\""),
            (&*format!("alice = \":{hash}\""), "the line of \"alice\""),
            (&*format!("\"a b\" = \"i:{hash}\""), "the line of \"a b\""),
            (
                &*format!("a = \"i:{hash}\"\nb = \"i:{hash}\""),
                "two keys have the id \"i\"",
            ),
            (&*format!("a = \"i:{hash}\"\na = \"j:{hash}\""), "duplicate"),
        ] {
            let error = KeyFile::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains(&hash), "{error}");
        }
        assert_eq!(KeyFile::parse("").unwrap(), KeyFile::default());
    }

    #[test]
    fn a_key_matches_only_its_own_line() {
        let (one, other) = (GeneratedKey::random("one"), GeneratedKey::random("other"));
        let keys = KeyFile::parse(&format!("{}{}", one.line, other.line)).unwrap();
        let name = |text: &str| keys.find(text.as_bytes());
        assert_eq!(name(&one.key).unwrap().name(), Some("one"));
        assert_eq!(name(&other.key).unwrap().name(), Some("other"));
        let (head, secret) = one.key.rsplit_once('_').unwrap();
        let (other_head, _) = other.key.rsplit_once('_').unwrap();
        assert_eq!(secret.len(), 64);
        for wrong in [
            format!("{other_head}_{secret}"),
            format!("{head}_"),
            head.to_owned(),
            secret.to_owned(),
            format!("{}0", one.key),
            one.key[..one.key.len() - 1].to_owned(),
            one.key.to_uppercase(),
        ] {
            assert_eq!(name(&wrong), None, "{wrong}");
        }
    }
}
