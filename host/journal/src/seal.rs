//! Secrets as they may lie on a disk.
//!
//! They are sealed with XChaCha20-Poly1305 under a key that is not in the
//! directory of state, for one episode: moved to another they do not open. So
//! are the words of an episode that has secrets, each for its record. The
//! key and the text are wiped from memory when they are dropped; a `Debug` of
//! the key shows nothing.

use std::fmt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::error::JournalError;
use super::format;
use super::id::EpisodeId;
use super::record::SealedSecrets;
use orwd_model::{Secret, Secrets};

/// The first byte of what is sealed.
const VERSION: u8 = 1;

/// Bytes by which a key is known again.
const NAME: usize = 8;

/// Bytes of a nonce, drawn for each.
const NONCE: usize = 24;

/// The largest file that is read for a key.
const KEY_FILE: u64 = 4096;

/// The key that secrets are sealed with.
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// Reads a key: 64 hexadecimal digits, with white space around them.
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
        file.take(KEY_FILE)
            .read_to_string(&mut text)
            .map_err(|error| unread(error.to_string()))?;
        SealKey::parse(&text).map_err(|error| unread(error.to_string()))
    }

    /// Seals secrets for an episode.
    pub(super) fn seal(
        &self,
        secrets: &Secrets,
        episode: EpisodeId,
    ) -> Result<Vec<u8>, JournalError> {
        let pairs: Vec<(&str, &str)> = secrets
            .iter()
            .map(|secret| (secret.name.as_str(), secret.expose()))
            .collect();
        // Made large enough at once, so that no copy is left behind.
        let size = pairs
            .iter()
            .map(|(name, value)| name.len() + value.len() + 32);
        let mut text = Zeroizing::new(Vec::with_capacity(size.sum::<usize>() + 32));
        format::write(&pairs, &mut text);
        self.close(&text, episode.as_bytes())
    }

    /// Seals the words of a record for its place.
    pub(super) fn seal_words(
        &self,
        words: &[u8],
        episode: EpisodeId,
        seq: u64,
    ) -> Result<Vec<u8>, JournalError> {
        self.close(words, &place(episode, seq))
    }

    /// Opens the words of the record in this place.
    pub(super) fn open_words(
        &self,
        sealed: &[u8],
        episode: EpisodeId,
        seq: u64,
    ) -> Result<Zeroizing<Vec<u8>>, JournalError> {
        self.open(sealed, &place(episode, seq))
    }

    /// Opens what was sealed for an episode.
    pub(super) fn unseal(
        &self,
        sealed: &[u8],
        episode: EpisodeId,
    ) -> Result<Secrets, JournalError> {
        let text = self.open(sealed, episode.as_bytes())?;
        let pairs: Vec<(String, String)> = format::read(&text).map_err(|_| broken())?;
        let secrets = pairs
            .into_iter()
            .map(|(name, value)| Secret::new(name, Zeroizing::new(value)));
        Ok(Secrets::new(secrets.collect()))
    }

    fn close(&self, msg: &[u8], aad: &[u8]) -> Result<Vec<u8>, JournalError> {
        let nonce: [u8; NONCE] = rand::random();
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg, aad })
            .map_err(|_| JournalError::Seal("this is too large to be sealed".to_owned()))?;
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.name());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, JournalError> {
        let (version, rest) = sealed.split_first().ok_or_else(broken)?;
        if *version != VERSION {
            return Err(JournalError::Seal(format!(
                "the secrets are sealed in version {version}, and this orwd opens {VERSION}"
            )));
        }
        let (name, rest) = rest.split_first_chunk::<NAME>().ok_or_else(broken)?;
        if *name != self.name() {
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

    /// What the key is known by, which says nothing of it.
    fn name(&self) -> [u8; NAME] {
        let hash = blake3::derive_key("orwd journal 2026 v1 name of a seal key", &*self.0);
        let mut name = [0; NAME];
        name.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        name
    }
}

fn broken() -> JournalError {
    JournalError::Seal("the sealed secrets are damaged".to_owned())
}

/// What binds a record's words to its place.
fn place(episode: EpisodeId, seq: u64) -> [u8; 24] {
    let mut place = [0; 24];
    let (front, back) = place.split_at_mut(16);
    front.copy_from_slice(episode.as_bytes());
    back.copy_from_slice(&seq.to_be_bytes());
    place
}

impl SealedSecrets {
    /// Opens the secrets of an episode, if there are any, with this key.
    pub fn open(&self, key: Option<&SealKey>, episode: EpisodeId) -> Result<Secrets, JournalError> {
        let why = match (self, key) {
            (SealedSecrets::None, _) => return Ok(Secrets::default()),
            (SealedSecrets::Sealed(sealed), Some(key)) => return key.unseal(sealed, episode),
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
