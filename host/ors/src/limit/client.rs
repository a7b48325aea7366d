//! Whom a limit counts: the owner of an API key, or an address without keys.

use std::net::IpAddr;
use std::sync::Arc;

use orwd_session::Principal;

use super::client_network::client_network;

/// A client as limits count it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// The owner of the API key with this name.
    Key(Arc<str>),
    /// An address, or the network that counts as one.
    Address(IpAddr),
}

impl Client {
    /// Returns the client that sent a request.
    pub(crate) fn of(principal: &Principal, from: IpAddr) -> Client {
        match principal {
            Principal::Named(name) => Client::Key(name.clone()),
            Principal::Anyone => Client::Address(client_network(from)),
        }
    }
}
