//! API keys: who they belong to, and how they are told from wrong ones.
//!
//! The file of keys (see [`super::keyring`]) is read again every second, so that
//! a line that is taken out is a key that is revoked; a file that is missing or
//! broken admits nobody, since it may have been taken away for that. Keys
//! themselves are never kept, nor logged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap};

use super::keyring::{NewKey, Ring, is_name};
use orwd_session::Principal;

const HEADER: &str = "x-api-key";

/// The time between two looks at the file.
const PAUSE: Duration = Duration::from_secs(1);

/// More than any file of keys holds.
const LARGEST: u64 = 4 << 20;

/// Others may not write the file, or they could make themselves a key.
const WRITABLE_BY_OTHERS: u32 = 0o022;

const HEADING: &str = "# Keys of orwd, one line each: name = \"id:hash\". A line that is taken out \
                       is a key\n# that is revoked. `orwd keys new NAME` adds one.\n";

/// Why there are no keys to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Somebody else could add keys.
    #[error("other users may write it; `chmod go-w` it")]
    Writable,
    /// It is no file of keys.
    #[error("it is no file of keys: {0}")]
    Malformed(String),
    /// There is a key of this name.
    #[error("there is a key named {0:?} already; take its line out to replace it")]
    Taken(String),
    /// The name cannot stand in the file.
    #[error("a name is 1 to 64 letters, digits, '-' and '_'")]
    Name,
}

/// The keys of a file, as the file is now.
#[derive(Clone)]
pub struct Keys {
    path: PathBuf,
    ring: Arc<RwLock<Arc<Ring>>>,
}

impl Keys {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<Keys, KeysError> {
        Ok(Keys {
            path: path.to_owned(),
            ring: Arc::new(RwLock::new(Arc::new(load(path)?))),
        })
    }

    /// Makes a key, adds it to the file and gives it, the only time it is seen.
    /// Makes the file if there is none.
    pub fn add(path: &Path, name: &str) -> Result<String, KeysError> {
        if !is_name(name) {
            return Err(KeysError::Name);
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        // Of two at a time, the second must see what the first wrote.
        file.lock()?;
        let text = read(&mut file)?;
        let ring = Ring::parse(&text).map_err(KeysError::Malformed)?;
        if ring.has(name) {
            return Err(KeysError::Taken(name.to_owned()));
        }
        let NewKey { text: key, line } = NewKey::random(name);
        let before = match text.as_str() {
            "" => HEADING,
            text if text.ends_with('\n') => "",
            _ => "\n",
        };
        file.seek(io::SeekFrom::End(0))?;
        file.write_all(format!("{before}{line}").as_bytes())?;
        file.sync_all()?;
        Ok(key)
    }

    /// How many keys there are now.
    pub fn count(&self) -> usize {
        self.now().len()
    }

    /// Whose request this is; none if it has no key or any wrong one.
    pub(super) fn principal(&self, headers: &HeaderMap) -> Option<Principal> {
        let bare = headers.get_all(HEADER).iter().map(|value| value.as_bytes());
        let bearer = headers.get_all(AUTHORIZATION).iter();
        let bearer = bearer.filter_map(|value| after_bearer(value.as_bytes()));
        let ring = self.now();
        let mut found: Option<Principal> = None;
        // A client without a key sends an empty one.
        for key in bare.chain(bearer).filter(|key| !key.is_empty()) {
            let principal = ring.find(key)?;
            match &found {
                Some(other) if *other != principal => return None,
                _ => found = Some(principal),
            }
        }
        found
    }

    /// Keeps up with the file for as long as it is polled. What is read counts
    /// once it was read twice alike: an editor may be at it.
    pub(super) async fn follow(self) {
        let mut before = None;
        let mut failed = None;
        loop {
            tokio::time::sleep(PAUSE).await;
            let path = self.path.clone();
            let loaded = tokio::task::spawn_blocking(move || load(&path)).await;
            let loaded = match loaded {
                Ok(loaded) => loaded.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if before.as_ref() == Some(&loaded) {
                self.take(loaded.clone(), &mut failed);
            }
            before = Some(loaded);
        }
    }

    /// From now on these are the keys; none if they cannot be had.
    fn take(&self, loaded: Result<Ring, String>, failed: &mut Option<String>) {
        let (ring, failure) = match loaded {
            Ok(ring) => (ring, None),
            Err(failure) => (Ring::default(), Some(failure)),
        };
        if let Some(failure) = &failure
            && failed.as_ref() != Some(failure)
        {
            tracing::error!(file = %self.path.display(), "no key is accepted: {failure}");
        }
        let changed = *self.now() != ring;
        if changed && failure.is_none() {
            tracing::info!(keys = ring.len(), "the file of keys has changed");
        }
        if changed {
            *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        }
        *failed = failure;
    }

    fn now(&self) -> Arc<Ring> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.clone()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.path.display())
    }
}

