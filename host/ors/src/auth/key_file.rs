//! The key file: what a line contains, and which line a key matches.
//!
//! A key is `orwd_ID_SECRET` with 256 random bits of secret. Its line is
//! `name = { key = "ID:HASH", created = TIME, expires = TIME }`, where the times
//! may be absent, or `name = "ID:HASH"`. The hash is BLAKE3 keyed by the id.
//! Random bits need no slow hash. The id selects the line and is not secret;
//! hashes are compared in constant time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use blake3::Hash;
use orwd_session::Principal;
use toml::Value;

use super::key_time::KeyTime;

const PREFIX: &str = "orwd_";

/// Separates these hashes from all others that use BLAKE3.
const CONTEXT: &str = "orwd 2026-11 hash of an API key";

/// The content of a key file: its lines by key id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyFile(HashMap<String, KeyLine>);

/// A line of a key file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyLine {
    owner: Principal,
    hash: Hash,
    created: Option<KeyTime>,
    expires: Option<KeyTime>,
}

/// What a key file says of a key. The key itself is in no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The name of its owner.
    pub name: String,
    /// The part of the key that is not secret.
    pub id: String,
    /// When it was made, if the file says.
    pub created: Option<KeyTime>,
    /// When it expires, if it does.
    pub expires: Option<KeyTime>,
}

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyRejection {
    /// There is no key, or it is in no line.
    Invalid,
    /// It is in a line, and expired at this time.
    Expired(KeyTime),
}

/// A new key.
pub(crate) struct GeneratedKey {
    /// The key, which the client sends.
    pub(crate) key: String,
    /// The line of the key file.
    pub(crate) line: String,
}

impl GeneratedKey {
    pub(crate) fn random(name: &str, now: KeyTime, expires: Option<KeyTime>) -> GeneratedKey {
        let id = format!("{:016x}", rand::random::<u64>());
        let secret = Hash::from_bytes(rand::random()).to_hex();
        let hash = hash_secret(&id, secret.as_bytes()).to_hex();
        let expires = expires.map_or_else(String::new, |at| format!(", expires = {at}"));
        GeneratedKey {
            key: format!("{PREFIX}{id}_{secret}"),
            line: format!("{name} = {{ key = \"{id}:{hash}\", created = {now}{expires} }}\n"),
        }
    }
}

impl KeyFile {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.0.values().any(|line| line.owner.name() == Some(name))
    }

    /// Lists the keys by name.
    pub(crate) fn list(&self) -> Vec<KeyInfo> {
        let mut keys: Vec<KeyInfo> = self
            .0
            .iter()
            .map(|(id, line)| KeyInfo {
                name: line.owner.name().unwrap_or_default().to_owned(),
                id: id.clone(),
                created: line.created,
                expires: line.expires,
            })
            .collect();
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        keys
    }

    /// Parses the text of a key file; an error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<KeyFile, String> {
        let lines: toml::Table =
            toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut keys = HashMap::new();
        for (name, value) in lines {
            let (id, line) = KeyLine::parse(&name, &value)
                .map_err(|reason| format!("the line of {name:?} {reason}"))?;
            let Entry::Vacant(vacant) = keys.entry(id) else {
                return Err(format!("{name:?} has the same key id as another name"));
            };
            vacant.insert(line);
        }
        Ok(KeyFile(keys))
    }

    /// Returns the text without the line of this name; `None` if no single line
    /// is that of the name.
    pub(crate) fn without(text: &str, name: &str) -> Option<String> {
        let is_of_name = |line: &str| {
            let table = toml::from_str::<toml::Table>(line);
            table.is_ok_and(|table| table.contains_key(name))
        };
        let kept: String = text
            .split_inclusive('\n')
            .filter(|line| !is_of_name(line))
            .collect();
        let mut expected = KeyFile::parse(text).ok()?;
        expected.0.retain(|_, line| line.owner.name() != Some(name));
        // A table of several lines is left to a person.
        (KeyFile::parse(&kept).ok()? == expected && kept != text).then_some(kept)
    }

    /// Returns the owner of a key that has not expired.
    pub(crate) fn find(&self, key: &[u8], now: KeyTime) -> Result<Principal, KeyRejection> {
        let line = self.line(key).ok_or(KeyRejection::Invalid)?;
        match line.expires {
            // Only the holder of the key gets to know this.
            Some(expires) if expires <= now => Err(KeyRejection::Expired(expires)),
            _ => Ok(line.owner.clone()),
        }
    }

    fn line(&self, key: &[u8]) -> Option<&KeyLine> {
        let text = std::str::from_utf8(key).ok()?;
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let line = self.0.get(id)?;
        // `Hash` compares in constant time.
        (hash_secret(id, secret.as_bytes()) == line.hash).then_some(line)
    }
}

