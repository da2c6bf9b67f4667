//! How connections are made: deadlines, addresses, certificate authorities, limits.

use super::{Proxy, Reach};
use crate::descriptors::Shares;
use std::path::PathBuf;
use std::time::Duration;

/// How connections are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetConfig {
    /// For each address; the name's resolution has as long again.
    pub connect_timeout: Duration,
    /// For the TLS handshake.
    pub tls_timeout: Duration,
    /// Which addresses are used.
    pub ip: IpChoice,
    /// PEM files with certificate authorities beside Mozilla's.
    pub extra_ca: Vec<PathBuf>,
    /// Whether `security: none` may leave this machine.
    pub allow_plain_remote: bool,
    /// How many connections may be open.
    pub shares: Shares,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// By what others are connected to.
    pub proxy: Option<Proxy>,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            tls_timeout: Duration::from_secs(15),
            ip: IpChoice::Auto,
            extra_ca: Vec::new(),
            allow_plain_remote: false,
            shares: Shares::of(u64::MAX),
            reach: Reach::default(),
            proxy: None,
        }
    }
}

/// Which addresses are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpChoice {
    /// Both kinds, IPv6 first.
    #[default]
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}
