//! Digests of what an environment consists of: its component and its data.

use sha2::{Digest as _, Sha256};

byte_array_type! {
    /// The SHA-256 of a component's bytes. It identifies a version of an
    /// environment.
    Digest, 32, "sha256:"
}

impl Digest {
    /// Hashes the bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }
}

byte_array_type! {
    /// The BLAKE3 hash of everything that a guest can see of a data directory.
    DataDigest, 32, "blake3:"
}