impl KeyLine {
    /// Parses a line. Returns the id of its key too.
    fn parse(name: &str, value: &Value) -> Result<(String, KeyLine), String> {
        let malformed = || {
            "is neither \"id:hash\" nor { key = \"id:hash\", created = TIME, expires = TIME }"
                .to_owned()
        };
        let (mut key, mut created, mut expires) = (None, None, None);
        match value {
            Value::String(text) => key = Some(text),
            Value::Table(fields) => {
                for (field, value) in fields {
                    match (field.as_str(), value) {
                        ("key", Value::String(text)) => key = Some(text),
                        ("created", Value::Datetime(time)) => created = Some(KeyTime::of(time)?),
                        ("expires", Value::Datetime(time)) => expires = Some(KeyTime::of(time)?),
                        ("created" | "expires", _) => {
                            return Err(format!(
                                "has no time as `{field}`; write it as 2026-12-31T00:00:00Z, \
                                 without quotes"
                            ));
                        }
                        _ => return Err(malformed()),
                    }
                }
            }
            _ => return Err(malformed()),
        }
        let (id, hash) = key
            .and_then(|key| key.split_once(':'))
            .filter(|(id, _)| is_valid_name(name) && !id.is_empty())
            .and_then(|(id, hash)| Some((id, Hash::from_hex(hash).ok()?)))
            .ok_or_else(malformed)?;
        let line = KeyLine {
            owner: Principal::Named(name.into()),
            hash,
            created,
            expires,
        };
        Ok((id.to_owned(), line))
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

    const NOW: KeyTime = KeyTime::from_unix(1_800_000_000);

    #[test]
    fn refuses_invalid_files() {
        let hash = "0".repeat(64);
        for (text, part) in [
            ("alice", "expected"),
            ("alice = 1", "the line of \"alice\" is neither"),
            ("alice = \"x\"", "the line of \"alice\""),
            ("alice = \"id:beef\"", "the line of \"alice\""),
            (&*format!("alice = \":{hash}\""), "the line of \"alice\""),
            (&*format!("\"a b\" = \"i:{hash}\""), "the line of \"a b\""),
            (
                &*format!("a = \"i:{hash}\"\nb = \"i:{hash}\""),
                "has the same key id as another name",
            ),
            (&*format!("a = \"i:{hash}\"\na = \"j:{hash}\""), "duplicate"),
            (
                &*format!("a = {{ key = \"i:{hash}\", until = 1 }}"),
                "neither",
            ),
            ("a = { expires = 2026-12-31 }", "neither"),
            (
                &*format!("a = {{ key = \"i:{hash}\", expires = \"2026-12-31\" }}"),
                "has no time as `expires`",
            ),
            (
                &*format!("a = {{ key = \"i:{hash}\", expires = 2026-12-31T10:00:00 }}"),
                "has no time zone",
            ),
        ] {
            let error = KeyFile::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains(&hash), "{error}");
        }
        assert_eq!(KeyFile::parse("").unwrap(), KeyFile::default());
    }

    #[test]
    fn a_key_matches_only_its_own_line() {
        let (one, other) = (
            GeneratedKey::random("one", NOW, None),
            GeneratedKey::random("other", NOW, None),
        );
        let keys = KeyFile::parse(&format!("{}{}", one.line, other.line)).unwrap();
        let name = |text: &str| keys.find(text.as_bytes(), NOW);
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
            assert_eq!(name(&wrong), Err(KeyRejection::Invalid), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_refused_from_the_time_of_its_expiry() {
        let expires = KeyTime::from_unix(NOW.unix() + 10);
        let key = GeneratedKey::random("one", NOW, Some(expires));
        let keys = KeyFile::parse(&key.line).unwrap();
        let find = |after| keys.find(key.key.as_bytes(), KeyTime::from_unix(NOW.unix() + after));
        assert!(find(9).is_ok());
        assert_eq!(find(10), Err(KeyRejection::Expired(expires)));
        // Without the secret, nobody learns that there is such a key.
        let guess = format!("{}0", &key.key[..key.key.len() - 1]);
        let guess = if guess == key.key {
            format!("{guess}1")
        } else {
            guess
        };
        let later = KeyTime::from_unix(NOW.unix() + 20);
        assert_eq!(
            keys.find(guess.as_bytes(), later),
            Err(KeyRejection::Invalid)
        );
        let [info] = keys.list().try_into().unwrap();
        assert_eq!((info.created, info.expires), (Some(NOW), Some(expires)));
    }

    #[test]
    fn a_line_is_removed_and_nothing_else_changes() {
        let hash = "0".repeat(64);
        let text = format!("# Keys\n\nalice = \"a:{hash}\" # hers\n'bob'='b:{hash}'\n");
        let without = |name| KeyFile::without(&text, name);
        assert_eq!(
            without("alice").unwrap(),
            format!("# Keys\n\n'bob'='b:{hash}'\n")
        );
        assert_eq!(
            without("bob").unwrap(),
            format!("# Keys\n\nalice = \"a:{hash}\" # hers\n")
        );
        // A line that cannot be told apart is left to a person.
        let table = format!("[alice]\nkey = \"a:{hash}\"\n");
        assert_eq!(KeyFile::without(&table, "alice"), None);
    }
}
