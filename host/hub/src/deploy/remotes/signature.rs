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

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    // The example of GitHub's documentation.
    const DIGEST: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn signed(body: &[u8], headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let mut signed = SignedBody::new(SECRET.to_owned());
        for part in body.chunks(4) {
            signed.add(part);
        }
        signed.verify(&map)
    }

    #[test]
    fn the_signatures_of_three_forges_are_checked() {
        let github = format!("sha256={DIGEST}");
        assert!(signed(BODY, &[("x-hub-signature-256", &github)]));
        assert!(signed(BODY, &[("x-gitea-signature", DIGEST)]));
        assert!(signed(b"any", &[("x-gitlab-token", SECRET)]));
        // Gitea sends both.
        let both = [
            ("x-gitea-signature", DIGEST),
            ("x-hub-signature-256", &*github),
        ];
        assert!(signed(BODY, &both));
    }

    #[test]
    fn a_body_without_a_valid_signature_is_refused() {
        let github = format!("sha256={DIGEST}");
        assert!(!signed(BODY, &[]));
        assert!(!signed(
            b"Hello, World?",
            &[("x-hub-signature-256", &github)]
        ));
        for (name, value) in [
            ("x-hub-signature-256", DIGEST),
            ("x-hub-signature-256", "sha256="),
            ("x-hub-signature-256", ""),
            ("x-hub-signature", &*github),
            ("x-gitea-signature", ""),
            ("x-gitea-signature", &*DIGEST.to_uppercase()),
            ("x-gitlab-token", ""),
            ("x-gitlab-token", DIGEST),
        ] {
            assert!(!signed(BODY, &[(name, value)]), "{name}: {value}");
        }
        // One that is valid does not make up for one that is not.
        let mixed = [("x-gitlab-token", SECRET), ("x-gitea-signature", "00")];
        assert!(!signed(BODY, &mixed));
    }

    #[test]
    fn a_secret_is_that_of_one_webhook() {
        let key = blake3::hash(b"key");
        let first = secret(&key, "e", "1");
        assert_eq!(first.len(), 64);
        assert_eq!(first, secret(&key, "e", "1"));
        for other in [
            secret(&key, "e", "2"),
            secret(&key, "f", "1"),
            secret(&blake3::hash(b"other"), "e", "1"),
        ] {
            assert_ne!(first, other);
        }
    }
}
