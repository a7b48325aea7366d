//! API keys: whose they are, and how they are kept current.
//!
//! The key file is reloaded every second, so that removing a line revokes its
//! key. A missing or invalid file admits nobody, since removing it may have been
//! meant as revocation. Keys themselves are never stored or logged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap};
use orwd_session::Principal;

use super::key_file::{GeneratedKey, KeyFile, KeyInfo, KeyRejection, is_valid_name};
use super::key_time::KeyTime;

const HEADER: &str = "x-api-key";

/// The time between two reloads of the file.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The largest key file, in bytes.
const MAX_FILE_SIZE: u64 = 4 << 20;

/// Mode bits that let other users write the file, and so add a key.
const WRITABLE_BY_OTHERS: u32 = 0o022;

const FILE_HEADER: &str = "# API keys of orwd, one a line, without the keys themselves. Add with \
                           `orwd keys add NAME`,\n# and revoke with `orwd keys revoke NAME` or by \
                           removing the line.\n";

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeysError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Other users could add keys.
    #[error("other users can write the file; run `chmod go-w` on it")]
    WritableByOthers,
    /// The content is invalid.
    #[error("not a valid key file: {0}")]
    Malformed(String),
    /// A key of this name exists.
    #[error("a key named {0:?} exists; to replace it, revoke it first with `orwd keys revoke {0}`")]
    NameTaken(String),
    /// No key of this name exists.
    #[error("there is no key named {0:?}; `orwd keys list` lists the names")]
    NoSuchName(String),
    /// The line of a name cannot be told from others.
    #[error("the key {0:?} is not in a line of its own; remove it by hand")]
    NotInALine(String),
    /// The name is not allowed in the file.
    #[error("invalid name: use 1 to 64 letters, digits, '-' and '_'")]
    InvalidName,
}

/// The API keys of a file, in its current state.
#[derive(Clone)]
pub struct ApiKeys {
    path: PathBuf,
    current: Arc<RwLock<Arc<KeyFile>>>,
}

impl ApiKeys {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<ApiKeys, ApiKeysError> {
        Ok(ApiKeys {
            path: path.to_owned(),
            current: Arc::new(RwLock::new(Arc::new(load(path)?))),
        })
    }

