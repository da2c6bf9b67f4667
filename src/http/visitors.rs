//! How many connections one address may have at the users' pages, where these have a listener of their own: they are open
//! to the world.

use actix_web::dev::Extensions;
use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Who is connected.
#[derive(Clone, Debug)]
pub(super) struct Visitors {
    /// Connections of one address; 0: any number.
    most: usize,
    present: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection; it counts until it is dropped.
#[derive(Debug)]
struct Visit {
    visitors: Visitors,
    address: IpAddr,
}

/// The TCP stream of a connection that was accepted.
pub(super) fn tcp(connection: &dyn Any) -> Option<&TcpStream> {
    let tls = || connection.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
    connection.downcast_ref::<TcpStream>().or_else(tls)
}

impl Visitors {
    pub(super) fn new(most: usize) -> Self {
        Self { most, present: Arc::default() }
    }

    /// Counts a connection for as long as it lasts, or ends it. A proxy on this machine stands for many users, and knows
    /// them apart.
    pub(super) fn admit(&self, connection: &dyn Any, data: &mut Extensions) {
        let Some(stream) = tcp(connection) else { return };
        let Ok(peer) = stream.peer_addr() else { return };
        if self.most == 0 || peer.ip().is_loopback() {
            return;
        }
        match self.enter(network(peer.ip())) {
            Some(visit) => drop(data.insert(visit)),
            // whoever it is has others
            None => drop(rustix::net::shutdown(stream, rustix::net::Shutdown::Both)),
        }
    }

    fn enter(&self, address: IpAddr) -> Option<Visit> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = present.entry(address).or_default();
        if *connections >= self.most {
            return None;
        }
        *connections = connections.saturating_add(1);
        Some(Visit { visitors: self.clone(), address })
    }
}

/// Whose address it is: of IPv6 a customer has at least a /64 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut present = self.visitors.present.lock().unwrap_or_else(PoisonError::into_inner);
        let left = present.get(&self.address).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            present.remove(&self.address);
        } else {
            present.insert(self.address, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_others_are_not_concerned() {
        let visitors = Visitors::new(3);
        let of = |text: &str| network(text.parse().unwrap());
        let mut visits: Vec<Visit> = (0..3).map(|_| visitors.enter(of("192.0.2.1")).unwrap()).collect();
        assert!(visitors.enter(of("::ffff:192.0.2.1")).is_none());
        assert!(visitors.enter(of("192.0.2.2")).is_some());
        visits.pop();
        assert!(visitors.enter(of("192.0.2.1")).is_some());
        drop(visits);
        assert!(visitors.present.lock().unwrap().is_empty(), "nobody is remembered");
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
    }
}
