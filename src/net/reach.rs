//! Which addresses may be connected to. A mailbox's host is what somebody entered, and an authority's answers name further
//! ones: none of them may lead to where this machine alone gets an answer, such as a cloud's metadata service.

use ipnet::IpNet;
use std::net::IpAddr;

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
        let is_in = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        is_in(&self.allow) || !is_in(&self.deny)
    }

    /// The address that a host is written as, if it may not be connected to.
    #[must_use]
    pub fn refuses(&self, host: &str) -> Option<IpAddr> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok().filter(|address| !self.has(*address))
    }
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
        assert!(reach.refuses("mail.example").is_none() && reach.refuses("192.0.2.1").is_none());
    }
}
