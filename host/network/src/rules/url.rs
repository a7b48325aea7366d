//! URLs with one reading, or none.
//!
//! What a rule is compared with must be what is sent, so a URL that another
//! program could read differently is refused: with a user, a fragment, a
//! backslash, a dot segment, or a number as a host that is no IPv4 address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a URL.
const MAX_URL: usize = 8192;

/// A scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A host: a lower-case name, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

/// An absolute URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// The path, which begins with a slash.
    pub(crate) path: String,
    /// The query with its question mark; empty if there is none.
    pub(crate) query: String,
}

/// Why a text is no URL that can be used. The text is what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidUrl(pub(crate) &'static str);

impl Scheme {
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The parts of a URL before the host is read.
pub(crate) struct Parts<'t> {
    pub(crate) scheme: Scheme,
    pub(crate) host: &'t str,
    pub(crate) port: Option<u16>,
    pub(crate) path: &'t str,
    pub(crate) query: &'t str,
}

impl<'t> Parts<'t> {
    /// Splits a URL, and checks everything but its host.
    pub(crate) fn split(text: &'t str) -> Result<Parts<'t>, InvalidUrl> {
        if text.len() > MAX_URL {
            return Err(InvalidUrl("the URL is too long"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidUrl(
                "the URL has spaces, control characters or characters that are not ASCII; escape them",
            ));
        }
        let forbidden = |c| {
            matches!(
                c,
                '\\' | '#' | '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}'
            )
        };
        if text.contains(forbidden) {
            return Err(InvalidUrl(
                "the URL has a fragment or a character that must be escaped",
            ));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            _ => {
                return Err(InvalidUrl(
                    "the URL does not begin with http:// or https://",
                ));
            }
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(InvalidUrl("the URL names a user"));
        }
        let (path, query) = match rest.find('?') {
            Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
            None => (rest, ""),
        };
        check_path(path)?;
        let (host, port) = split_port(authority)?;
        Ok(Parts {
            scheme,
            host,
            port,
            path: if path.is_empty() { "/" } else { path },
            query,
        })
    }
}

/// Refuses paths that a server may read as another path.
fn check_path(path: &str) -> Result<(), InvalidUrl> {
    for segment in path.split('/') {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        // A part before `;` is the segment to some servers.
        let plain = plain.split(';').next().unwrap_or_default();
        if matches!(plain, "." | "..") || segment.contains("%00") {
            return Err(InvalidUrl("the path of the URL has a segment `.` or `..`"));
        }
        if plain.contains("%2f") || plain.contains("%5c") {
            return Err(InvalidUrl("the path of the URL has an escaped slash"));
        }
    }
    Ok(())
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), InvalidUrl> {
    let (host, port) = match authority.rfind(':') {
        // The colons of an IPv6 address are within brackets.
        Some(at) if !authority.ends_with(']') => {
            let (host, port) = authority.split_at_checked(at).unwrap_or((authority, ""));
            (host, Some(port.trim_start_matches(':')))
        }
        _ => (authority, None),
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(
            digits
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(InvalidUrl("the port of the URL is no port"))?,
        ),
        Some(_) => return Err(InvalidUrl("the port of the URL is no port")),
    };
    Ok((host, port))
}

impl Host {
    /// Reads a host.
    pub(crate) fn parse(text: &str) -> Result<Host, InvalidUrl> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']');
            let address = inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            let address = address.ok_or(InvalidUrl("the host is no IPv6 address"))?;
            return Ok(Host::Address(address.into()));
        }
        let name = text.to_ascii_lowercase();
        if !is_name(&name) {
            return Err(InvalidUrl("the URL has no valid host"));
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        // Some programs read `127.1`, `0x7f.1` and `2130706433` as addresses.
        if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
            let address = name.parse::<Ipv4Addr>();
            let address = address.map_err(|_| InvalidUrl("the host is no IPv4 address"))?;
            return Ok(Host::Address(address.into()));
        }
        Ok(Host::Name(name))
    }
}

/// Whether a lower-case text is a name in the domain name system.
pub(crate) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    (1..=253).contains(&name.len()) && name.split('.').all(is_label)
}

impl Url {
    /// Reads an absolute URL.
    pub(crate) fn parse(text: &str) -> Result<Url, InvalidUrl> {
        let parts = Parts::split(text)?;
        Ok(Url {
            scheme: parts.scheme,
            host: Host::parse(parts.host)?,
            port: parts.port.unwrap_or(parts.scheme.default_port()),
            path: parts.path.to_owned(),
            query: parts.query.to_owned(),
        })
    }

    /// Returns the value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(f),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_reading() {
        let url = Url::parse("HTTPS://API.Example.com/v1/chat?a=b/../c").unwrap();
        assert_eq!(url.host, Host::Name("api.example.com".to_owned()));
        assert_eq!((url.port, url.path.as_str()), (443, "/v1/chat"));
        assert_eq!(url.query, "?a=b/../c");
        assert_eq!(url.authority(), "api.example.com");
        let url = Url::parse("http://[::1]:9009").unwrap();
        assert_eq!(url.authority(), "[::1]:9009");
        assert_eq!(url.path, "/");
        assert_eq!(Url::parse("http://a?b").unwrap().query, "?b");
    }

    #[test]
    fn a_url_with_two_readings_is_refused() {
        for text in [
            "ftp://a.com/",
            "//a.com/",
            "http:a.com",
            "http://user@a.com/",
            "http://a.com:80@b.com/",
            "http://a.com\\@b.com/",
            "http://a.com/#x",
            "http://a.com/ b",
            "http://a.com/\r\nX: y",
            "http://a.com/x\0",
            "http://ä.com/",
            "http://a.com:0/",
            "http://a.com:65536/",
            "http://a.com:+80/",
            "http://a.com:/",
            "http:///x",
            "http://a..com/",
            "http://a.com./",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://1.2.3.4.5/",
            "http://[::1/",
            "http://[::1%25eth0]/",
            "http://a.com/x/../y",
            "http://a.com/x/%2E%2e/y",
            "http://a.com/x/.%2e;a=b/y",
            "http://a.com/x%2fy",
            "http://a.com/x%5Cy",
        ] {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
    }
}
