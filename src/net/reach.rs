//! Which addresses may be connected to. A mailbox's host is what somebody entered, and an authority's answers name further
//! ones: none of them may lead to where this machine alone gets an answer, such as a cloud's metadata service.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// What may be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Networks that may not.
    pub deny: Vec<IpNet>,
    /// Networks that may all the same.
    pub allow: Vec<IpNet>,
}

impl Reach {
    /// Whether an address may be connected to. IPv4 in IPv6 (RFC 4291 §2.5.5.2) is IPv4.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |nets: &[IpNet], address: &IpAddr| nets.iter().any(|net| net.contains(address));
        let inner = embedded(address).map(IpAddr::V4);
        let is_denied = is_in(&self.deny, &address) || inner.is_some_and(|inner| is_in(&self.deny, &inner));
        is_in(&self.allow, &address) || !is_denied
    }

    /// The address that a host is written as, if it may not be connected to.
    #[must_use]
    pub fn refuses(&self, host: &str) -> Option<IpAddr> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let address = bare.parse().ok().or_else(|| {
            // 0xa9fea9fe, 2852039166, 169.254.43518: what getaddrinfo(3), and so a proxy, takes for IPv4
            match url::Host::parse(bare).ok()? {
                url::Host::Ipv4(address) => Some(IpAddr::V4(address)),
                url::Host::Ipv6(address) => Some(IpAddr::V6(address)),
                url::Host::Domain(_) => None,
            }
        });
        address.filter(|address| !self.has(*address))
    }
}

/// The IPv4 address that a translator (RFC 6052) or 6to4 (RFC 3056) makes of an IPv6 one.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let [a, b, c, d, e, f, g, h] = address.segments();
    let (high, low) = match (a, b) {
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => (g, h),
        (0x2002, high) => (high, c),
        _ => return None,
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

/// Whether a host can only be this machine: its traffic needs no protection.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_counts_more_than_what_is_denied_however_it_is_written() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let reach = Reach { deny: nets(&["10.0.0.0/8", "127.0.0.0/8"]), allow: nets(&["10.1.2.0/24"]) };
        let has = |address: &str| reach.has(address.parse().unwrap());
        assert!(has("10.1.2.3") && has("169.254.169.254"));
        assert!(!has("10.1.3.3") && !has("127.0.0.1") && !has("::ffff:127.0.0.1"));
        assert!(reach.refuses("[::ffff:127.0.0.1]").is_some());
        for host in
            ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "64:ff9b::7f00:1", "2002:7f00:1::"]
        {
            assert!(reach.refuses(host).is_some(), "{host}");
        }
        assert!(reach.refuses("mail.example").is_none() && reach.refuses("192.0.2.1").is_none());
    }
}
