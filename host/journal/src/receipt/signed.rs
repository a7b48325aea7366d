//! Signed receipts: an episode's versions, task, calls and rewards under one
//! signature of the host.
//!
//! A receipt is JSON. The signature does not cover that text but the values in
//! it, in the encoding of the journal, so that a receipt may be reformatted. With
//! the exported journal, everything in a receipt is derived again and compared:
//! the chain, the hashes, and the rewards from the recorded outcomes.

use std::fmt;

use ed25519_dalek::Signature;
use orwd_model::hex;
use serde::{Deserialize, Serialize};

use super::body::{ReceiptBody, VERSION};
use super::key::{ReceiptKey, ReceiptSigner};
use crate::history::EpisodeHistory;

/// A signed summary of an episode, or of its records so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The signed content.
    pub receipt: ReceiptBody,
    /// The public key, as [`ReceiptKey`] displays it.
    pub key: String,
    /// The signature, in hexadecimal digits.
    pub signature: String,
}

/// A receipt is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The text is not a receipt.
    #[error("this is not a receipt: {0}")]
    Unreadable(String),
    /// Another version of orwd wrote it.
    #[error("the receipt is of version {0}, and this orwd reads version {VERSION}")]
    Version(u32),
    /// The signature does not match the content and the key.
    #[error("invalid signature: the receipt was changed, or another key signed it")]
    Signature,
    /// Another key than the expected one signed it.
    #[error("it was signed by {found}, not by {expected}")]
    Key {
        /// The key that signed it.
        found: String,
        /// The expected key.
        expected: String,
    },
    /// The journal has other values.
    #[error("the receipt differs from the journal: {0}")]
    Journal(String),
}

impl Receipt {
    /// Signs the summary of a history.
    pub fn sign(history: &EpisodeHistory, signer: &ReceiptSigner) -> Receipt {
        Receipt::sign_body(ReceiptBody::of(history), signer)
    }

    /// Signs a summary.
    pub(super) fn sign_body(body: ReceiptBody, signer: &ReceiptSigner) -> Receipt {
        let signature = signer.sign(&body.signed_bytes());
        Receipt {
            receipt: body,
            key: signer.key().to_string(),
            signature: hex::encode(&signature.to_bytes()),
        }
    }

    /// Parses a receipt. The version is checked before everything else.
    pub fn parse(text: &str) -> Result<Receipt, ReceiptError> {
        #[derive(Deserialize)]
        struct Outer {
            receipt: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            version: u32,
        }
        let unreadable = |error: serde_json::Error| ReceiptError::Unreadable(error.to_string());
        let Outer { receipt } = serde_json::from_str(text).map_err(unreadable)?;
        if receipt.version != VERSION {
            return Err(ReceiptError::Version(receipt.version));
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// Returns the receipt as JSON.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        serde_json::to_string_pretty(self)
            .map_err(|error| ReceiptError::Unreadable(error.to_string()))
    }

    /// Checks the signature, and that the expected key made it, if given.
    pub fn verify(&self, expected: Option<&ReceiptKey>) -> Result<ReceiptKey, ReceiptError> {
        let key = ReceiptKey::parse(&self.key)
            .ok_or_else(|| ReceiptError::Unreadable("its key is invalid".to_owned()))?;
        if let Some(expected) = expected.filter(|expected| **expected != key) {
            return Err(ReceiptError::Key {
                found: key.to_string(),
                expected: expected.to_string(),
            });
        }
        let bytes = hex::decode(&self.signature).ok_or(ReceiptError::Signature)?;
        let signature = Signature::from_bytes(&bytes);
        if key.verifies(&self.receipt.signed_bytes(), &signature) {
            Ok(key)
        } else {
            Err(ReceiptError::Signature)
        }
    }

    /// Derives the content again from a history with as many records. The error
    /// names the first difference.
    pub fn compare(&self, history: &EpisodeHistory) -> Result<(), ReceiptError> {
        // Which records the signer did not run, only the signer can state.
        let imported = self.receipt.imported_records;
        let derived = ReceiptBody::of(&history.clone().with_imported(imported));
        let (said, found) = (&self.receipt, &derived);
        let fields: [(&str, &dyn fmt::Debug, &dyn fmt::Debug); 15] = [
            ("episode", &said.episode, &found.episode),
            ("session", &said.session, &found.session),
            ("environment", &said.environment, &found.environment),
            ("component", &said.component, &found.component),
            ("data", &said.data, &found.data),
            ("task", &said.task, &found.task),
            ("seed", &said.seed, &found.seed),
            ("start", &said.start, &found.start),
            ("host", &said.host, &found.host),
            ("engine", &said.engine, &found.engine),
            ("ended", &said.ended, &found.ended),
            ("number of records", &said.records, &found.records),
            ("total reward", &said.total_reward, &found.total_reward),
            ("finished", &said.finished, &found.finished),
            ("number of calls", &said.calls.len(), &found.calls.len()),
        ];
        for (name, said, found) in fields {
            let (said, found) = (format!("{said:?}"), format!("{found:?}"));
            if said != found {
                return Err(ReceiptError::Journal(format!(
                    "its {name} is {said}, and {found} in the journal"
                )));
            }
        }
        for (said, found) in said.calls.iter().zip(&found.calls) {
            if said != found {
                return Err(ReceiptError::Journal(format!(
                    "the call in record {} is {said:?}, and {found:?} in the journal",
                    found.seq
                )));
            }
        }
        // Everything, for a field that the list above lacks.
        if *said == *found {
            Ok(())
        } else {
            Err(ReceiptError::Journal("it has another chain".to_owned()))
        }
    }
}
