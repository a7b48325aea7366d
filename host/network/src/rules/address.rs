//! Which addresses a name may resolve to.
//!
//! Only public unicast addresses. Everything else may be a service of this
//! machine, of its network or of its cloud, that trusts every program there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that are not public, each with the number of its fixed bits.
const REFUSED_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "unspecified"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by a provider"),
    ([127, 0, 0, 0], 8, "loopback"),
    // The metadata service of most clouds is here.
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "reserved"),
    ([192, 0, 2, 0], 24, "reserved"),
    ([192, 88, 99, 0], 24, "reserved"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "reserved"),
    ([198, 51, 100, 0], 24, "reserved"),
    ([203, 0, 113, 0], 24, "reserved"),
    // A public address that Azure uses for its metadata.
    ([168, 63, 129, 16], 32, "a metadata service"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// Returns why an address is refused; none if it is public.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    REFUSED_V4.iter().find_map(|(block, fixed, kind)| {
        let mask = u32::MAX.checked_shl(32 - fixed).unwrap_or(0);
        let block = u32::from(Ipv4Addr::from(*block));
        (bits & mask == block).then_some(*kind)
    })
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [first, second, ..] = address.segments();
    if address.is_loopback() {
        return Some("loopback");
    }
    // Public addresses are in 2000::/3. That leaves out mapped and translated
    // IPv4 addresses, private and link-local ones, and multicast.
    if first & 0xe000 != 0x2000 {
        return Some(match address.to_ipv4_mapped() {
            Some(_) => "an IPv4 address in disguise",
            None if first & 0xffc0 == 0xfe80 => "link-local",
            None if first & 0xfe00 == 0xfc00 => "private",
            None if first & 0xff00 == 0xff00 => "multicast",
            None => "reserved",
        });
    }
    match (first, second) {
        // 6to4 and Teredo contain an IPv4 address.
        (0x2002, _) | (0x2001, 0) => Some("an IPv4 address in disguise"),
        (0x2001, second) if second < 0x200 || second == 0xdb8 => Some("reserved"),
        (0x3fff, second) if second < 0x1000 => Some("reserved"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached() {
        for (address, refused) in [
            ("1.1.1.1", false),
            ("172.15.0.1", false),
            ("172.32.0.1", false),
            ("100.128.0.1", false),
            ("2606:4700::1111", false),
            ("2a00:1450:4001:800::200e", false),
            ("0.0.0.0", true),
            ("127.0.0.1", true),
            ("127.255.255.254", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("192.168.1.1", true),
            ("169.254.169.254", true),
            ("168.63.129.16", true),
            ("100.100.100.200", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("::", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:1.1.1.1", true),
            ("::127.0.0.1", true),
            ("64:ff9b::7f00:1", true),
            ("2002:7f00:1::", true),
            ("2001:0:4136:e378::", true),
            ("2001:db8::1", true),
            ("fd00:ec2::254", true),
            ("fe80::1", true),
            ("ff02::1", true),
            ("3fff::1", true),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(refusal(parsed).is_some(), refused, "{address}");
        }
    }
}
