//! Where a request comes from.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::http::Extensions;

use super::connections::{Connection, network_of};
use crate::http::error::ApiError;

/// Where a request comes from, and who it turned out to be of. It is an extension
/// of the request.
#[derive(Clone)]
pub(crate) struct RequestSource(Arc<Source>);

struct Source {
    address: IpAddr,
    connection: Arc<Connection>,
    caller: OnceLock<Arc<str>>,
}

impl RequestSource {
    pub(crate) fn new(address: IpAddr, connection: Arc<Connection>) -> RequestSource {
        RequestSource(Arc::new(Source {
            address,
            connection,
            caller: OnceLock::new(),
        }))
    }

    /// Notes whose request it is, and counts its connection for them.
    pub(crate) fn identify(&self, name: &Arc<str>) -> Result<(), ApiError> {
        self.0.connection.count_for(name).map_err(|_| {
            ApiError::busy(format!(
                "{name} has too many connections open; use fewer at once"
            ))
        })?;
        // The first one counts.
        let _ = self.0.caller.set(name.clone());
        Ok(())
    }

    /// Returns the address.
    pub(super) fn address(&self) -> IpAddr {
        self.0.address.to_canonical()
    }

    /// Returns whose request it is, if that is known.
    pub(super) fn caller(&self) -> Option<&str> {
        self.0.caller.get().map(|name| &**name)
    }

    /// Returns the address, or the network that counts as one.
    pub(crate) fn network(&self) -> IpAddr {
        network_of(self.0.address)
    }
}

/// Notes whose request it is, where it came by a connection.
pub(crate) fn identify(extensions: &Extensions, name: &Arc<str>) -> Result<(), ApiError> {
    match extensions.get::<RequestSource>() {
        Some(source) => source.identify(name),
        None => Ok(()),
    }
}
