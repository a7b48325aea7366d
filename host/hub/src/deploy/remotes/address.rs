//! Addresses of repositories elsewhere.
//!
//! Users name them, so the platform connects to public addresses only, unless its
//! operator has named the host. The name is resolved here, and git connects to the
//! addresses that were checked.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use orwd_network::refusal;
use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;
use tokio::time::timeout;

/// Bytes of an address.
const MAX_LENGTH: usize = 1024;

/// The time to resolve a name.
const RESOLUTION: Duration = Duration::from_secs(10);

/// A host that the operator allows, whatever its addresses are, also without TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryHost {
    host: String,
    /// The port; if absent, that of the scheme.
    port: Option<u16>,
}

/// A text is no host.
#[derive(Debug, thiserror::Error)]
#[error("expected HOST or HOST:PORT, such as git.example or 10.0.0.7:3000")]
pub struct NotAHost;

impl FromStr for RepositoryHost {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<RepositoryHost, NotAHost> {
        let (host, port) = authority(&text.to_ascii_lowercase()).ok_or(NotAHost)?;
        Ok(RepositoryHost { host, port })
    }
}

/// The address of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAddress {
    is_tls: bool,
    host: String,
    port: Option<u16>,
    path: String,
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl RemoteAddress {
    /// Returns whether a text is meant as the address of a repository elsewhere, and
    /// not as the name or id of one of the platform.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.contains([':', '@', '\\']) || text.starts_with(['/', '.', '-', '~'])
    }

    /// Reads an address, of a kind that the platform connects to.
    pub(crate) fn parse(text: &str, allowed: &[RepositoryHost]) -> Result<RemoteAddress, String> {
        let parsed = RemoteAddress::of(text).ok_or(
            "the address of a repository is https://HOST/PATH, without a user, a password and \
             parameters",
        )?;
        if !parsed.is_tls && !parsed.is_allowed(allowed) {
            return Err(format!(
                "the address of a repository begins with https://; the operator can allow {} \
                 without TLS (--allow-repository-host)",
                parsed.host
            ));
        }
        Ok(parsed)
    }

    fn of(text: &str) -> Option<RemoteAddress> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\?#@\"'<>`{}|^".contains(&byte);
        if text.len() > MAX_LENGTH || !text.bytes().all(is_plain) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (name, path) = rest.split_at(rest.find('/')?);
        let (host, port) = authority(&name.to_ascii_lowercase())?;
        let default = if is_tls { 443 } else { 80 };
        let mut segments = path.trim_end_matches('/').split('/').skip(1);
        let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
        if path.trim_end_matches('/').is_empty() || !segments.all(is_segment) {
            return None;
        }
        Some(RemoteAddress {
            is_tls,
            host,
            port: port.filter(|port| *port != default),
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    /// Returns the port.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_tls { 443 } else { 80 })
    }

    /// Returns the scheme, as git names its protocol.
    pub(super) fn protocol(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    fn is_allowed(&self, allowed: &[RepositoryHost]) -> bool {
        allowed.iter().any(|one| {
            one.host == self.host
                && match one.port {
                    Some(port) => port == self.port(),
                    None => self.port.is_none(),
                }
        })
    }

    /// Resolves the host. The result is what git may connect to. Whether a name is
    /// unknown or leads to a refused address is not told: it is about the network of
    /// the platform.
    pub(crate) async fn resolve(&self, allowed: &[RepositoryHost]) -> Result<Resolved, String> {
        let refused = || {
            format!(
                "{} has no public address that the platform may connect to; the operator can allow \
                 the host (--allow-repository-host)",
                self.host
            )
        };
        let name = self.host.trim_matches(['[', ']']).to_owned();
        let literal = name.parse::<IpAddr>().ok();
        let addresses: BTreeSet<IpAddr> = match literal {
            Some(address) => [address].into(),
            None => match timeout(RESOLUTION, lookup_host((name, self.port()))).await {
                Ok(Ok(found)) => found.map(|address: SocketAddr| address.ip()).collect(),
                _ => return Err(refused()),
            },
        };
        let is_public = |address: &IpAddr| refusal(*address).is_none();
        // One refused address among others is a trick.
        if addresses.is_empty() || !self.is_allowed(allowed) && !addresses.iter().all(is_public) {
            return Err(refused());
        }
        let addresses: Vec<String> = addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            })
            .collect();
        let entry = format!("{}:{}:{}", self.host, self.port(), addresses.join(","));
        Ok(Resolved {
            entry: literal.is_none().then_some(entry),
        })
    }
}

/// Addresses of a host that were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The setting `http.curloptResolve` of git, by which it asks no other resolver. An
    /// address needs none.
    pub(super) entry: Option<String>,
}

