//! Whom webhooks may reach. Without `--webhook-allow-private` that is the public internet alone: a URL must not make
//! herald speak to what is beside it (server-side request forgery). What is checked is the address to which herald
//! connects, and not the name: a name may lead anywhere, and elsewhere the next time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// Networks of IPv4 that are not on the public internet, with the bits of each
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, and multicast).
const NOT_PUBLIC: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Networks within the global unicast addresses of IPv6 (2000::/3) that are not on the public internet, or that carry
/// IPv4 (<https://www.iana.org/assignments/iana-ipv6-special-registry>).
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// The addresses of IPv4 as networks without it write them (RFC 6052).
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address is on the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !NOT_PUBLIC.iter().any(|(network, bits)| v4_in(v4, *network, *bits)),
        IpAddr::V6(v6) if v6_in(v6, NAT64) => {
            let [.., a, b, c, d] = v6.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(v6) => {
            let is_global = v6_in(v6, (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3));
            is_global && !NOT_PUBLIC_V6.iter().any(|network| v6_in(v6, *network))
        }
    }
}

fn v4_in(address: Ipv4Addr, network: Ipv4Addr, bits: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

fn v6_in(address: Ipv6Addr, (network, bits): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
}

/// Finds the addresses of a host, and gives those alone that may be reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    pub(super) allow_private: bool,
}

impl Resolver {
    async fn resolve(self, host: String) -> io::Result<std::vec::IntoIter<SocketAddr>> {
        // The port is that of the URL, which the caller sets.
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
        self.allowed(found).map(IntoIterator::into_iter)
    }

    fn allowed(self, mut found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
        if !self.allow_private {
            found.retain(|address| is_public(address.ip()));
            if found.is_empty() {
                let reason = "its address is not on the public internet (--webhook-allow-private allows it)";
                return Err(io::Error::other(reason));
            }
        }
        Ok(found)
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.resolve(name.as_str().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for public in
            ["1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001::1",
            "64:ff9b::7f00:1",
            "3fff::1",
            "fec0::1",
            "100::1",
        ];
        for private in private {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn of_the_addresses_of_a_name_only_public_ones_are_given() {
        let all = || vec!["127.0.0.1:0".parse().unwrap(), "1.1.1.1:0".parse().unwrap()];
        let (careful, trusting) = (Resolver { allow_private: false }, Resolver { allow_private: true });
        assert_eq!(careful.allowed(all()).unwrap(), vec!["1.1.1.1:0".parse().unwrap()]);
        assert_eq!(trusting.allowed(all()).unwrap(), all());
        assert!(
            careful.allowed(all()[..1].to_vec()).unwrap_err().to_string().contains("--webhook-allow-private")
        );
    }

    #[tokio::test]
    async fn other_spellings_of_an_address_are_resolved_and_refused() {
        for host in ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"] {
            // Not every system reads each of them. None may give the address.
            let resolved = Resolver { allow_private: false }.resolve(host.into()).await;
            assert!(resolved.is_err(), "{host}: {resolved:?}");
        }
    }
}
