//! Which addresses are asked where tenants name them: public ones, and those of
//! networks that the operator allows. What is connected to is what was looked at: a
//! name that leads elsewhere a moment later (DNS rebinding) leads nowhere.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use ipnet::IpNet;
use tower::Service;

use crate::network::{is_loopback, is_public, plain};

/// Which addresses are asked.
#[derive(Clone, Debug)]
pub struct Reach(Extent);

#[derive(Clone, Debug)]
enum Extent {
    /// Whoever names them is the operator.
    Anywhere,
    Within {
        here: bool,
        networks: Arc<[IpNet]>,
    },
}

/// The address is not one that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address is not one that is asked")]
pub struct OutOfReach;

impl Reach {
    /// Every address: the operator names it.
    pub const ANYWHERE: Self = Self(Extent::Anywhere);

    /// Public addresses and those of `networks`; with `here` this machine's as well.
    #[must_use]
    pub fn within(here: bool, networks: &[IpNet]) -> Self {
        Self(Extent::Within {
            here,
            networks: networks.into(),
        })
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        let Extent::Within { here, networks } = &self.0 else {
            return true;
        };
        let address = plain(address);
        is_public(address)
            || *here && is_loopback(address)
            || networks.iter().any(|net| net.contains(&address))
    }

    /// Whether this host, as it stands in an address, may be asked as far as it says
    /// where it is; names are looked up later.
    #[must_use]
    pub fn may_ask(&self, host: &str) -> bool {
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        literal.map_or(true, |address| self.covers(address))
    }

    /// Looks a `host:port` up; those of its addresses that may be asked.
    ///
    /// # Errors
    /// When it is not found, and [`OutOfReach`] in it where all are elsewhere.
    pub async fn look_up(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host(address).await?;
        let covered: Vec<_> = found.filter(|one| self.covers(one.ip())).collect();
        match covered.is_empty() {
            true => Err(io::Error::other(OutOfReach)),
            false => Ok(covered),
        }
    }
}

/// Whether an error is [`OutOfReach`], however deep it stands.
#[must_use]
pub fn is_out_of_reach(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(one) = next {
        // What is in an `io::Error` is not its source, but that of what it is.
        let inner = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if one.is::<OutOfReach>() || inner.is_some_and(|inner| inner.is::<OutOfReach>()) {
            return true;
        }
        next = one.source();
    }
    false
}

/// Looks names up for an HTTP client, and leaves the addresses that may be asked.
#[derive(Clone, Debug)]
pub struct Names {
    names: GaiResolver,
    reach: Reach,
}

impl Names {
    /// Names within this reach.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self {
            names: GaiResolver::new(),
            reach,
        }
    }
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.names.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, reach) = (self.names.call(name), self.reach.clone());
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> = found.await?.collect();
            addresses.retain(|address| reach.covers(address.ip()));
            match addresses.is_empty() {
                true => Err(io::Error::other(OutOfReach)),
                false => Ok(addresses.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const INSIDE: [&str; 8] = [
        "127.0.0.1",
        "10.0.0.7",
        "172.16.1.1",
        "192.168.1.1",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.7",
    ];

    #[test]
    fn the_inside_is_out_of_reach_unless_its_network_is_allowed() {
        let nowhere = Reach::within(false, &[]);
        for address in INSIDE {
            assert!(!nowhere.covers(ip(address)), "{address}");
            assert!(Reach::ANYWHERE.covers(ip(address)), "{address}");
        }
        assert!(nowhere.covers(ip("93.184.216.34")));
        let allowed = Reach::within(false, &["10.0.0.0/8".parse().unwrap()]);
        assert!(allowed.covers(ip("10.0.0.7")) && allowed.covers(ip("::ffff:10.0.0.7")));
        assert!(!allowed.covers(ip("192.168.1.1")) && !allowed.covers(ip("127.0.0.1")));
        assert!(Reach::within(true, &[]).covers(ip("127.0.0.1")));
        assert!(!nowhere.may_ask("[::1]") && nowhere.may_ask("pacs.example.org"));
    }

    #[tokio::test]
    async fn a_name_of_this_machine_leads_nowhere() {
        let refused = Reach::within(false, &[]).look_up("localhost:104").await;
        assert!(is_out_of_reach(&refused.unwrap_err()));
        let here = ["127.0.0.0/8".parse().unwrap()];
        let found = Reach::within(false, &here).look_up("localhost:104").await;
        assert!(found.unwrap().iter().all(SocketAddr::is_ipv4));
    }
}
