//! IP networks of `IpAddress` conditions.

use std::net::IpAddr;

/// A network in CIDR form; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// First address, with the host bits cleared.
    pub base: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or a bare address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = width(&address);
        let prefix = prefix.unwrap_or(width);
        if prefix > width {
            return None;
        }
        Some(Self {
            base: first(address, prefix),
            prefix,
        })
    }

    /// Whether every address of `other` is in this network.
    pub fn contains(&self, other: &Cidr) -> bool {
        width(&self.base) == width(&other.base)
            && other.prefix >= self.prefix
            && first(other.base, self.prefix) == self.base
    }

    /// The first address after the network; `None` when it ends where addresses end.
    pub fn after(&self) -> Option<IpAddr> {
        let hosts = u32::from(width(&self.base) - self.prefix);
        match self.base {
            IpAddr::V4(base) => {
                let next = u64::from(u32::from(base)) + (1_u64 << hosts);
                let next = u32::try_from(next).ok()?;
                Some(IpAddr::V4(next.into()))
            }
            IpAddr::V6(base) => {
                let next = u128::from(base).checked_add(1_u128.checked_shl(hosts)?)?;
                Some(IpAddr::V6(next.into()))
            }
        }
    }

    /// Whether the network lies in address space that is not routed on the internet.
    pub fn is_private(&self) -> bool {
        PRIVATE
            .iter()
            .filter_map(|text| Cidr::parse(text))
            .any(|p| p.contains(self))
    }

    /// Whether the network is wider than S3's definition of public allows for a restricting range:
    /// `/8` for IPv4 and `/32` for IPv6 (S3 User Guide, "The meaning of public").
    pub fn is_broad(&self) -> bool {
        let limit = if self.base.is_ipv4() { 8 } else { 32 };
        self.prefix < limit && !self.is_private()
    }
}

/// Private, loopback, link-local, shared and documentation ranges (RFC 1918, 6598, 3927, 4193, 4291, 5737, 3849).
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "0.0.0.0/32",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "2001:db8::/32",
];

fn width(address: &IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn first(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(prefix.min(32)))
                .unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(prefix.min(128)))
                .unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let net = Cidr::parse("10.1.2.3/8").unwrap();
        assert!(net.contains(&Cidr::parse("10.200.0.1").unwrap()));
        assert!(!net.contains(&Cidr::parse("0.0.0.0/0").unwrap()));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains(&net));
        assert!(!Cidr::parse("::/0").unwrap().contains(&net));
        assert!(Cidr::parse("256.1.1.1").is_none() && Cidr::parse("1.1.1.1/33").is_none());
        assert!(Cidr::parse("fd00::/8").unwrap().is_private());
        assert!(
            !Cidr::parse("1.2.3.0/24").unwrap().is_broad()
                && Cidr::parse("0.0.0.0/1").unwrap().is_broad()
        );
    }
}
