//! Addresses: what counts as one sender, and which ones a device calls from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hilum_contracts::error::ServiceError;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The address as IPv4 where it is one that a socket of IPv6 reports.
#[must_use]
pub fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The network that counts as one sender: whoever has a line has all of it.
#[must_use]
pub fn network_of(address: IpAddr) -> IpNet {
    match plain(address) {
        IpAddr::V4(four) => Ipv4Net::new_assert(four, 24).trunc().into(),
        IpAddr::V6(six) => Ipv6Net::new_assert(six, 64).trunc().into(),
    }
}

/// The address or network that a device calls from, in its one form: a single
/// address stands without a length.
///
/// # Errors
/// `Invalid` for what is neither, and for a network of every address.
pub fn device_address(text: &str) -> Result<String, ServiceError> {
    let text = text.trim();
    let wrong = || {
        ServiceError::invalid(
            "An address is like 192.0.2.7 or 2001:db8::7, a network like 192.0.2.0/24.",
        )
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(plain(address).to_string());
    }
    let net = text.parse::<IpNet>().map_err(|_| wrong())?;
    if net.prefix_len() == 0 {
        let text = "A network of every address names no device: give a smaller one, or a \
                    certificate.";
        return Err(ServiceError::invalid(text));
    }
    if net.prefix_len() == net.max_prefix_len() {
        return Ok(plain(net.addr()).to_string());
    }
    Ok(net.trunc().to_string())
}

/// How many bits of `address`, as [`device_address`] wrote it, `peer` agrees
/// with; nothing when it calls from elsewhere. The most of several wins.
#[must_use]
pub fn matches(address: &str, peer: IpAddr) -> Option<u8> {
    let peer = plain(peer);
    if let Ok(single) = address.parse::<IpAddr>() {
        return (single == peer).then_some(128);
    }
    let net = address.parse::<IpNet>().ok()?;
    net.contains(&peer).then(|| net.prefix_len())
}

/// Whether the address is this machine's own.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    plain(address).is_loopback()
}

/// Whether the address is one of the public network, which belongs to nobody
/// here (the IANA special-purpose address registries, RFC 6890): neither this
/// machine, nor one beside it, nor a service that only machines of a provider's
/// network reach, such as 169.254.169.254.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => {
            let [a, b, c, d, _, _, g, h] = six.segments();
            match (a, b) {
                // NAT64 (RFC 6052): as public as what is behind it.
                (0x64, 0xff9b) if c == 0 && d == 0 => {
                    let [[a, b], [c, d]] = [g.to_be_bytes(), h.to_be_bytes()];
                    is_public_v4(Ipv4Addr::new(a, b, c, d))
                }
                // Tunnels and other assignments, documentation, 6to4.
                (0x2001, 0..0x200 | 0xdb8) | (0x2002, _) => false,
                // What is given to hosts at all (RFC 4291 §2.4).
                _ => a & 0xe000 == 0x2000,
            }
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let assigned = (a, b, c) == (192, 0, 0) || a == 198 && b & 0xfe == 18;
    !(a == 0
        || a >= 224
        || shared
        || assigned
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation())
}

/// The unspecified address, for what came from within.
pub const NOWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_once_whatever_addresses_it_has() {
        let net = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(net("192.0.2.7"), "192.0.2.0/24");
        assert_eq!(net("::ffff:192.0.2.7"), "192.0.2.0/24");
        assert_eq!(net("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }

    #[test]
    fn only_what_belongs_to_nobody_here_is_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for address in ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822"] {
            assert!(public(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn a_device_s_address_has_one_form() {
        assert_eq!(device_address(" 192.0.2.7/32 ").unwrap(), "192.0.2.7");
        assert_eq!(device_address("192.0.2.7/24").unwrap(), "192.0.2.0/24");
        assert!(device_address("0.0.0.0/0").is_err());
        assert!(device_address("host").is_err());
        assert_eq!(
            matches("192.0.2.0/24", "192.0.2.9".parse().unwrap()),
            Some(24)
        );
        assert_eq!(
            matches("192.0.2.9", "::ffff:192.0.2.9".parse().unwrap()),
            Some(128)
        );
        assert_eq!(matches("192.0.2.9", "192.0.2.8".parse().unwrap()), None);
    }
}