    /// Creates a key, adds it to the file and returns it; it is not stored
    /// elsewhere. Creates the file if it does not exist.
    pub fn add(path: &Path, name: &str, expires: Option<KeyTime>) -> Result<String, ApiKeysError> {
        if !is_valid_name(name) {
            return Err(ApiKeysError::InvalidName);
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        // A concurrent `add` must see the line that this one writes.
        file.lock()?;
        let text = read(&mut file)?;
        let keys = KeyFile::parse(&text).map_err(ApiKeysError::Malformed)?;
        if keys.has_name(name) {
            return Err(ApiKeysError::NameTaken(name.to_owned()));
        }
        let GeneratedKey { key, line } = GeneratedKey::random(name, KeyTime::now(), expires);
        let separator = match text.as_str() {
            "" => FILE_HEADER,
            text if text.ends_with('\n') => "",
            _ => "\n",
        };
        file.seek(io::SeekFrom::End(0))?;
        file.write_all(format!("{separator}{line}").as_bytes())?;
        file.sync_all()?;
        Ok(key)
    }

    /// Lists what a file says of its keys, by name.
    pub fn list(path: &Path) -> Result<Vec<KeyInfo>, ApiKeysError> {
        Ok(load(path)?.list())
    }

    /// Removes the keys of these names from a file, all or none. A server that
    /// uses the file refuses them within seconds.
    pub fn revoke(path: &Path, names: &[String]) -> Result<(), ApiKeysError> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        file.lock()?;
        let mut text = read(&mut file)?;
        for name in names {
            let keys = KeyFile::parse(&text).map_err(ApiKeysError::Malformed)?;
            if !keys.has_name(name) {
                return Err(ApiKeysError::NoSuchName(name.clone()));
            }
            text = KeyFile::without(&text, name)
                .ok_or_else(|| ApiKeysError::NotInALine(name.clone()))?;
        }
        // In place, since the path may be a link, and readers wait for the lock.
        // The new text is shorter. If writing stops halfway, the file is not valid
        // and admits nobody.
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)?;
        file.sync_all()?;
        Ok(())
    }

    /// Returns the current number of keys.
    pub fn count(&self) -> usize {
        self.current().len()
    }

    /// Returns the principal of a request that has a key, and no wrong one.
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Result<Principal, KeyRejection> {
        let bare = headers.get_all(HEADER).iter().map(|value| value.as_bytes());
        let bearer = headers.get_all(AUTHORIZATION).iter();
        let bearer = bearer.filter_map(|value| bearer_token(value.as_bytes()));
        let (keys, now) = (self.current(), KeyTime::now());
        let mut found: Option<Principal> = None;
        // A client without a key sends an empty one.
        for key in bare.chain(bearer).filter(|key| !key.is_empty()) {
            let principal = keys.find(key, now)?;
            match &found {
                Some(other) if *other != principal => return Err(KeyRejection::Invalid),
                _ => found = Some(principal),
            }
        }
        found.ok_or(KeyRejection::Invalid)
    }

    /// Reloads the file while polled. A new content applies once it was read
    /// twice: an editor may be writing.
    pub(crate) async fn watch_file(self) {
        let mut previous = None;
        let mut reported = None;
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let path = self.path.clone();
            let loaded = tokio::task::spawn_blocking(move || load(&path)).await;
            let loaded = match loaded {
                Ok(loaded) => loaded.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if previous.as_ref() == Some(&loaded) {
                self.replace(loaded.clone(), &mut reported);
            }
            previous = Some(loaded);
        }
    }

    /// Replaces the keys; an error leaves none. Logs each new error once.
    fn replace(&self, loaded: Result<KeyFile, String>, reported: &mut Option<String>) {
        let (keys, error) = match loaded {
            Ok(keys) => (keys, None),
            Err(error) => (KeyFile::default(), Some(error)),
        };
        if let Some(error) = &error
            && reported.as_ref() != Some(error)
        {
            tracing::error!(
                file = %self.path.display(),
                error,
                "cannot reload key file; all API keys are refused"
            );
        }
        let changed = *self.current() != keys;
        if changed && error.is_none() {
            tracing::info!(keys = keys.len(), "key file reloaded");
        }
        if changed {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        }
        *reported = error;
    }

    fn current(&self) -> Arc<KeyFile> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKeys({})", self.path.display())
    }
}

fn load(path: &Path) -> Result<KeyFile, ApiKeysError> {
    let mut file = File::open(path)?;
    // Waits for a line that is being added.
    file.lock_shared()?;
    KeyFile::parse(&read(&mut file)?).map_err(ApiKeysError::Malformed)
}

fn read(file: &mut File) -> Result<String, ApiKeysError> {
    if file.metadata()?.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(ApiKeysError::WritableByOthers);
    }
    let mut text = String::new();
    file.take(MAX_FILE_SIZE).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length >= MAX_FILE_SIZE) {
        return Err(ApiKeysError::Malformed("it is too large".to_owned()));
    }
    Ok(text)
}

