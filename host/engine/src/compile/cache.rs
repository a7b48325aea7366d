//! An on-disk cache of compiled code.
//!
//! Compiled code is native code: a planted file here would run in the host. So
//! each file carries a keyed hash over its content and name, under a key that
//! only the host's user can read. A file whose hash does not match is deleted
//! and compiled again. The file is read whole before it is checked, and never
//! mapped, so the bytes that were checked are the bytes that run.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::compile::code::CompiledCode;
use orwd_model::Digest;

const MAC_LEN: usize = blake3::OUT_LEN;

/// A directory of compiled components.
#[derive(Clone)]
pub struct CodeCache {
    folder: PathBuf,
    key: [u8; blake3::KEY_LEN],
}

/// The cache directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the cache directory {}: {reason}", folder.display())]
pub struct CodeCacheError {
    folder: PathBuf,
    reason: io::Error,
}

impl CodeCache {
    /// Opens a cache directory, creating it if missing, with access for this
    /// user only.
    pub fn open(folder: &Path) -> Result<CodeCache, CodeCacheError> {
        let fail = |reason| CodeCacheError {
            folder: folder.to_owned(),
            reason,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(fail)?;
        let key = key(&folder.join("key")).map_err(fail)?;
        Ok(CodeCache {
            folder: folder.to_owned(),
            key,
        })
    }

    /// Returns the code compiled from this component for this engine, if it is
    /// cached and intact.
    pub(crate) fn get(&self, digest: Digest, engine: &wasmtime::Engine) -> Option<CompiledCode> {
        let name = file_name(digest, engine);
        let path = self.folder.join(&name);
        let mut content = fs::read(&path).ok()?;
        let code = content.len().checked_sub(MAC_LEN)?;
        let mac = content.split_off(code);
        if self.mac(&name, &content) == *mac {
            return Some(CompiledCode::from_cache(content));
        }
        tracing::warn!(file = %path.display(), "damaged code cache file deleted");
        // If this fails, the next write replaces the file anyway.
        let _ = fs::remove_file(&path);
        None
    }

    /// Stores compiled code. The file appears whole or not at all.
    pub(crate) fn put(
        &self,
        digest: Digest,
        engine: &wasmtime::Engine,
        code: &CompiledCode,
    ) -> io::Result<()> {
        let code = code.bytes();
        let name = file_name(digest, engine);
        let draft = self
            .folder
            .join(format!("{name}.{:016x}.tmp", rand::random::<u64>()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| {
                file.write_all(code)?;
                file.write_all(self.mac(&name, code).as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&draft, self.folder.join(&name)));
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written
    }

    /// Returns the keyed hash; `blake3::Hash` compares in constant time.
    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.as_bytes());
        hasher.update(&[0]);
        hasher.update(code);
        hasher.finalize()
    }
}

/// Reads the key, or creates one if there is none.
fn key(path: &Path) -> io::Result<[u8; blake3::KEY_LEN]> {
    let mut key = [0; blake3::KEY_LEN];
    let draft = path.with_extension(format!("{:016x}.tmp", rand::random::<u64>()));
    if !path.exists() {
        let drawn: [u8; blake3::KEY_LEN] = rand::random();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&drawn)?;
        file.sync_all()?;
        // If two hosts start at once, the first key wins: a hard link does not
        // replace.
        let _ = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
    }
    let mut file = fs::File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    file.read_exact(&mut key)?;
    Ok(key)
}

/// Returns a file name that depends on the component, the engine and the host's
/// version.
fn file_name(digest: Digest, engine: &wasmtime::Engine) -> String {
    let mut hasher = Blake(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    let engine = hasher.0.finalize().to_hex();
    let engine: String = engine.chars().take(16).collect();
    format!("{}-{engine}.cwasm", digest.hex())
}

/// A hasher whose result is the same in every process.
struct Blake(blake3::Hasher);

impl Hasher for Blake {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("orwd-{name}-{:016x}", rand::random::<u64>()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn code(bytes: &[u8]) -> CompiledCode {
        CompiledCode::from_cache(bytes.to_vec())
    }

    #[test]
    fn cached_code_is_returned_until_a_bit_flips() {
        let folder = scratch("cache");
        let cache = CodeCache::open(&folder).unwrap();
        let engine = wasmtime::Engine::default();
        let digest = Digest::of(b"component");
        assert!(cache.get(digest, &engine).is_none());
        cache.put(digest, &engine, &code(b"code of it")).unwrap();
        let again = CodeCache::open(&folder).unwrap();
        assert_eq!(again.get(digest, &engine).unwrap().bytes(), b"code of it");

        let path = folder.join(file_name(digest, &engine));
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(cache.get(digest, &engine).is_none(), "byte {place}");
            assert!(!path.exists());
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn code_of_another_component_is_rejected() {
        let folder = scratch("swap");
        let cache = CodeCache::open(&folder).unwrap();
        let engine = wasmtime::Engine::default();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        cache.put(one, &engine, &code(b"code")).unwrap();
        let (from, to) = (file_name(one, &engine), file_name(two, &engine));
        fs::copy(folder.join(from), folder.join(to)).unwrap();
        assert!(cache.get(two, &engine).is_none());
        fs::remove_dir_all(folder).unwrap();
    }
}
