//! The address by which a client is counted.

use std::net::{IpAddr, Ipv6Addr};

/// Returns what counts as one address: an IPv4 address, or the /64 network that
/// an IPv6 host usually has to itself.
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        canonical => canonical,
    }
}
