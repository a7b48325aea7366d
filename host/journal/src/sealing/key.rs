//! The seal key: encryption of secrets and of record content.
//!
//! Secrets are sealed with XChaCha20-Poly1305 under a key that is stored outside
//! of the state directory. They are bound to their episode and its component, and
//! cannot be opened for another: a file that claims to be of that episode and
//! brings its own component gets nothing. The content of records of an episode with secrets is sealed too,
//! bound to its slot. The key and plain texts are zeroed on drop; `Debug` of the
//! key shows nothing.

use std::fmt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use orwd_model::{Digest, Secret, Secrets, hex};

use crate::error::JournalError;
use crate::record::{self, EpisodeId, Hash, SealedSecrets};
use crate::state_dir::{self, StateDir, io_error};

/// Context of the keys of hashes.
const HASH_CONTEXT: &str = "orwd journal 2026 v1 hashes of sealed content";

/// The first byte of sealed data.
const VERSION: u8 = 1;

/// The first byte of sealed secrets that are bound to their component too.
const WITH_COMPONENT: u8 = 2;

/// The first byte of such secrets that are hidden from the guest.
const HIDDEN: u8 = 3;

/// Bytes of the fingerprint that identifies a key.
const FINGERPRINT: usize = 8;

/// Bytes of the random nonce.
const NONCE: usize = 24;

/// Bytes of a key file, at most.
const MAX_KEY_FILE: u64 = 4096;

