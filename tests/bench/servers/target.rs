//! The server to measure: a name for the report and an address on this machine.
//! Other addresses are refused, so that a typing error does not put load on a
//! remote server.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// A server under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BenchTarget {
    /// Its name in the report.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: SocketAddr,
}

impl BenchTarget {
    /// Creates a target for a started server.
    pub(crate) fn started(name: &str, base: &str) -> Result<Self, String> {
        Ok(Self {
            name: name.to_owned(),
            address: address(base)?,
        })
    }
}

impl FromStr for BenchTarget {
    type Err = String;

    /// Parses `NAME=http://127.0.0.1:PORT`; the name is optional.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, base) = match text.split_once('=') {
            Some((name, base)) if !name.is_empty() => (name, base),
            _ => (text, text),
        };
        Self::started(name, base)
    }
}

fn address(base: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = base
        .strip_prefix("http://")
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
        .and_then(|rest| rest.parse().ok())
        .ok_or_else(|| format!("{base:?} is not of the form http://127.0.0.1:PORT"))?;
    if address.ip() != Ipv4Addr::LOCALHOST {
        return Err(format!("{address} is refused: only 127.0.0.1 is measured"));
    }
    Ok(address)
}

/// The process of a server, with the server's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPid {
    /// The name of the server.
    pub(crate) name: String,
    /// Its process id.
    pub(crate) pid: u32,
}

impl FromStr for NamedPid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not of the form NAME=PID"))?;
        Ok(Self {
            name: name.to_owned(),
            pid: pid
                .parse()
                .map_err(|_| format!("{pid:?} is not a number"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::BenchTarget;

    #[test]
    fn only_this_machine_is_measured() {
        for (text, expected) in [
            ("orwd=http://127.0.0.1:8931", Ok(("orwd", 8931))),
            ("orwd=http://127.0.0.1:8931/", Ok(("orwd", 8931))),
            ("http://127.0.0.1:80", Ok(("http://127.0.0.1:80", 80))),
            ("x=http://127.0.0.2:80", Err("only 127.0.0.1")),
            ("x=http://0.0.0.0:80", Err("only 127.0.0.1")),
            ("x=http://[::1]:80", Err("only 127.0.0.1")),
            ("x=http://192.0.2.1:80", Err("only 127.0.0.1")),
            ("x=http://localhost:80", Err("not of the form")),
            ("x=https://127.0.0.1:80", Err("not of the form")),
            ("x=http://127.0.0.1", Err("not of the form")),
            ("", Err("not of the form")),
        ] {
            match (text.parse::<BenchTarget>(), expected) {
                (Ok(target), Ok((name, port))) => {
                    assert_eq!(target.name, name);
                    assert_eq!(target.address.port(), port);
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }
}
