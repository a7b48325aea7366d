//! Which hosts and origins a request may name: the guard against DNS rebinding.
//!
//! A server on a loopback address is safe from other machines, but not from the
//! user's own browser. A page of anywhere whose name suddenly resolves to
//! 127.0.0.1 is of the same origin as this server, as the browser sees it, and
//! may then send and read what it likes. Two things it cannot choose: its
//! requests name its own host in `Host`, and all but plain reads carry its
//! `Origin`. So both must name this machine, or a name that the operator allows.
//!
//! `Sec-Fetch-Site` and the like would be no sign to go by: browsers leave them
//! out for plain HTTP, and a page of the same origin reads without an `Origin`.
//! Names below `.test` are the one exception. Nobody can own one (RFC 6761), so
//! no page has one for its host, and tools that test a server by raw requests
//! say them; with a browser's marks they are refused as any other.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER};
use hyper::http::uri::Authority;

/// The hosts that a request may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Any, for a server that is meant to be reached from elsewhere.
    Any,
    /// Those of the loopback address, and these names.
    Loopback {
        /// Without a port.
        also: Vec<String>,
    },
}

/// What a request names that it may not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Its `Host`.
    Host(String),
    /// Its `Origin`.
    Origin(String),
}

/// What browsers send and pages cannot take away, where they send it.
const MARKS: [HeaderName; 4] = [
    ORIGIN,
    REFERER,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
];

impl Hosts {
    /// Whether a request with these headers may go on.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Foreign> {
        let Hosts::Loopback { also } = self else {
            return Ok(());
        };
        for host in headers.get_all(HOST) {
            let named = authority(host.as_bytes());
            let known = named.as_ref().is_some_and(|host| is_known(host, also));
            let unowned = || {
                let marked = MARKS.iter().any(|mark| headers.contains_key(mark));
                !marked && named.as_ref().is_some_and(is_for_tests)
            };
            if !known && !unowned() {
                return Err(Foreign::Host(shown(host)));
            }
        }
        for origin in headers.get_all(ORIGIN) {
            let bytes = origin.as_bytes();
            let named = bytes
                .strip_prefix(b"http://")
                .or_else(|| bytes.strip_prefix(b"https://"))
                .and_then(authority);
            if !named.is_some_and(|host| is_known(&host, also)) {
                return Err(Foreign::Origin(shown(origin)));
            }
        }
        Ok(())
    }
}

/// A host with or without a port, and nothing else.
fn authority(bytes: &[u8]) -> Option<Authority> {
    Authority::try_from(bytes)
        .ok()
        .filter(|authority| !authority.as_str().contains('@'))
}

fn is_known(host: &Authority, also: &[String]) -> bool {
    let name = without_dot(host.host());
    is_loopback(name) || also.iter().any(|also| also.eq_ignore_ascii_case(name))
}

/// Whether a name means this machine wherever it is looked up.
fn is_loopback(name: &str) -> bool {
    if let Some(inner) = name.strip_prefix('[') {
        let address = inner.strip_suffix(']').unwrap_or(inner);
        return address
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.to_canonical().is_loopback());
    }
    match name.parse::<Ipv4Addr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => is_or_is_below(name, "localhost"),
    }
}

fn is_for_tests(host: &Authority) -> bool {
    is_or_is_below(without_dot(host.host()), "test")
}

fn is_or_is_below(name: &str, top: &str) -> bool {
    name.rsplit('.')
        .next()
        .is_some_and(|last| last.eq_ignore_ascii_case(top))
}

/// A name may end with the dot of the root.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The client's words, short enough for a sentence.
fn shown(value: &HeaderValue) -> String {
    const LONGEST: usize = 100;
    String::from_utf8_lossy(value.as_bytes())
        .chars()
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(hosts: &Hosts, headers: &[(&'static str, &str)]) -> Result<(), Foreign> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        hosts.admit(&map)
    }

    fn loopback() -> Hosts {
        Hosts::Loopback {
            also: vec!["orwd.lan".to_owned()],
        }
    }

    #[test]
    fn a_host_is_this_machine_or_allowed() {
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
            let admitted = admits(&loopback(), &[("host", host)]);
            assert_eq!(admitted.is_ok(), expected, "{host:?}: {admitted:?}");
            assert_eq!(admits(&Hosts::Any, &[("host", host)]), Ok(()));
        }
    }

    #[test]
    fn an_origin_is_this_machine_or_allowed() {
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
            let admitted = admits(&loopback(), &headers);
            assert_eq!(admitted.is_ok(), expected, "{origin:?}: {admitted:?}");
        }
    }

    #[test]
    fn a_name_for_tests_is_refused_with_the_marks_of_a_browser() {
        for mark in ["origin", "referer", "sec-fetch-site", "sec-fetch-mode"] {
            let headers = [("host", "ors.test"), (mark, "http://localhost")];
            let refused = Err(Foreign::Host("ors.test".to_owned()));
            assert_eq!(admits(&loopback(), &headers), refused, "{mark}");
        }
    }

    #[test]
    fn every_one_of_several_must_be_right() {
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert!(admits(&loopback(), &two).is_err());
        let two = [("origin", "http://localhost"), ("origin", "http://evil")];
        assert!(admits(&loopback(), &two).is_err());
    }
}
