//! Checks `Host` and `Origin`: the guard against DNS rebinding.
//!
//! A server on a loopback address is safe from other machines, but not from the
//! user's own browser. A page whose name resolves to 127.0.0.1 is of the same
//! origin as this server in the browser's eyes and may send and read anything.
//! It cannot choose two things: its requests name its own host in `Host`, and all
//! but plain reads carry its `Origin`. Both must therefore name this machine, or
//! a name that the operator allows.
//!
//! `Sec-Fetch-Site` and similar headers cannot replace this check: browsers omit
//! them for plain HTTP, and a page of the same origin reads without an `Origin`.
//! Names below `.test` are the one exception. Nobody can own one (RFC 6761), so
//! no page is served from one, and tools that send raw test requests use them.
//! A request with a browser's headers gets no such exception.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER};
use hyper::http::uri::Authority;

/// The hosts that a request may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Any host, for a server that other machines may reach.
    Any,
    /// The names of the loopback address.
    Loopback {
        /// Further names, without a port.
        also: Vec<String>,
    },
}

/// The header that names a foreign host, with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostRejection {
    /// `Host`.
    Host(String),
    /// `Origin`.
    Origin(String),
}

/// Headers that only browsers send and that a page cannot remove.
const BROWSER_HEADERS: [HeaderName; 4] = [
    ORIGIN,
    REFERER,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
];

impl AllowedHosts {
    /// Checks every `Host` and `Origin` of a request.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), HostRejection> {
        let AllowedHosts::Loopback { also } = self else {
            return Ok(());
        };
        for host in headers.get_all(HOST) {
            let named = parse_authority(host.as_bytes());
            let allowed = named.as_ref().is_some_and(|host| is_allowed(host, also));
            let test_request = || {
                let from_browser = BROWSER_HEADERS
                    .iter()
                    .any(|name| headers.contains_key(name));
                !from_browser && named.as_ref().is_some_and(is_test_name)
            };
            if !allowed && !test_request() {
                return Err(HostRejection::Host(shortened(host)));
            }
        }
        for origin in headers.get_all(ORIGIN) {
            let bytes = origin.as_bytes();
            let named = bytes
                .strip_prefix(b"http://")
                .or_else(|| bytes.strip_prefix(b"https://"))
                .and_then(parse_authority);
            if !named.is_some_and(|host| is_allowed(&host, also)) {
                return Err(HostRejection::Origin(shortened(origin)));
            }
        }
        Ok(())
    }
}

/// Parses a host with an optional port and nothing else.
fn parse_authority(bytes: &[u8]) -> Option<Authority> {
    Authority::try_from(bytes)
        .ok()
        .filter(|authority| !authority.as_str().contains('@'))
}

fn is_allowed(host: &Authority, also: &[String]) -> bool {
    let name = without_root_dot(host.host());
    is_loopback(name) || also.iter().any(|also| also.eq_ignore_ascii_case(name))
}

/// Returns whether a name means this machine for every resolver.
fn is_loopback(name: &str) -> bool {
    if let Some(inner) = name.strip_prefix('[') {
        let address = inner.strip_suffix(']').unwrap_or(inner);
        return address
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.to_canonical().is_loopback());
    }
    match name.parse::<Ipv4Addr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => is_in_domain(name, "localhost"),
    }
}

fn is_test_name(host: &Authority) -> bool {
    is_in_domain(without_root_dot(host.host()), "test")
}

fn is_in_domain(name: &str, top_level: &str) -> bool {
    name.rsplit('.')
        .next()
        .is_some_and(|last| last.eq_ignore_ascii_case(top_level))
}

/// A fully qualified name may end with the dot of the root.
fn without_root_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Shortens the client's value for an error message.
fn shortened(value: &HeaderValue) -> String {
    const MAX_CHARS: usize = 100;
    String::from_utf8_lossy(value.as_bytes())
        .chars()
        .take(MAX_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &AllowedHosts, headers: &[(&'static str, &str)]) -> Result<(), HostRejection> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        hosts.check(&map)
    }

    fn loopback() -> AllowedHosts {
        AllowedHosts::Loopback {
            also: vec!["orwd.lan".to_owned()],
        }
    }

    #[test]
    fn allows_hosts_of_this_machine_and_of_the_operator() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("localhost.:8080", true),
            ("a.localhost", true),
            ("127.0.0.1", true),
            ("127.0.0.1:1", true),
            ("127.255.3.4:8080", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("orwd.lan", true),
            ("ORWD.lan:80", true),
            ("ors.test", true),
            ("", false),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil-localhost", false),
            ("localhost@evil.example", false),
            ("evil@localhost", false),
            ("x.orwd.lan", false),
            ("orwd.lan.evil", false),
            ("test.example", false),
            ("0.0.0.0:8080", false),
            ("192.168.0.7", false),
            ("128.0.0.1", false),
            ("127.1", false),
            ("[::2]", false),
            ("[::1", false),
            ("::1", false),
            ("localhost/", false),
            ("localhost evil", false),
            ("x", false),
        ] {
            let result = check(&loopback(), &[("host", host)]);
            assert_eq!(result.is_ok(), expected, "{host:?}: {result:?}");
            assert_eq!(check(&AllowedHosts::Any, &[("host", host)]), Ok(()));
        }
    }

    #[test]
    fn allows_origins_of_this_machine_and_of_the_operator() {
        for (origin, expected) in [
            ("http://localhost", true),
            ("http://localhost:3000", true),
            ("https://127.0.0.1:8443", true),
            ("http://[::1]:8080", true),
            ("http://orwd.lan", true),
            ("null", false),
            ("", false),
            ("http://evil.example", false),
            ("http://localhost.evil.example:80", false),
            ("http://evil.example#http://localhost", false),
            ("http://ors.test", false),
            ("chrome-extension://abcdef", false),
            ("localhost", false),
            ("http://localhost/", false),
            ("HTTP://localhost", false),
        ] {
            let headers = [("host", "127.0.0.1:8080"), ("origin", origin)];
            let result = check(&loopback(), &headers);
            assert_eq!(result.is_ok(), expected, "{origin:?}: {result:?}");
        }
    }

    #[test]
    fn refuses_a_test_name_from_a_browser() {
        for header in ["origin", "referer", "sec-fetch-site", "sec-fetch-mode"] {
            let headers = [("host", "ors.test"), (header, "http://localhost")];
            let refused = Err(HostRejection::Host("ors.test".to_owned()));
            assert_eq!(check(&loopback(), &headers), refused, "{header}");
        }
    }

    #[test]
    fn checks_every_repeated_header() {
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert!(check(&loopback(), &two).is_err());
        let two = [("origin", "http://localhost"), ("origin", "http://evil")];
        assert!(check(&loopback(), &two).is_err());
    }
}
