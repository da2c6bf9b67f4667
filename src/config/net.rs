//! Connections: which addresses, by what proxy, and what is in memory of them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use url::Url;

/// Which addresses of a host are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpFamily {
    /// Both (RFC 8305).
    #[default]
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetSection {
    /// Which addresses of a host are tried.
    pub ip: IpFamily,
    /// Which name server knows mail exchangers; the system's name servers if it is not named.
    pub nameserver: Option<SocketAddr>,
    /// Whether domains are asked for the servers of new mailboxes that name none.
    pub discovery: bool,
    /// Whether the file of whoever takes a domain's mail counts where the domain has none.
    pub discovery_by_mx: bool,
    /// Networks that are never connected to, whatever a host's name leads to.
    pub deny: Vec<IpNet>,
    /// Networks that are connected to all the same.
    pub allow: Vec<IpNet>,
    /// An outbound proxy for IMAP, SMTP and OAuth: `http://` (CONNECT) or `socks5://`.
    pub proxy: Option<Url>,
    /// Hosts, and domains with all below them, that are connected to without it.
    pub no_proxy: Vec<String>,
    /// Whether connections without TLS may leave this machine.
    pub allow_plain_remote: bool,
    /// Bytes of message bodies in flight in the whole process.
    pub bytes_in_flight: usize,
    /// Bytes of messages that are being sent, in the whole process.
    pub bytes_sending: usize,
}

impl Default for NetSection {
    fn default() -> Self {
        Self {
            ip: IpFamily::Auto,
            nameserver: None,
            discovery: true,
            discovery_by_mx: true,
            deny: denied(),
            allow: Vec::new(),
            proxy: None,
            no_proxy: ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec(),
            allow_plain_remote: false,
            bytes_in_flight: 24 << 20,
            bytes_sending: 128 << 20,
        }
    }
}

/// Networks that are never connected to unless that is changed: link-local ones, among them the metadata services of clouds
/// (169.254.169.254), those of AWS over IPv6 and of Alibaba Cloud, "this host" and multicast.
const DENIED: [&str; 9] = [
    "0.0.0.0/8",
    "100.100.100.200/32",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "fd00:ec2::254/128",
    "fe80::/10",
    "ff00::/8",
];

fn denied() -> Vec<IpNet> {
    DENIED.iter().filter_map(|net| net.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Reach;

    #[test]
    fn metadata_services_are_out_of_reach_however_they_are_written() {
        let reach = Reach { deny: denied(), allow: Vec::new() };
        assert_eq!(reach.deny.len(), DENIED.len(), "each is a network");
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "fd00:ec2::254",
            "224.0.0.1",
        ] {
            assert!(!reach.has(address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.0.0.5", "fd12::1", "198.51.100.7", "2001:db8::1"] {
            assert!(reach.has(address.parse().unwrap()), "{address}");
        }
    }
}
