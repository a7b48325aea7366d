//! Compiled code, kept on disk between starts.
//!
//! Compiled code is native code, and whoever can plant a file here could run
//! their own in the host. So each file carries a keyed hash over its content
//! and its name, under a key that only the host's user can read; a file that
//! does not bear it, for whatever reason, is deleted and made again. The whole
//! file is read before it is checked and never mapped, so that what was
//! checked is what runs.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::compiler::Code;
use orwd_model::Digest;

const MAC: usize = blake3::OUT_LEN;

/// A directory of compiled components.
#[derive(Clone)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; blake3::KEY_LEN],
}

/// Why a directory cannot hold compiled code.
#[derive(Debug, thiserror::Error)]
#[error("the cache directory {} cannot be used: {reason}", folder.display())]
pub struct CacheError {
    folder: PathBuf,
    reason: io::Error,
}

impl Cache {
    /// Opens a directory, which is made if it is not there, private to this
    /// user.
    pub fn open(folder: &Path) -> Result<Cache, CacheError> {
        let fail = |reason| CacheError {
            folder: folder.to_owned(),
            reason,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(fail)?;
        let key = key(&folder.join("key")).map_err(fail)?;
        Ok(Cache {
            folder: folder.to_owned(),
            key,
        })
    }

    /// What was compiled from this component for this engine, if it is here
    /// and untouched.
    pub(super) fn get(&self, digest: Digest, engine: &wasmtime::Engine) -> Option<Code> {
        let name = file_name(digest, engine);
        let path = self.folder.join(&name);
        let mut content = fs::read(&path).ok()?;
        let code = content.len().checked_sub(MAC)?;
        let mac = content.split_off(code);
        if self.mac(&name, &content) == *mac {
            return Some(Code::from_cache(content));
        }
        tracing::warn!(file = %path.display(), "a damaged file of compiled code was deleted");
        // Should that fail, the new one replaces it all the same.
        let _ = fs::remove_file(&path);
        None
    }

    /// Keeps what was compiled. The file appears whole or not at all.
    pub(super) fn put(
        &self,
        digest: Digest,
        engine: &wasmtime::Engine,
        code: &Code,
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

    /// The hash type compares in constant time.
    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.as_bytes());
        hasher.update(&[0]);
        hasher.update(code);
        hasher.finalize()
    }
}

/// Reads the key, or draws one if there is none.
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
        // Of two hosts that start at the same time, one key wins: a link does
        // not replace.
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

/// A name that changes with the component, the engine and the host.
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

    fn code(bytes: &[u8]) -> Code {
        Code::from_cache(bytes.to_vec())
    }

    #[test]
    fn what_was_put_comes_back_until_a_bit_of_it_flips() {
        let folder = scratch("cache");
        let cache = Cache::open(&folder).unwrap();
        let engine = wasmtime::Engine::default();
        let digest = Digest::of(b"component");
        assert!(cache.get(digest, &engine).is_none());
        cache.put(digest, &engine, &code(b"code of it")).unwrap();
        let again = Cache::open(&folder).unwrap();
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
    fn code_does_not_pass_for_that_of_another_component() {
        let folder = scratch("swap");
        let cache = Cache::open(&folder).unwrap();
        let engine = wasmtime::Engine::default();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        cache.put(one, &engine, &code(b"code")).unwrap();
        let (from, to) = (file_name(one, &engine), file_name(two, &engine));
        fs::copy(folder.join(from), folder.join(to)).unwrap();
        assert!(cache.get(two, &engine).is_none());
        fs::remove_dir_all(folder).unwrap();
    }
}
