//! The keys of a file: what a line says, and which line a key fits.
//!
//! A key is `orwd_ID_SECRET` with 256 random bits of secret, its line
//! `name = "ID:HASH"`, where the hash is BLAKE3 keyed by the id; random bits
//! need no slow hash. The id finds the line, and is no secret; hashes are
//! compared in constant time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use blake3::Hash;

use orwd_session::Principal;

const PREFIX: &str = "orwd_";

/// What separates these hashes from all others that are made with BLAKE3.
const CONTEXT: &str = "orwd 2026-11 hash of an API key";

/// The keys of a file as it once was, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ring(HashMap<String, (Principal, Hash)>);

/// A key that was just made.
pub(super) struct NewKey {
    /// What its owner sends.
    pub(super) text: String,
    /// Its line of the file.
    pub(super) line: String,
}

impl NewKey {
    pub(super) fn random(name: &str) -> NewKey {
        let id = format!("{:016x}", rand::random::<u64>());
        let secret = Hash::from_bytes(rand::random()).to_hex();
        let hash = hashed(&id, secret.as_bytes()).to_hex();
        NewKey {
            text: format!("{PREFIX}{id}_{secret}"),
            line: format!("{name} = \"{id}:{hash}\"\n"),
        }
    }
}

impl Ring {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.values().any(|(owner, _)| owner.name() == Some(name))
    }

    /// Reads the text of a file; says what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Ring, String> {
        let lines: HashMap<String, String> =
            toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut ring = HashMap::new();
        for (name, value) in lines {
            let entry = value
                .split_once(':')
                .filter(|(id, _)| is_name(&name) && !id.is_empty())
                .and_then(|(id, hash)| Some((id, Hash::from_hex(hash).ok()?)));
            let Some((id, hash)) = entry else {
                return Err(format!("the line of {name:?} is not \"id:hash\""));
            };
            let Entry::Vacant(place) = ring.entry(id.to_owned()) else {
                return Err(format!("two keys have the id {id:?}"));
            };
            place.insert((Principal::Named(name.into()), hash));
        }
        Ok(Ring(ring))
    }

    /// Whose key this is.
    pub(super) fn find(&self, key: &[u8]) -> Option<Principal> {
        let text = std::str::from_utf8(key).ok()?;
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let (principal, hash) = self.0.get(id)?;
        // `Hash` compares in constant time.
        (hashed(id, secret.as_bytes()) == *hash).then(|| principal.clone())
    }
}

fn hashed(id: &str, secret: &[u8]) -> Hash {
    blake3::keyed_hash(&blake3::derive_key(CONTEXT, id.as_bytes()), secret)
}

/// Whether a name can stand in the file and in a line of the log.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_keys_is_refused() {
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
            let error = Ring::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains(&hash), "{error}");
        }
        assert_eq!(Ring::parse("").unwrap(), Ring::default());
    }

    #[test]
    fn a_key_fits_its_own_line_alone() {
        let (one, other) = (NewKey::random("one"), NewKey::random("other"));
        let ring = Ring::parse(&format!("{}{}", one.line, other.line)).unwrap();
        let name = |text: &str| ring.find(text.as_bytes());
        assert_eq!(name(&one.text).unwrap().name(), Some("one"));
        assert_eq!(name(&other.text).unwrap().name(), Some("other"));
        let (head, secret) = one.text.rsplit_once('_').unwrap();
        let (other_head, _) = other.text.rsplit_once('_').unwrap();
        assert_eq!(secret.len(), 64);
        for wrong in [
            format!("{other_head}_{secret}"),
            format!("{head}_"),
            head.to_owned(),
            secret.to_owned(),
            format!("{}0", one.text),
            one.text[..one.text.len() - 1].to_owned(),
            one.text.to_uppercase(),
        ] {
            assert_eq!(name(&wrong), None, "{wrong}");
        }
    }
}
