//! The capability to store one file.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::Hash;
use orwd_hub_store::unix_seconds;
use serde::{Deserialize, Serialize};

use crate::http::error::ApiError;

/// Seconds for which an address is valid.
const LIFETIME: i64 = 15 * 60;

/// The folder whose files are deployed and not stored.
const DEPLOY_FOLDER: &str = ".orwd/deploy/";

/// The capability to store one file. It is part of an address, and signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadToken {
    #[serde(rename = "e")]
    pub(super) environment: String,
    #[serde(rename = "p")]
    pub(super) path: String,
    #[serde(rename = "x")]
    expires: i64,
}

impl UploadToken {
    pub(crate) fn new(environment: &str, path: &str) -> UploadToken {
        UploadToken {
            environment: environment.to_owned(),
            path: path.to_owned(),
            expires: unix_seconds() + LIFETIME,
        }
    }

    /// Checks that a path of the reserved folder is one that has a meaning.
    pub(crate) fn check_reserved(path: &str) -> Result<(), ApiError> {
        if !path.starts_with(".orwd/") || component_of(path).is_some() {
            return Ok(());
        }
        Err(ApiError::invalid(format!(
            "{path:?} is in the reserved folder .orwd; a component to deploy is \
             {DEPLOY_FOLDER}NAME.wasm"
        )))
    }

    /// Returns the file name of the component, if the file is to be deployed.
    pub(super) fn component(&self) -> Option<&str> {
        component_of(&self.path)
    }

    /// Returns the text of the token.
    pub(crate) fn seal(&self, key: &Hash) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let body = URL_SAFE_NO_PAD.encode(text);
        let signature = blake3::keyed_hash(key.as_bytes(), body.as_bytes()).to_hex();
        format!("{body}.{signature}")
    }

    /// Returns the token of a text, if it is valid.
    pub(super) fn open(text: &str, key: &Hash) -> Option<UploadToken> {
        let (body, signature) = text.split_once('.')?;
        // `Hash` compares in constant time.
        let expected = blake3::keyed_hash(key.as_bytes(), body.as_bytes());
        if Hash::from_hex(signature).ok()? != expected {
            return None;
        }
        let text = URL_SAFE_NO_PAD.decode(body).ok()?;
        let token: UploadToken = serde_json::from_slice(&text).ok()?;
        (token.expires > unix_seconds()).then_some(token)
    }
}

fn component_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix(DEPLOY_FOLDER)?;
    let stem = name.strip_suffix(".wasm")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (!stem.is_empty() && stem.bytes().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sealed_token_is_valid_and_only_for_a_while() {
        let (key, other) = (blake3::hash(b"key"), blake3::hash(b"other"));
        let token = UploadToken::new("env", "a/b ü.txt");
        let text = token.seal(&key);
        assert_eq!(UploadToken::open(&text, &key), Some(token.clone()));
        assert_eq!(UploadToken::open(&text, &other), None);
        assert_eq!(UploadToken::open(&format!("x{text}"), &key), None);
        assert_eq!(UploadToken::open(&text[..text.len() - 1], &key), None);
        let late = UploadToken {
            expires: unix_seconds(),
            ..token
        };
        assert_eq!(UploadToken::open(&late.seal(&key), &key), None);
    }

    #[test]
    fn the_reserved_folder_takes_components_only() {
        for path in ["a", "x/.orwd/y", ".orwd/deploy/env.wasm", ".orwdx"] {
            assert!(UploadToken::check_reserved(path).is_ok(), "{path}");
        }
        for path in [
            ".orwd/x",
            ".orwd/deploy/env.py",
            ".orwd/deploy/a/b.wasm",
            ".orwd/deploy/.wasm",
        ] {
            assert!(UploadToken::check_reserved(path).is_err(), "{path}");
        }
    }
}