/// Splits a host and a port. Numbers in notations other than the usual one are no
/// hosts, since programs read them differently.
fn authority(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            let address: Ipv6Addr = inside.parse().ok()?;
            let port = match after {
                "" => None,
                after => Some(after.strip_prefix(':')?),
            };
            (format!("[{address}]"), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    if host.starts_with('[') {
        return Some((host, port));
    }
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() < 64 && !label.starts_with('-') && label.bytes().all(plain)
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with(|first: char| first.is_ascii_digit());
    let is_host = host.len() < 254
        && host.split('.').all(is_label)
        && (!is_number || host.parse::<Ipv4Addr>().is_ok());
    is_host.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(texts: &[&str]) -> Vec<RepositoryHost> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_path() {
        for (text, shown) in [
            ("https://git.example/a/b.git", "https://git.example/a/b.git"),
            ("HTTPS://Git.Example:443/a/B/", "https://git.example/a/B"),
            ("https://git.example:8443/a", "https://git.example:8443/a"),
            ("https://[2606:4700::1111]/a", "https://[2606:4700::1111]/a"),
        ] {
            let parsed = RemoteAddress::parse(text, &[]).unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert!(RemoteAddress::is_meant(text));
        }
        assert!(!RemoteAddress::is_meant("alice/my-env"));
        assert!(!RemoteAddress::is_meant(
            "2b0c41c2-3a9c-4a0e-8df5-0b7d7e6f5d11"
        ));
    }

    #[test]
    fn an_address_that_git_would_read_otherwise_is_refused() {
        for text in [
            "file:///etc",
            "/etc",
            "ssh://git.example/a",
            "git@git.example:a/b",
            "git://git.example/a",
            "ext::sh -c true",
            "--upload-pack=true",
            "-oProxyCommand=true",
            "ssh://-oProxyCommand=true/a",
            "https://-oProxyCommand=true/a",
            "https://user@git.example/a",
            "https://user:word@git.example/a",
            "https://git.example@127.0.0.1/a",
            "https://git.example\\@127.0.0.1/a",
            "https://git.example/a?b",
            "https://git.example/a#b",
            "https://git.example/a/../b",
            "https://git.example//a",
            "https://git.example/",
            "https://git.example",
            "https://git.example:0/a",
            "https://git.example:99999/a",
            "https://git.example:+80/a",
            "https://git.example./a",
            "https:///a",
            "https://127.1/a",
            "https://2130706433/a",
            "https://0x7f000001/a",
            "https://0177.0.0.1/a",
            "https://1.2.3.4.5/a",
            "https://git.example/a b",
            "https://git.example/a\nb",
            "https://gít.example/a",
        ] {
            assert!(RemoteAddress::is_meant(text), "{text}");
            assert!(RemoteAddress::parse(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn only_an_allowed_host_goes_without_tls() {
        let plain = "http://git.example:3000/a";
        assert!(RemoteAddress::parse(plain, &[]).is_err());
        assert!(RemoteAddress::parse(plain, &hosts(&["git.example"])).is_err());
        assert!(RemoteAddress::parse(plain, &hosts(&["git.example:3001"])).is_err());
        assert!(RemoteAddress::parse(plain, &hosts(&["git.example:3000"])).is_ok());
        assert!("git.example/a".parse::<RepositoryHost>().is_err());
        assert!("".parse::<RepositoryHost>().is_err());
    }

    #[tokio::test]
    async fn only_an_allowed_host_has_a_private_address() {
        let resolve = async |text: &str, allowed: &[&str]| {
            let allowed = hosts(allowed);
            let parsed = RemoteAddress::parse(text, &allowed).unwrap();
            parsed.resolve(&allowed).await.map(|found| found.entry)
        };
        let mut refusals = Vec::new();
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[fd00:ec2::254]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "no-such-name.invalid",
        ] {
            let refused = resolve(&format!("https://{host}/a"), &[]).await;
            refusals.push(refused.unwrap_err());
        }
        let words = |text: &String| text.split_once(" has no ").map(|(_, rest)| rest.to_owned());
        assert!(words(&refusals[0]).is_some(), "{}", refusals[0]);
        let is_same = |text: &String| words(text) == words(&refusals[0]);
        assert!(
            refusals.iter().all(is_same),
            "unknown and private names get the same reply"
        );
        let allowed = resolve("http://127.0.0.1:81/a", &["127.0.0.1:81"]).await;
        assert_eq!(allowed, Ok(None), "an address is not resolved");
        assert!(
            resolve("https://127.0.0.1/a", &["127.0.0.1:81"])
                .await
                .is_err()
        );
        let public = resolve("https://[2606:4700::1111]/a", &[]).await;
        assert_eq!(public, Ok(None));
        let named = resolve("http://localhost:81/a", &["localhost:81"]).await;
        let named = named.unwrap().unwrap();
        assert!(
            named.starts_with("localhost:81:") && named.contains("127.0.0.1"),
            "{named}"
        );
    }
}