/// Returns the token of a `Bearer` header; other schemes are ignored.
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    struct TempFile(PathBuf);

    impl TempFile {
        fn new() -> TempFile {
            let name = format!("orwd-keys-{:016x}", rand::random::<u64>());
            TempFile(std::env::temp_dir().join(name))
        }
    }

    impl Drop for TempFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn owner(keys: &ApiKeys, headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let principal = keys.principal(&map).ok()?;
        principal.name().map(str::to_owned)
    }

    #[test]
    fn finds_the_owner_of_a_key_in_either_header() {
        let file = TempFile::new();
        let alice = ApiKeys::add(&file.0, "alice", None).unwrap();
        let bob = ApiKeys::add(&file.0, "bob", None).unwrap();
        let keys = ApiKeys::open(&file.0).unwrap();
        let bearer = |key: &str| format!("Bearer {key}");
        let name = |name: &str| Some(name.to_owned());
        let (id, secret) = alice[5..].split_once('_').unwrap();
        let (bobs_id, _) = bob[5..].split_once('_').unwrap();
        let last = if secret.ends_with('0') { "1" } else { "0" };
        let altered = format!("{}{last}", &alice[..alice.len() - 1]);
        let foreign_id = format!("orwd_{bobs_id}_{secret}");
        for (headers, expected) in [
            (vec![], None),
            (vec![("x-api-key", &*alice)], name("alice")),
            (vec![("authorization", &*bearer(&bob))], name("bob")),
            (
                vec![("authorization", &*format!("bEARER   {bob} "))],
                name("bob"),
            ),
            (
                vec![("x-api-key", ""), ("authorization", &*bearer(&alice))],
                name("alice"),
            ),
            (
                vec![("x-api-key", &*alice), ("authorization", &*bearer(&alice))],
                name("alice"),
            ),
            (
                vec![("x-api-key", &*alice), ("authorization", "Basic eDp5")],
                name("alice"),
            ),
            (
                vec![("x-api-key", &*alice), ("authorization", &*bearer(&bob))],
                None,
            ),
            (vec![("x-api-key", &*alice), ("x-api-key", &*altered)], None),
            (vec![("x-api-key", &*altered)], None),
            (vec![("x-api-key", &*foreign_id)], None),
            (vec![("x-api-key", &*alice.to_uppercase())], None),
            (vec![("x-api-key", &*format!("{alice}0"))], None),
            (vec![("x-api-key", &*format!("orwd_{id}_"))], None),
            (vec![("x-api-key", &*format!("orwd_{id}"))], None),
            (vec![("x-api-key", secret)], None),
            (vec![("x-api-key", &*bearer(&alice))], None),
            (vec![("authorization", &*alice)], None),
            (vec![("authorization", "Bearer")], None),
            (vec![("x-api-key", "é")], None),
        ] {
            assert_eq!(owner(&keys, &headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_file_holds_only_hashes_and_is_private() {
        let file = TempFile::new();
        let alice = ApiKeys::add(&file.0, "alice", None).unwrap();
        let text = std::fs::read_to_string(&file.0).unwrap();
        let (_, secret) = alice[5..].split_once('_').unwrap();
        assert_eq!(secret.len(), 64);
        assert!(
            !text.contains(secret) && text.contains("alice = { key = \""),
            "{text}"
        );
        let mode = std::fs::metadata(&file.0).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(ApiKeys::add(&file.0, "bob", None).unwrap(), alice);
        assert!(matches!(
            ApiKeys::add(&file.0, "alice", None),
            Err(ApiKeysError::NameTaken(_))
        ));
        for name in ["", "a b", "a\"", "é", "a.b", &"x".repeat(65)] {
            assert!(matches!(
                ApiKeys::add(&file.0, name, None),
                Err(ApiKeysError::InvalidName)
            ));
        }
        assert_eq!(ApiKeys::open(&file.0).unwrap().count(), 2);
    }

    #[test]
    fn revoked_keys_leave_the_file_and_the_others_stay() {
        let file = TempFile::new();
        let alice = ApiKeys::add(&file.0, "alice", None).unwrap();
        let bob = ApiKeys::add(&file.0, "bob", Some(KeyTime::from_unix(1))).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let revoke = |list: &[&str]| {
            let list: Vec<String> = names(list);
            ApiKeys::revoke(&file.0, &list).map_err(|error| error.to_string())
        };
        let listed = || -> Vec<String> {
            let keys = ApiKeys::list(&file.0).unwrap();
            keys.into_iter().map(|key| key.name).collect()
        };
        let before = std::fs::read_to_string(&file.0).unwrap();
        let error = revoke(&["alice", "carol"]).unwrap_err();
        assert!(error.contains("no key named \"carol\""), "{error}");
        assert_eq!(std::fs::read_to_string(&file.0).unwrap(), before);
        revoke(&["bob"]).unwrap();
        assert_eq!(listed(), ["alice"]);
        let keys = ApiKeys::open(&file.0).unwrap();
        assert!(owner(&keys, &[("x-api-key", &alice)]).is_some());
        assert!(owner(&keys, &[("x-api-key", &bob)]).is_none());
        // A name is free again, with another key.
        ApiKeys::add(&file.0, "bob", None).unwrap();
        revoke(&["alice", "bob"]).unwrap();
        assert_eq!(listed(), Vec::<String>::new());
        let text = std::fs::read_to_string(&file.0).unwrap();
        assert!(text.starts_with('#') && !text.contains("key = "), "{text}");
    }

    #[test]
    fn an_expired_key_differs_from_a_wrong_one() {
        let file = TempFile::new();
        let past = KeyTime::from_unix(1_000_000_000);
        let old = ApiKeys::add(&file.0, "old", Some(past)).unwrap();
        let soon = KeyTime::from_unix(KeyTime::now().unix() + 3600);
        let new = ApiKeys::add(&file.0, "new", Some(soon)).unwrap();
        let keys = ApiKeys::open(&file.0).unwrap();
        let find = |key: &str| {
            let mut map = HeaderMap::new();
            map.append("x-api-key", HeaderValue::from_str(key).unwrap());
            keys.principal(&map)
        };
        assert_eq!(find(&old), Err(KeyRejection::Expired(past)));
        assert_eq!(find(&new).unwrap().name(), Some("new"));
        assert_eq!(find("orwd_x_y"), Err(KeyRejection::Invalid));
    }

    #[test]
    fn adds_to_a_file_without_a_final_line_feed() {
        let file = TempFile::new();
        ApiKeys::add(&file.0, "alice", None).unwrap();
        let text = std::fs::read_to_string(&file.0).unwrap();
        std::fs::write(&file.0, text.trim_end()).unwrap();
        ApiKeys::add(&file.0, "bob", None).unwrap();
        assert_eq!(ApiKeys::open(&file.0).unwrap().count(), 2);
    }

    #[test]
    fn refuses_a_file_that_other_users_can_write() {
        let file = TempFile::new();
        ApiKeys::add(&file.0, "alice", None).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o622);
        std::fs::set_permissions(&file.0, open).unwrap();
        assert!(matches!(
            ApiKeys::open(&file.0),
            Err(ApiKeysError::WritableByOthers)
        ));
    }

    #[tokio::test]
    async fn removing_a_line_revokes_its_key() {
        let file = TempFile::new();
        let alice = ApiKeys::add(&file.0, "alice", None).unwrap();
        let keys = ApiKeys::open(&file.0).unwrap();
        let watch = tokio::spawn(keys.clone().watch_file());
        let accepted = || owner(&keys, &[("x-api-key", &alice)]).is_some();
        assert!(accepted());
        let text = std::fs::read_to_string(&file.0).unwrap();
        let steps = [
            (Some(""), false),
            (Some(&*text), true),
            (Some("alice = broken"), false),
            (Some(&*text), true),
            (None, false),
        ];
        for (content, expected) in steps {
            match content {
                Some(content) => std::fs::write(&file.0, content).unwrap(),
                None => std::fs::remove_file(&file.0).unwrap(),
            }
            let begin = tokio::time::Instant::now();
            while accepted() != expected {
                assert!(begin.elapsed() < Duration::from_secs(5), "{content:?}");
                tokio::time::sleep(RELOAD_INTERVAL).await;
            }
        }
        watch.abort();
    }
}
