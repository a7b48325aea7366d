//! The address to listen on, and who may connect.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

/// Flags for the address of the server and for its clients.
#[derive(Args, Clone, Debug)]
pub struct ListenFlags {
    /// Address and port; port 0 takes a free one. Without --api-keys, everyone
    /// who can connect may use the server
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        env = "ORWD_LISTEN"
    )]
    pub listen: Listen,

    /// Address and port of a listener for operators, with GET /metrics (OpenMetrics),
    /// /ready and /health. It needs no API key: keep it away from the public. None by
    /// default
    #[arg(long, value_name = "ADDR", env = "ORWD_ADMIN_LISTEN")]
    pub admin_listen: Option<Listen>,

    /// File of API keys, made by `orwd keys add`. A request without a valid key
    /// gets 401; each key has its own sessions. A removed key is refused within
    /// seconds
    #[arg(long, value_name = "FILE", env = "ORWD_API_KEYS")]
    pub api_keys: Option<PathBuf>,

    /// Certificate of the server, in PEM format, followed by those of intermediate
    /// authorities. The server then speaks https only. A renewed file is used
    /// within seconds
    #[arg(long, value_name = "FILE", env = "ORWD_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of --tls-cert, in PEM format and without a password
    #[arg(long, value_name = "FILE", env = "ORWD_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Host name under which requests may address this server, such as behind
    /// a proxy; may be repeated. Other names get 403: on a loopback address all
    /// but localhost, elsewhere once this flag is given
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub allow_host: Vec<String>,
}

/// Address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

/// The text is not an address to listen on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address and a port, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080")]
pub struct NotAnAddress;

impl ListenFlags {
    /// Returns the scheme of the server's URL.
    pub fn scheme(&self) -> &'static str {
        match self.tls_cert {
            Some(_) => "https",
            None => "http",
        }
    }
}

impl Listen {
    /// Returns a free port of the loopback interface, for a server that only
    /// this process uses.
    pub fn private() -> Listen {
        Listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
    }

    /// Returns whether other machines may be able to connect.
    pub fn is_public(self) -> bool {
        !self.0.ip().to_canonical().is_loopback()
    }
}

impl FromStr for Listen {
    type Err = NotAnAddress;

    /// Parses an address. Names are refused, since their lookup depends on the
    /// network; `localhost` has a fixed meaning and is the exception.
    fn from_str(text: &str) -> Result<Listen, NotAnAddress> {
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = port.parse().map_err(|_| NotAnAddress)?;
            return Ok(Listen(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                port,
            )));
        }
        text.parse().map(Listen).map_err(|_| NotAnAddress)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Parses a host name or address without a port.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let address = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_address = address.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok());
    if is_address || (!name.is_empty() && name.chars().all(plain)) {
        Ok(name.to_owned())
    } else {
        Err("expected a name or an address without a port, such as orwd.example".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_private() {
        for (text, public) in [
            ("127.0.0.1:8080", false),
            ("127.3.2.1:0", false),
            ("localhost:1", false),
            ("[::1]:8080", false),
            ("[::ffff:127.0.0.1]:80", false),
            ("0.0.0.0:8080", true),
            ("[::]:8080", true),
            ("192.168.0.7:80", true),
        ] {
            assert_eq!(
                text.parse::<Listen>().unwrap().is_public(),
                public,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_names_as_addresses() {
        assert_eq!("example.org:80".parse::<Listen>(), Err(NotAnAddress));
        assert_eq!("localhost:http".parse::<Listen>(), Err(NotAnAddress));
    }
}
