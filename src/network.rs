//! The network that an address belongs to, which stands for its owner.

use std::net::{IpAddr, Ipv6Addr};

/// The first bits of an IPv6 address, which its owner cannot choose: one customer has at least a /64 (RFC 6177).
const IPV6_PREFIX_BITS: u32 = 64;

/// An IPv4 address, or an IPv6 network. herald counts by this wherever it counts by address, because an IPv6 host may
/// use any of 2^64 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address. A socket for both kinds shows an IPv4 address as an IPv6 one; here it counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - IPV6_PREFIX_BITS))).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_once_and_ipv4_addresses_by_themselves() {
        let network = |address: &str| Network::of(address.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("::ffff:192.0.2.1"), network("::ffff:192.0.2.2"));
    }
}
