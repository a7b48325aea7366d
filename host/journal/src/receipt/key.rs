//! The key pair of receipts.

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

impl ReceiptSigner {
    /// Draws a key.
    pub fn random() -> ReceiptSigner {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        ReceiptSigner(SigningKey::from_bytes(&seed))
    }

    /// Reads the key of a state directory. Creates it if there is none.
    pub fn open(dir: &StateDir) -> Result<ReceiptSigner, JournalError> {
        if let Some(signer) = ReceiptSigner::read(dir)? {
            return Ok(signer);
        }
        let path = dir.receipts_key();
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let text = Zeroizing::new(format!("{}\n", hex::encode(&*seed)));
        // The file gets its name when it is complete, and never replaces another
        // one: a second process may create a key at the same time.
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
        make().map_err(|error| io_error(&path, &error))?;
        ReceiptSigner::read(dir)?.ok_or_else(|| io_error(&path, &ErrorKind::NotFound.into()))
    }

    fn read(dir: &StateDir) -> Result<Option<ReceiptSigner>, JournalError> {
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
        let seed: Option<[u8; 32]> = hex::decode(text.trim());
        let seed = seed
            .map(Zeroizing::new)
            .ok_or_else(|| JournalError::Io(format!("{} holds no signing key", path.display())))?;
        Ok(Some(ReceiptSigner(SigningKey::from_bytes(&seed))))
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
