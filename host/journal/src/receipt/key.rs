//! The key pair of receipts.
//!
//! Its file holds the secret key and the public one. They are compared when the
//! file is read, so a damaged file is refused and never signs as another host.

use std::fmt;
use std::io::{ErrorKind, Read, Write};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use orwd_model::hex;
use zeroize::Zeroizing;

use crate::error::JournalError;
use crate::state_dir::{StateDir, io_error};

/// Signs receipts. Zeroed on drop; `Debug` shows the public key only.
#[derive(Clone)]
pub struct ReceiptSigner(SigningKey);

/// The public key of a host, which identifies the signer of a receipt. Displayed
/// as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReceiptKey(VerifyingKey);

/// The form of a key file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyFile {
    /// The secret key alone, as earlier versions wrote it.
    SecretOnly,
    /// Both keys.
    Pair,
}

/// What happens to an existing key file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnExisting {
    /// It stays: a second process may create a key at the same time.
    Keep,
    Replace,
}

impl ReceiptSigner {
    /// Draws a key.
    pub fn random() -> ReceiptSigner {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        ReceiptSigner(SigningKey::from_bytes(&seed))
    }

    /// Reads the key of a state directory. Creates it if there is none.
    pub fn open(dir: &StateDir) -> Result<ReceiptSigner, JournalError> {
        if let Some((signer, form)) = ReceiptSigner::read(dir)? {
            if form == KeyFile::SecretOnly {
                signer.write(dir, OnExisting::Replace)?;
            }
            return Ok(signer);
        }
        ReceiptSigner::random().write(dir, OnExisting::Keep)?;
        let read = ReceiptSigner::read(dir)?;
        let missing = || io_error(&dir.receipts_key(), &ErrorKind::NotFound.into());
        read.map(|(signer, _)| signer).ok_or_else(missing)
    }

    /// Writes the key file. It gets its name when it is complete.
    fn write(&self, dir: &StateDir, existing: OnExisting) -> Result<(), JournalError> {
        let path = dir.receipts_key();
        let seed = Zeroizing::new(self.0.to_bytes());
        let secret = Zeroizing::new(hex::encode(&*seed));
        let text = Zeroizing::new(format!("{} {}\n", *secret, self.key()));
        let make = || -> std::io::Result<()> {
            let mut draft = tempfile::NamedTempFile::new_in(dir.path())?;
            draft.write_all(text.as_bytes())?;
            draft.as_file().sync_all()?;
            match existing {
                OnExisting::Replace => draft.persist(&path).map(drop).map_err(|error| error.error),
                OnExisting::Keep => match draft.persist_noclobber(&path) {
                    Ok(_) => Ok(()),
                    Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
                    Err(error) => Err(error.error),
                },
            }
        };
        make().map_err(|error| io_error(&path, &error))
    }

    fn read(dir: &StateDir) -> Result<Option<(ReceiptSigner, KeyFile)>, JournalError> {
        let path = dir.receipts_key();
        let mut text = Zeroizing::new(String::new());
        match std::fs::File::open(&path) {
            Ok(file) => file
                .take(256)
                .read_to_string(&mut text)
                .map_err(|error| io_error(&path, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path, &error)),
        };
        let invalid = |what: &str| JournalError::Io(format!("{} {what}", path.display()));
        let mut words = text.split_whitespace();
        let seed: Option<[u8; 32]> = words.next().and_then(hex::decode);
        let seed = seed
            .map(Zeroizing::new)
            .ok_or_else(|| invalid("holds no signing key"))?;
        let signer = ReceiptSigner(SigningKey::from_bytes(&seed));
        let form = match (words.next(), words.next()) {
            (None, _) => KeyFile::SecretOnly,
            (Some(public), None) if public == signer.key().to_string() => KeyFile::Pair,
            _ => {
                return Err(invalid(
                    "is damaged: its secret key and its public key are no pair; restore it from \
                     a backup, or remove it to sign with a new key",
                ));
            }
        };
        Ok(Some((signer, form)))
    }

    /// Returns the public key.
    pub fn key(&self) -> ReceiptKey {
        ReceiptKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Signature {
        self.0.sign(bytes)
    }
}

impl fmt::Debug for ReceiptSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptSigner({})", self.key())
    }
}

impl ReceiptKey {
    /// Parses a key as it is displayed. Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<ReceiptKey> {
        let bytes = hex::decode(text)?;
        VerifyingKey::from_bytes(&bytes).ok().map(ReceiptKey)
    }

    /// Whether this key made the signature. Strict: only one of the possible
    /// encodings of a signature is accepted.
    pub(super) fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(bytes, signature).is_ok()
    }
}

impl fmt::Display for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
