//! The address of a client behind proxies.
//!
//! Each proxy appends to `X-Forwarded-For` or `Forwarded` from whom it got the
//! request. What a client writes there itself stands before that, so the lists are
//! read from their end, and only as far as trusted proxies have written them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies that are trusted to tell the address of a client: an address, or a
/// network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyNetwork {
    address: IpAddr,
    bits: u8,
}

/// The text is not an address, and not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network; write it as 10.0.0.1, 10.0.0.0/8 or fd00::/8")]
pub struct NotANetwork(String);

impl FromStr for ProxyNetwork {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<ProxyNetwork, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong())?,
            None => most,
        };
        if bits > most {
            return Err(wrong());
        }
        Ok(ProxyNetwork { address, bits })
    }
}

impl TryFrom<String> for ProxyNetwork {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<ProxyNetwork, NotANetwork> {
        text.parse()
    }
}

impl From<ProxyNetwork> for String {
    fn from(network: ProxyNetwork) -> String {
        network.to_string()
    }
}

impl fmt::Display for ProxyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl ProxyNetwork {
    fn contains(&self, address: IpAddr) -> bool {
        let bits = u32::from(self.bits);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Returns whether an address is that of a trusted proxy.
pub(crate) fn is_trusted(proxies: &[ProxyNetwork], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

/// Returns the address of the client that sent a request: that of the connection,
/// unless a trusted proxy names another one.
pub(crate) fn client_address(
    proxies: &[ProxyNetwork],
    peer: IpAddr,
    headers: &HeaderMap,
) -> IpAddr {
    if !is_trusted(proxies, peer) {
        return peer;
    }
    let nearest = |name: HeaderName, read: fn(&str) -> Option<IpAddr>| {
        let parts = parts(headers, name)?;
        Some(nearest_untrusted(proxies, peer, &parts, read))
    };
    let plain = nearest(X_FORWARDED_FOR, element);
    let standard = nearest(FORWARDED, forwarded_element);
    match (plain, standard) {
        (Some(one), Some(other)) if one == other => one,
        // A proxy writes one of them, and the other one is the client's invention.
        (Some(_), Some(_)) => peer,
        (Some(address), None) | (None, Some(address)) => address,
        (None, None) => peer,
    }
}

/// Returns the parts of a list, if there is one. A proxy may add a line to it.
fn parts(headers: &HeaderMap, name: HeaderName) -> Option<Vec<&str>> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let parts = lines.flat_map(|line| line.to_str().unwrap_or("?").split(','));
    Some(parts.collect())
}

/// Returns the last address of a list that is not that of a trusted proxy. What
/// cannot be read ends the list: the proxy after it counts.
fn nearest_untrusted(
    proxies: &[ProxyNetwork],
    peer: IpAddr,
    parts: &[&str],
    read: fn(&str) -> Option<IpAddr>,
) -> IpAddr {
    let mut nearest = peer;
    for part in parts.iter().rev() {
        let Some(address) = read(part.trim()) else {
            break;
        };
        nearest = address;
        if !is_trusted(proxies, address) {
            break;
        }
    }
    nearest
}

/// Reads an element of `X-Forwarded-For`: an address, perhaps with a port.
fn element(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, _port) = rest.split_once(']')?;
        return address.parse().ok();
    }
    let without_port = match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => address,
        _ => text,
    };
    without_port.parse().ok()
}

/// Reads an element of `Forwarded`, such as `for="[2001:db8::1]:80";proto=https`.
fn forwarded_element(text: &str) -> Option<IpAddr> {
    let mut pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    element(value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PEER: &str = "10.0.0.7";

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let proxies: Vec<ProxyNetwork> = ["10.0.0.0/8", "fd00::/8"]
            .map(|text| text.parse().unwrap())
            .into();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        client_address(&proxies, peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_counts() {
        for (value, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            // What the client wrote itself stands before.
            ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1, 203.0.113.9, 10.2.2.2", "203.0.113.9"),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
            ("203.0.113.9, nonsense", PEER),
            ("nonsense, 10.0.0.2", "10.0.0.2"),
            ("", PEER),
        ] {
            assert_eq!(
                client(PEER, &[("x-forwarded-for", value)]),
                expected,
                "{value}"
            );
        }
        for (value, expected) in [
            ("for=203.0.113.9;proto=https", "203.0.113.9"),
            ("for=198.51.100.1, For=\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("for=203.0.113.9, for=_hidden", PEER),
            ("proto=https", PEER),
        ] {
            assert_eq!(client(PEER, &[("forwarded", value)]), expected, "{value}");
        }
        let lines = [
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "203.0.113.9"),
        ];
        assert_eq!(client(PEER, &lines), "203.0.113.9", "a line for each proxy");
    }

    #[test]
    fn a_header_counts_from_trusted_proxies_only() {
        let forged = [("x-forwarded-for", "198.51.100.1")];
        assert_eq!(client("203.0.113.9", &forged), "203.0.113.9");
        assert_eq!(client("::ffff:10.0.0.7", &forged), "198.51.100.1");
        assert_eq!(client("fd00::1", &forged), "198.51.100.1");
        assert_eq!(client(PEER, &[]), PEER);
        // The proxy writes one of them.
        let both = [
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=198.51.100.1"),
        ];
        assert_eq!(client(PEER, &both), PEER);
        let same = [
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
        ];
        assert_eq!(client(PEER, &same), "203.0.113.9");
    }

    #[test]
    fn a_network_is_an_address_with_bits() {
        let contains = |network: &str, address: &str| {
            let network: ProxyNetwork = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(contains("0.0.0.0/0", "203.0.113.9") && contains("::/0", "::1"));
        assert!(contains("10.1.2.3", "10.1.2.3") && !contains("10.1.2.3", "10.1.2.2"));
        assert!(contains("10.1.2.0/23", "10.1.3.255") && !contains("10.1.2.0/23", "10.1.4.0"));
        assert!(!contains("0.0.0.0/0", "::1"));
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "a.example",
            "10.0.0.0/",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<ProxyNetwork>().is_err(), "{text}");
        }
    }
}
