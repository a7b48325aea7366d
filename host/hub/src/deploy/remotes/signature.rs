//! Signatures of webhooks.

use axum::http::{HeaderMap, HeaderName};
use blake3::Hash;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// `sha256=` and the HMAC of the body, by GitHub and Gitea.
const GITHUB: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// The HMAC of the body, by Gitea.
const GITEA: HeaderName = HeaderName::from_static("x-gitea-signature");

/// The secret itself, by GitLab.
const GITLAB: HeaderName = HeaderName::from_static("x-gitlab-token");

/// Returns the secret of a webhook. It is derived, so that the database alone does
/// not have it.
pub(super) fn secret(key: &Hash, environment: &str, webhook: &str) -> String {
    let text = format!("webhook {environment} {webhook}");
    blake3::keyed_hash(key.as_bytes(), text.as_bytes())
        .to_hex()
        .to_string()
}

/// A body whose signatures are checked while it arrives.
pub(super) struct SignedBody {
    mac: Option<Hmac<Sha256>>,
    secret: String,
}

impl SignedBody {
    pub(super) fn new(secret: String) -> SignedBody {
        let mac = Hmac::new_from_slice(secret.as_bytes()).ok();
        SignedBody { mac, secret }
    }

    /// Adds bytes of the body.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if let Some(mac) = &mut self.mac {
            mac.update(bytes);
        }
    }

    /// Returns whether the headers have a signature, and each that they have is valid.
    /// The time does not depend on how much of one is.
    pub(super) fn verify(self, headers: &HeaderMap) -> bool {
        let Some(mac) = self.mac else { return false };
        let digest = mac.finalize().into_bytes();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = [
            (GITHUB, format!("sha256={digest}")),
            (GITEA, digest),
            (GITLAB, self.secret),
        ];
        let (mut found, mut valid) = (false, true);
        for (name, expected) in expected {
            for value in headers.get_all(name) {
                found = true;
                // Hashes are compared in constant time.
                valid &= blake3::hash(value.as_bytes()) == blake3::hash(expected.as_bytes());
            }
        }
        found && valid
    }
}
