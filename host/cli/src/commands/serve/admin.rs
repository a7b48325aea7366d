//! The listener for operators (`--admin-listen`): its address, and when it starts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use orwd_config::{Listen, ListenFlags};

use crate::bootstrap::server::{self, OperationsConfig, ServerSocket};
use crate::console::{CommandError, Log};
use crate::operations::{ProcessFacts, ServerOperations};

const FLAG: &str = "--admin-listen";

/// A listener for operators that accepts no connections yet.
pub(super) struct AdminListener {
    address: Listen,
    socket: ServerSocket,
    hosts: orwd_ors::AllowedHosts,
    config: OperationsConfig,
}

/// Refuses an address that cannot be used, before anything is built.
pub(super) fn check(flags: &ListenFlags) -> Result<(), CommandError> {
    let Some(address) = flags.admin_listen else {
        return Ok(());
    };
    if overlap(address.0, flags.listen.0) {
        return Err(CommandError::usage(format!(
            "--listen {} and {FLAG} {address} are the same address; metrics and probes need \
             one of their own",
            flags.listen
        )));
    }
    server::bind(address, FLAG).map(drop)
}

/// Binds the address, and opens what is read about the process. To be called
/// before hardening, which closes the way to both.
pub(super) fn bind(flags: &ListenFlags, log: &Log) -> Result<Option<AdminListener>, CommandError> {
    let Some(address) = flags.admin_listen else {
        return Ok(None);
    };
    Ok(Some(AdminListener {
        address,
        socket: server::bind(address, FLAG)?,
        hosts: allowed_hosts(address, &flags.allow_host),
        config: OperationsConfig {
            operations: ServerOperations::starting(),
            facts: ProcessFacts::open(),
            dropped_lines: log.dropped_lines(),
        },
    }))
}

impl AdminListener {
    /// Starts to answer operators.
    pub(super) fn start(self) -> Result<OperationsConfig, CommandError> {
        let listener = server::listen(self.address, FLAG, self.socket)?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "admin listener started");
        if self.address.is_public() {
            tracing::warn!(
                %address,
                "metrics are readable from other machines without a key; keep this address in a \
                 network of your own"
            );
        }
        let operations = Arc::new(self.config.operations.clone());
        tokio::spawn(orwd_ors::serve_operations(listener, self.hosts, operations));
        Ok(self.config)
    }
}

/// Returns the hosts that requests to this address may name. Scrapers and probes
/// name other addresses by number; on a loopback address that can only be a web page.
fn allowed_hosts(address: Listen, also: &[String]) -> orwd_ors::AllowedHosts {
    if address.is_public() {
        return orwd_ors::AllowedHosts::Any;
    }
    orwd_ors::AllowedHosts::Loopback {
        also: also.to_vec(),
    }
}

/// Returns whether two listeners cannot have these addresses at once.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |ip: IpAddr| ip.is_unspecified();
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && one.port() != 0 && (a == b || all(a) || all(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_need_two_addresses() {
        for (one, other, overlaps) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(one, other), overlaps, "{one} {other}");
            assert_eq!(overlap(other, one), overlaps, "{other} {one}");
        }
    }
}