/// The key that seals secrets.
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// Parses a key: 64 hexadecimal digits, with optional white space around them.
    pub fn parse(text: &str) -> Result<SealKey, JournalError> {
        let text = text.trim();
        let no_key = || {
            JournalError::Seal(
                "a seal key is 64 hexadecimal digits; `openssl rand -hex 32` makes one".to_owned(),
            )
        };
        if text.len() != 64 || !text.is_ascii() {
            return Err(no_key());
        }
        let mut key = Zeroizing::new([0; 32]);
        for (at, byte) in key.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2).ok_or_else(no_key)?;
            let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(digits, 16)
                .ok()
                .filter(|_| plain)
                .ok_or_else(no_key)?;
        }
        Ok(SealKey(key))
    }

    /// Reads a key from a file.
    pub fn read(path: &Path) -> Result<SealKey, JournalError> {
        use std::io::Read;
        let unread =
            |why: String| JournalError::Seal(format!("the seal key {}: {why}", path.display()));
        let file = std::fs::File::open(path).map_err(|error| unread(error.to_string()))?;
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_KEY_FILE)
            .read_to_string(&mut text)
            .map_err(|error| unread(error.to_string()))?;
        SealKey::parse(&text).map_err(|error| unread(error.to_string()))
    }

    /// Compares the key with the one that this state directory was used with, or
    /// notes it at the first use. A key file with a changed digit is still a key,
    /// but what was sealed before cannot be opened with it.
    pub fn check_known(&self, dir: &StateDir) -> Result<(), JournalError> {
        let path = dir.seal_fingerprint();
        let own = hex::encode(&self.fingerprint());
        let known = match std::fs::read(&path) {
            Ok(known) => known,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return state_dir::write_file(&path, format!("{own}\n").as_bytes())
                    .map_err(|error| io_error(&path, &error));
            }
            Err(error) => return Err(io_error(&path, &error)),
        };
        if known.trim_ascii() == own.as_bytes() {
            return Ok(());
        }
        Err(JournalError::Seal(format!(
            "the seal key is another than the one that this state directory was used with: its \
             fingerprint is {own}, and {} has {}. If the key was damaged, restore it. To use the \
             new key on purpose, remove that file; sessions that were sealed with the old key \
             can then not be resumed",
            path.display(),
            String::from_utf8_lossy(known.trim_ascii().get(..64).unwrap_or(known.trim_ascii()))
                .escape_debug(),
        )))
    }

    /// Checks that this state directory was never used with a key, for a server that
    /// is given none. Its sessions with secrets could not be resumed, and their
    /// clients would get errors until the key is back.
    pub fn check_none_known(dir: &StateDir) -> Result<(), JournalError> {
        let path = dir.seal_fingerprint();
        if !path.exists() {
            return Ok(());
        }
        Err(JournalError::Seal(format!(
            "this state directory was used with a seal key, and none is given: pass it with \
             --seal-key FILE or in ORWD_SEAL_KEY. To go on without it, remove {}; sessions that \
             were sealed with it can then not be resumed",
            path.display(),
        )))
    }

    /// Seals secrets for an episode on this component.
    pub(crate) fn seal(
        &self,
        secrets: &Secrets,
        episode: EpisodeId,
        component: Digest,
    ) -> Result<Vec<u8>, JournalError> {
        // Allocated large enough at once, so that no copy stays in freed memory.
        let size = secrets.iter().map(|secret| {
            let domains = secret.allowed_domains.iter().flatten();
            let domains = domains.map(|domain| domain.len() + 16).sum::<usize>();
            secret.name.len() + secret.expose().len() + domains + 32
        });
        let session = secrets.hidden_as();
        let size = size.sum::<usize>() + session.map_or(0, str::len) + 32;
        let mut text = Zeroizing::new(Vec::with_capacity(size));
        let version = match session {
            None => {
                let pairs: Vec<(&str, &str)> = secrets
                    .iter()
                    .map(|secret| (secret.name.as_str(), secret.expose()))
                    .collect();
                record::encode_value(&pairs, &mut text);
                WITH_COMPONENT
            }
            Some(session) => {
                let entries: Vec<(&str, &str, &Option<Vec<String>>)> = secrets
                    .iter()
                    .map(|secret| {
                        let domains = &secret.allowed_domains;
                        (secret.name.as_str(), secret.expose(), domains)
                    })
                    .collect();
                record::encode_value(&(session, entries), &mut text);
                HIDDEN
            }
        };
        self.encrypt(version, &text, &on_component(episode, component))
    }

    /// Seals content for the record in this slot.
    pub(crate) fn seal_content(
        &self,
        content: &[u8],
        episode: EpisodeId,
        seq: u64,
    ) -> Result<Vec<u8>, JournalError> {
        self.encrypt(VERSION, content, &slot(episode, seq))
    }

    /// Returns the hash that is stored in place of one of sealed content in this
    /// slot. Only who has the key can compare it with that of a guess.
    pub(crate) fn keyed_hash(&self, hash: Hash, episode: EpisodeId, seq: u64) -> Hash {
        let mut derived = blake3::Hasher::new_derive_key(HASH_CONTEXT);
        derived.update(&*self.0);
        derived.update(episode.as_bytes());
        let key = Zeroizing::new(*derived.finalize().as_bytes());
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&seq.to_be_bytes());
        hasher.update(hash.as_bytes());
        Hash::from_bytes(*hasher.finalize().as_bytes())
    }

    /// Unseals the content of the record in this slot.
    pub(crate) fn unseal_content(
        &self,
        sealed: &[u8],
        episode: EpisodeId,
        seq: u64,
    ) -> Result<Zeroizing<Vec<u8>>, JournalError> {
        self.decrypt(VERSION, sealed, &slot(episode, seq))
    }

    /// Unseals the secrets of an episode.
    pub(crate) fn unseal(
        &self,
        sealed: &[u8],
        episode: EpisodeId,
        component: Digest,
    ) -> Result<Secrets, JournalError> {
        let text = match sealed.first() {
            // Earlier versions did not bind them to the component.
            Some(&VERSION) => self.decrypt(VERSION, sealed, episode.as_bytes())?,
            Some(&HIDDEN) => {
                let text = self.decrypt(HIDDEN, sealed, &on_component(episode, component))?;
                return hidden(&text);
            }
            _ => self.decrypt(WITH_COMPONENT, sealed, &on_component(episode, component))?,
        };
        let pairs: Vec<(String, String)> = record::decode_value(&text).map_err(|_| broken())?;
        let secrets = pairs
            .into_iter()
            .map(|(name, value)| Secret::new(name, Zeroizing::new(value)));
        Ok(Secrets::new(secrets.collect()))
    }

    fn encrypt(&self, version: u8, msg: &[u8], aad: &[u8]) -> Result<Vec<u8>, JournalError> {
        let nonce: [u8; NONCE] = rand::random();
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg, aad })
            .map_err(|_| JournalError::Seal("this is too large to be sealed".to_owned()))?;
        let mut bytes = vec![version];
        bytes.extend_from_slice(&self.fingerprint());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    fn decrypt(
        &self,
        expected: u8,
        sealed: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, JournalError> {
        let (version, rest) = sealed.split_first().ok_or_else(broken)?;
        if *version != expected {
            return Err(JournalError::Seal(format!(
                "this is sealed in version {version}, and this orwd opens {expected}"
            )));
        }
        let (fingerprint, rest) = rest.split_first_chunk::<FINGERPRINT>().ok_or_else(broken)?;
        if *fingerprint != self.fingerprint() {
            return Err(JournalError::Seal(
                "the secrets are sealed with another key than the one that is given".to_owned(),
            ));
        }
        let (nonce, msg) = rest.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg, aad })
            .map(Zeroizing::new)
            .map_err(|_| broken())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.0))
    }

    /// Returns a hash that identifies the key and reveals nothing of it.
    fn fingerprint(&self) -> [u8; FINGERPRINT] {
        let hash = blake3::derive_key("orwd journal 2026 v1 name of a seal key", &*self.0);
        let mut fingerprint = [0; FINGERPRINT];
        fingerprint
            .iter_mut()
            .zip(hash)
            .for_each(|(to, from)| *to = from);
        fingerprint
    }
}

