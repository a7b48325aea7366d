//! The key that a host signs receipts with, and what others know it by.

use std::fmt;
use std::io::{ErrorKind, Read, Write};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::{hex, unhex};
use crate::error::JournalError;
use crate::state::{StateDir, unusable};

/// Signs receipts. Wiped from memory when it is dropped; its `Debug` shows the
/// public key alone.
#[derive(Clone)]
pub struct Signer(SigningKey);

/// The public key of a host: who signed a receipt. Written as 64 hexadecimal
/// digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReceiptKey(VerifyingKey);

impl Signer {
    /// A key that is gone with the process.
    pub fn random() -> Signer {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        Signer(SigningKey::from_bytes(&seed))
    }

    /// The key of this directory of state, made if there is none.
    pub fn open(dir: &StateDir) -> Result<Signer, JournalError> {
        if let Some(signer) = Signer::read(dir)? {
            return Ok(signer);
        }
        let path = dir.receipts_key();
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let text = Zeroizing::new(format!("{}\n", hex(&*seed)));
        // Under its name only when it is whole, and never in place of another:
        // a second host or command may make one at the same time.
        let make = || -> std::io::Result<()> {
            let mut draft = tempfile::NamedTempFile::new_in(dir.path())?;
            draft.write_all(text.as_bytes())?;
            draft.as_file().sync_all()?;
            match draft.persist_noclobber(&path) {
                Ok(_) => Ok(()),
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(error.error),
            }
        };
        make().map_err(|error| unusable(&path, &error))?;
        Signer::read(dir)?.ok_or_else(|| unusable(&path, &ErrorKind::NotFound.into()))
    }

    fn read(dir: &StateDir) -> Result<Option<Signer>, JournalError> {
        let path = dir.receipts_key();
        let mut text = Zeroizing::new(String::new());
        match std::fs::File::open(&path) {
            Ok(file) => file
                .take(256)
                .read_to_string(&mut text)
                .map_err(|error| unusable(&path, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &error)),
        };
        let seed = unhex(text.trim()).map(Zeroizing::new);
        let seed: Option<&[u8; 32]> = seed
            .as_ref()
            .and_then(|seed| seed.as_slice().try_into().ok());
        let seed = seed.ok_or_else(|| {
            JournalError::Io(format!("{} holds no key to sign with", path.display()))
        })?;
        Ok(Some(Signer(SigningKey::from_bytes(seed))))
    }

    /// What others know it by.
    pub fn key(&self) -> ReceiptKey {
        ReceiptKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Signature {
        self.0.sign(bytes)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.key())
    }
}

impl ReceiptKey {
    /// Reads a key as it is written; `None` for any other text.
    pub fn parse(text: &str) -> Option<ReceiptKey> {
        let bytes = unhex(text)?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().map(ReceiptKey)
    }

    /// Whether it made the signature. Strictly: of the forms that a signature
    /// can have, one is let in.
    pub(super) fn has_signed(&self, bytes: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(bytes, signature).is_ok()
    }
}

impl fmt::Display for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.0.as_bytes()))
    }
}

impl fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
