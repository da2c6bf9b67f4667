//! From a host name to a TCP connection: all addresses, IPv6 and IPv4 in turn, each a little after the one before
//! (happy eyeballs, RFC 8305), each with a deadline.

use super::certificate::Shown;
use super::config::{IpChoice, NetConfig};
use super::reach::is_loopback;
use super::slots::{Slot, Slots};
use super::{NetError, Proxy, tls_config};
use crate::domain::Security;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rustls::ClientConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// RFC 8305 §5's recommended Connection Attempt Delay.
const STAGGER: Duration = Duration::from_millis(250);

/// Makes connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: NetConfig,
    tls: Arc<ClientConfig>,
    shown: Option<Shown>,
    slots: Slots,
}

impl Dialer {
    /// Reads the certificate authorities and stands ready.
    ///
    /// # Errors
    /// [`NetError::ExtraCa`] if a configured file is no certificate.
    pub fn new(config: NetConfig) -> Result<Self, NetError> {
        let tls = Arc::new(tls_config::client_config(&config)?);
        let slots = Slots::of(config.shares);
        Ok(Self(Arc::new(Shared { config, tls, shown: None, slots })))
    }

    /// The same with a TLS configuration of its own, that notes what it is shown.
    pub(super) fn noting(&self, tls: ClientConfig, shown: Shown) -> Self {
        let (config, slots) = (self.0.config.clone(), self.0.slots.clone());
        Self(Arc::new(Shared { config, tls: Arc::new(tls), shown: Some(shown), slots }))
    }

    /// Room for a connection that stays, to be held as long as it does.
    ///
    /// # Errors
    /// [`NetError::Descriptors`] if there is none.
    pub fn receiving_slot(&self) -> Result<Slot, NetError> {
        self.0.slots.receiving()
    }

    /// Waits a while for room for a connection that sends, to be held as long as it lasts.
    ///
    /// # Errors
    /// [`NetError::Descriptors`] if there is none.
    pub async fn sending_slot(&self) -> Result<Slot, NetError> {
        self.0.slots.sending().await
    }

    /// Where a dialer that inspects notes certificates.
    pub(super) fn shown(&self) -> Option<&Shown> {
        self.0.shown.as_ref()
    }

    pub(super) fn config(&self) -> &NetConfig {
        &self.0.config
    }

    pub(super) fn tls_config(&self) -> &Arc<ClientConfig> {
        &self.0.tls
    }

    /// Whether a host may be spoken to with this protection.
    ///
    /// # Errors
    /// [`NetError::PlainRefused`] for `none` to another machine, unless that is allowed.
    pub fn check_security(&self, host: &str, security: Security) -> Result<(), NetError> {
        match security {
            Security::Tls | Security::Starttls => Ok(()),
            Security::None if is_loopback(host) || self.0.config.allow_plain_remote => Ok(()),
            Security::None => Err(NetError::PlainRefused { host: String::from(host) }),
        }
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// [`NetError::Resolve`], or the failure of the last address.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, NetError> {
        let addresses = self.resolve(host, port).await?;
        self.connect_to(host, port, &addresses).await
    }

    /// The proxy by which a host is connected to, if by any.
    #[must_use]
    pub fn proxy_for(&self, host: &str) -> Option<&Proxy> {
        self.0.config.proxy.as_ref().filter(|proxy| proxy.serves(host))
    }

    /// Connects to the first of a host's addresses that answers.
    ///
    /// # Errors
    /// The failure of the last address.
    pub async fn connect_to(
        &self,
        host: &str,
        port: u16,
        addresses: &[SocketAddr],
    ) -> Result<TcpStream, NetError> {
        let after = self.0.config.connect_timeout;
        let proxy = self.proxy_for(host);
        let (at, at_port) = proxy.map_or((host, port), |proxy| (proxy.host(), proxy.port()));
        let tcp = race(addresses, after).await.map_err(|cause| explain(at, at_port, cause, self))?;
        let Some(proxy) = proxy else { return Ok(tcp) };
        // the proxy has as long to connect as we would have
        let through = tokio::time::timeout(after.saturating_mul(2), proxy.through(tcp, host, port)).await;
        through.map_err(|_| NetError::ConnectTimeout { host: String::from(host), port, after })?
    }