/// Secrets that are hidden, and what their placeholders name.
type Hidden = (String, Vec<(String, String, Option<Vec<String>>)>);

/// Reads secrets that are hidden from the guest.
fn hidden(text: &[u8]) -> Result<Secrets, JournalError> {
    let (session, entries): Hidden = record::decode_value(text).map_err(|_| broken())?;
    let secrets = entries.into_iter().map(|(name, value, domains)| {
        let mut secret = Secret::new(name, Zeroizing::new(value));
        secret.allowed_domains = domains;
        secret
    });
    let mut secrets = Secrets::new(secrets.collect());
    secrets.hide_as(session);
    Ok(secrets)
}

fn broken() -> JournalError {
    JournalError::Seal("the sealed secrets are damaged".to_owned())
}

/// The associated data that binds secrets to an episode and its component.
fn on_component(episode: EpisodeId, component: Digest) -> [u8; 48] {
    let mut bound = [0; 48];
    let (front, back) = bound.split_at_mut(16);
    front.copy_from_slice(episode.as_bytes());
    back.copy_from_slice(component.as_bytes());
    bound
}

/// The associated data that binds content to its slot.
fn slot(episode: EpisodeId, seq: u64) -> [u8; 24] {
    let mut slot = [0; 24];
    let (front, back) = slot.split_at_mut(16);
    front.copy_from_slice(episode.as_bytes());
    back.copy_from_slice(&seq.to_be_bytes());
    slot
}

impl SealedSecrets {
    /// Unseals the secrets of an episode on this component with this key.
    pub fn open(
        &self,
        key: Option<&SealKey>,
        episode: EpisodeId,
        component: Digest,
    ) -> Result<Secrets, JournalError> {
        let why = match (self, key) {
            (SealedSecrets::None, _) => return Ok(Secrets::default()),
            (SealedSecrets::Sealed(sealed), Some(key)) => {
                return key.unseal(sealed, episode, component);
            }
            (SealedSecrets::Sealed(_), None) => {
                "the secrets are sealed, and there is no key to open them with"
            }
            (SealedSecrets::Withheld, _) => {
                "the secrets were not written down, for there was no key to seal them with"
            }
        };
        Err(JournalError::Seal(why.to_owned()))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}
