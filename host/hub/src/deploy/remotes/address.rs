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