    /// The addresses that are connected to for a host, in the order in which they are tried: its own, or those of its proxy,
    /// which looks the name up itself.
    ///
    /// # Errors
    /// [`NetError::Resolve`], or [`NetError::Denied`] if it may not be connected to.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NetError> {
        let reach = &self.0.config.reach;
        let denied = |address| NetError::Denied { host: String::from(host), address };
        if let Some(proxy) = self.proxy_for(host) {
            return match reach.refuses(host) {
                Some(address) => Err(denied(address)),
                None => self.look_up(proxy.host(), proxy.port()).await,
            };
        }
        let mut found = self.look_up(host, port).await?;
        let first = found.first().map(SocketAddr::ip);
        found.retain(|address| reach.has(address.ip()));
        match first.filter(|_| found.is_empty()) {
            Some(address) => Err(denied(address)),
            None => Ok(found),
        }
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NetError> {
        let refuse = |cause: &str| NetError::Resolve { host: String::from(host), cause: String::from(cause) };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let lookup = tokio::net::lookup_host((bare, port));
        let found = match tokio::time::timeout(self.0.config.connect_timeout, lookup).await {
            Err(_) => return Err(refuse("no answer in time")),
            Ok(Err(error)) => return Err(refuse(&error.to_string())),
            Ok(Ok(found)) => found,
        };
        let ordered = in_turn(found.collect(), self.0.config.ip);
        if ordered.is_empty() { Err(refuse("no address of the configured kind")) } else { Ok(ordered) }
    }
}

/// IPv6 first, then alternating (RFC 8305 §4), each kind in the resolver's order.
fn in_turn(addresses: Vec<SocketAddr>, choice: IpChoice) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    match choice {
        IpChoice::V4 => v4,
        IpChoice::V6 => v6,
        IpChoice::Auto => {
            let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
            let mut ordered = Vec::new();
            loop {
                let pair = (v6.next(), v4.next());
                if pair == (None, None) {
                    return ordered;
                }
                ordered.extend(pair.0.into_iter().chain(pair.1));
            }
        }
    }
}

async fn race(addresses: &[SocketAddr], deadline: Duration) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    attempts.extend(waiting.next().map(|address| attempt(address, deadline)));
    loop {
        tokio::select! {
            ended = attempts.next() => match ended {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    last = error;
                    // a failure starts the next address at once (RFC 8305 §5)
                    attempts.extend(waiting.next().map(|address| attempt(address, deadline)));
                }
                None => return Err(last),
            },
            () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => {
                attempts.extend(waiting.next().map(|address| attempt(address, deadline)));
            }
        }
    }
}

async fn attempt(address: SocketAddr, deadline: Duration) -> io::Result<TcpStream> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // Exchange and NATs forget silent connections; the protocols' own deadlines are shorter than the system's
    // keepalive, which is the last net under them.
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    match tokio::time::timeout(deadline, socket.connect(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}

/// errno(3): no descriptor left for the process, or for the system.
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();

// io::ErrorKind is open-ended: what is not named is "broken".
#[allow(clippy::wildcard_enum_match_arm)]
fn explain(host: &str, port: u16, cause: io::Error, dialer: &Dialer) -> NetError {
    let host = String::from(host);
    if matches!(cause.raw_os_error(), Some(EMFILE | ENFILE)) {
        return NetError::Descriptors { limit: dialer.0.slots.limit() };
    }
    match cause.kind() {
        io::ErrorKind::TimedOut => {
            NetError::ConnectTimeout { host, port, after: dialer.config().connect_timeout }
        }
        io::ErrorKind::ConnectionRefused => NetError::Refused { host, port },
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => {
            NetError::Unreachable { host, port, cause: cause.kind().to_string() }
        }
        _ => NetError::Io { host, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn dialer() -> Dialer {
        Dialer::new(NetConfig::default()).unwrap()
    }

    #[test]
    fn addresses_are_tried_ipv6_first_and_in_turn() {
        let all: Vec<SocketAddr> =
            ["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1", "[::2]:1"].iter().map(|a| a.parse().unwrap()).collect();
        let shown =
            |choice| in_turn(all.clone(), choice).iter().map(|a| a.ip().to_string()).collect::<Vec<_>>();
        assert_eq!(shown(IpChoice::Auto), ["::2", "1.1.1.1", "1.1.1.2", "1.1.1.3"]);
        assert_eq!(shown(IpChoice::V4), ["1.1.1.1", "1.1.1.2", "1.1.1.3"]);
        assert_eq!(shown(IpChoice::V6), ["::2"]);
    }

    #[tokio::test]
    async fn a_refused_address_gives_way_to_the_next_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let stream = race(&[free, listener.local_addr().unwrap()], Duration::from_secs(5)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_in_words() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let error = dialer().connect("127.0.0.1", port).await.unwrap_err();
        assert!(matches!(error, NetError::Refused { .. }), "{error}");
        assert_eq!(error.diagnosis().code, "connection_refused");
    }

    #[tokio::test]
    async fn an_unknown_name_is_told_as_such() {
        let error = dialer().connect("nobody.invalid", 993).await.unwrap_err();
        assert!(matches!(error, NetError::Resolve { .. }), "{error}");
    }

    #[test]
    fn plain_connections_stay_on_this_machine_unless_allowed() {
        assert!(dialer().check_security("127.0.0.1", Security::None).is_ok());
        assert!(dialer().check_security("mail.example", Security::Starttls).is_ok());
        assert!(dialer().check_security("mail.example", Security::None).is_err());
        let open = Dialer::new(NetConfig { allow_plain_remote: true, ..NetConfig::default() }).unwrap();
        assert!(open.check_security("mail.example", Security::None).is_ok());
    }
}
