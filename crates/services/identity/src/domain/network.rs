//! Addresses: what counts as one sender, and which ones a device calls from.

use std::net::{IpAddr, Ipv6Addr};

use hilum_contracts::error::ServiceError;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The address as IPv4 where it is one that a socket of IPv6 reports.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The network that counts as one sender: whoever has a line has all of it.
pub(crate) fn network_of(address: IpAddr) -> IpNet {
    match plain(address) {
        IpAddr::V4(four) => Ipv4Net::new_assert(four, 24).trunc().into(),
        IpAddr::V6(six) => Ipv6Net::new_assert(six, 64).trunc().into(),
    }
}

/// The address or network that a device calls from, in its one form: a single
/// address stands without a length.
pub(crate) fn device_address(text: &str) -> Result<String, ServiceError> {
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
pub(crate) fn matches(address: &str, peer: IpAddr) -> Option<u8> {
    let peer = plain(peer);
    if let Ok(single) = address.parse::<IpAddr>() {
        return (single == peer).then_some(128);
    }
    let net = address.parse::<IpNet>().ok()?;
    net.contains(&peer).then(|| net.prefix_len())
}

/// Whether the address is this machine's own.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    plain(address).is_loopback()
}

/// The unspecified address, for what came from within.
pub(crate) const NOWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

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
