//! A proxy that authenticates clients in place of this server.
//!
//! The platform's control process knows its users and forwards their requests
//! with the name of the user and a secret that only the two processes know.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use blake3::Hash;
use hyper::header::{HeaderMap, HeaderName};
use orwd_session::Principal;

use super::key_file::is_valid_name;

const KEY: HeaderName = HeaderName::from_static("x-orwd-proxy-key");
const PRINCIPAL: HeaderName = HeaderName::from_static("x-orwd-principal");

/// Bytes that a secret has at least.
const MIN_SECRET: usize = 32;

/// The secret of the proxy, of which this server keeps a hash.
#[derive(Clone, Debug)]
pub struct ProxyKey(Arc<Hash>);

impl ProxyKey {
    /// Reads the secret from a file.
    pub fn open(path: &Path) -> io::Result<ProxyKey> {
        ProxyKey::of(fs::read_to_string(path)?.trim())
    }

    fn of(secret: &str) -> io::Result<ProxyKey> {
        if secret.len() < MIN_SECRET {
            let message = format!("the secret has less than {MIN_SECRET} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(ProxyKey(Arc::new(blake3::hash(secret.as_bytes()))))
    }

    /// Returns the principal of a request of the proxy; `None` if another client
    /// has sent it.
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Option<Principal> {
        let mut keys = headers.get_all(KEY).iter();
        let mut names = headers.get_all(PRINCIPAL).iter();
        let (key, name) = (keys.next()?, names.next()?);
        if keys.next().is_some() || names.next().is_some() {
            return None;
        }
        // `Hash` compares in constant time.
        let is_proxy = blake3::hash(key.as_bytes()) == *self.0;
        let name = name.to_str().ok().filter(|name| is_valid_name(name))?;
        is_proxy.then(|| Principal::of(Some(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proxy_may_name_a_principal() {
        let secret = "0123456789abcdef0123456789abcdef";
        let key = ProxyKey::of(secret).unwrap();
        let principal = |headers: &[(HeaderName, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(name.clone(), value.parse().unwrap());
            }
            let found = key.principal(&map)?;
            found.name().map(str::to_owned)
        };
        let alice = Some("alice".to_owned());
        assert_eq!(principal(&[(KEY, secret), (PRINCIPAL, "alice")]), alice);
        for headers in [
            &[(PRINCIPAL, "alice")][..],
            &[(KEY, secret)],
            &[(KEY, "wrong"), (PRINCIPAL, "alice")],
            &[(KEY, &secret[1..]), (PRINCIPAL, "alice")],
            &[(KEY, secret), (PRINCIPAL, "")],
            &[(KEY, secret), (PRINCIPAL, "a b")],
            &[(KEY, secret), (PRINCIPAL, "alice"), (PRINCIPAL, "bob")],
            &[(KEY, secret), (KEY, "wrong"), (PRINCIPAL, "alice")],
        ] {
            assert_eq!(principal(headers), None, "{headers:?}");
        }
        assert!(ProxyKey::of("short").is_err());
    }
}