fn load(path: &Path) -> Result<Ring, KeysError> {
    let mut file = File::open(path)?;
    // Not in the middle of a line that is being added.
    file.lock_shared()?;
    Ring::parse(&read(&mut file)?).map_err(KeysError::Malformed)
}

fn read(file: &mut File) -> Result<String, KeysError> {
    if file.metadata()?.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(KeysError::Writable);
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length >= LARGEST) {
        return Err(KeysError::Malformed("it is too large".to_owned()));
    }
    Ok(text)
}

/// What follows `Bearer`; other schemes are no business of ours.
fn after_bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new() -> Place {
            let name = format!("orwd-keys-{:016x}", rand::random::<u64>());
            Place(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn whose(keys: &Keys, headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let principal = keys.principal(&map)?;
        principal.name().map(str::to_owned)
    }

    #[test]
    fn a_key_belongs_to_its_name_in_either_header() {
        let place = Place::new();
        let alice = Keys::add(&place.0, "alice").unwrap();
        let bob = Keys::add(&place.0, "bob").unwrap();
        let keys = Keys::open(&place.0).unwrap();
        let bearer = |key: &str| format!("Bearer {key}");
        let name = |name: &str| Some(name.to_owned());
        let (id, secret) = alice[5..].split_once('_').unwrap();
        let (bobs_id, _) = bob[5..].split_once('_').unwrap();
        let last = if secret.ends_with('0') { "1" } else { "0" };
        let nearly = format!("{}{last}", &alice[..alice.len() - 1]);
        let borrowed = format!("orwd_{bobs_id}_{secret}");
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
            (vec![("x-api-key", &*alice), ("x-api-key", &*nearly)], None),
            (vec![("x-api-key", &*nearly)], None),
            (vec![("x-api-key", &*borrowed)], None),
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
            assert_eq!(whose(&keys, &headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_file_holds_no_key_and_is_the_users_own() {
        let place = Place::new();
        let alice = Keys::add(&place.0, "alice").unwrap();
        let text = std::fs::read_to_string(&place.0).unwrap();
        let (_, secret) = alice[5..].split_once('_').unwrap();
        assert_eq!(secret.len(), 64);
        assert!(
            !text.contains(secret) && text.contains("alice = \""),
            "{text}"
        );
        let mode = std::fs::metadata(&place.0).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(Keys::add(&place.0, "bob").unwrap(), alice);
        assert!(matches!(
            Keys::add(&place.0, "alice"),
            Err(KeysError::Taken(_))
        ));
        for name in ["", "a b", "a\"", "é", "a.b", &"x".repeat(65)] {
            assert!(matches!(Keys::add(&place.0, name), Err(KeysError::Name)));
        }
        assert_eq!(Keys::open(&place.0).unwrap().count(), 2);
    }

    #[test]
    fn a_file_without_a_last_line_end_is_added_to_all_the_same() {
        let place = Place::new();
        Keys::add(&place.0, "alice").unwrap();
        let text = std::fs::read_to_string(&place.0).unwrap();
        std::fs::write(&place.0, text.trim_end()).unwrap();
        Keys::add(&place.0, "bob").unwrap();
        assert_eq!(Keys::open(&place.0).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let place = Place::new();
        Keys::add(&place.0, "alice").unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o622);
        std::fs::set_permissions(&place.0, open).unwrap();
        assert!(matches!(Keys::open(&place.0), Err(KeysError::Writable)));
    }

    #[tokio::test]
    async fn a_line_taken_out_is_a_key_revoked() {
        let place = Place::new();
        let alice = Keys::add(&place.0, "alice").unwrap();
        let keys = Keys::open(&place.0).unwrap();
        let following = tokio::spawn(keys.clone().follow());
        let known = || whose(&keys, &[("x-api-key", &alice)]).is_some();
        assert!(known());
        let text = std::fs::read_to_string(&place.0).unwrap();
        let steps = [
            (Some(""), false),
            (Some(&*text), true),
            (Some("alice = broken"), false),
            (Some(&*text), true),
            (None, false),
        ];
        for (content, expected) in steps {
            match content {
                Some(content) => std::fs::write(&place.0, content).unwrap(),
                None => std::fs::remove_file(&place.0).unwrap(),
            }
            let begin = tokio::time::Instant::now();
            while known() != expected {
                assert!(begin.elapsed() < Duration::from_secs(5), "{content:?}");
                tokio::time::sleep(PAUSE).await;
            }
        }
        following.abort();
    }
}
