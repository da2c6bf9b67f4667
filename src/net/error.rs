//! What can go wrong on the way to a server, before its protocol begins.

use crate::diagnosis::{Entry, Facts, catalogue as c, describe};
use crate::domain::{Diagnosis, Disposition};
use std::io;
use std::time::Duration;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The name has no address.
    #[error("{host} cannot be resolved ({cause}): check the host name and this machine's DNS")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's error text.
        cause: String,
    },
    /// Nobody listens.
    #[error("{host}:{port} refuses connections: check host and port, and that the service runs")]
    Refused {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// No route.
    #[error("{host}:{port} cannot be reached ({cause}): check the network and the firewall")]
    Unreachable {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The system's words.
        cause: String,
    },
    /// No address answered in time.
    #[error("{host}:{port} did not answer within {after:?}: check the network and the firewall")]
    ConnectTimeout {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The deadline.
        after: Duration,
    },
    /// TLS was not ready in time.
    #[error("TLS with {host} was not ready within {after:?}: check that port and security fit")]
    TlsTimeout {
        /// The host.
        host: String,
        /// The deadline.
        after: Duration,
    },
    /// The certificate is not accepted.
    #[error("the certificate of {host} is not accepted: {reason}")]
    Certificate {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What is wrong with it.
        fault: CertificateFault,
        /// The same in words.
        reason: String,
    },
    /// TLS failed otherwise.
    #[error("TLS with {host} failed ({cause}): check that port and security fit")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        cause: String,
    },
    /// An unprotected connection would leave this machine.
    #[error("security none is only for this machine, and {host} is another: set tls or starttls")]
    PlainRefused {
        /// The host.
        host: String,
    },
    /// The address is not one to connect to.
    #[error("{host} is {address}, which may not be connected to: allow it in net.allow if it is meant")]
    Denied {
        /// The host.
        host: String,
        /// Its address.
        address: std::net::IpAddr,
    },
    /// The proxy does not connect.
    #[error(
        "the proxy {proxy} does not connect to {host} ({cause}): check net.proxy and what it lets through"
    )]
    Proxy {
        /// Which.
        proxy: String,
        /// Whom it was to connect to.
        host: String,
        /// Its words.
        cause: String,
    },
    /// The process has as many files and sockets open as it may.
    #[error(
        "all {limit} open files that this process may have are in use: raise the limit (LimitNOFILE, ulimit -n)"
    )]
    Descriptors {
        /// How many it may have.
        limit: u64,
    },
    /// A certificate file of the configuration cannot be used.
    #[error("{path} cannot be used as a certificate authority ({cause}): it must hold PEM certificates")]
    ExtraCa {
        /// The file.
        path: String,
        /// Why not.
        cause: String,
    },
    /// The connection broke.
    #[error("the connection with {host} broke: {cause}")]
    Io {
        /// The host.
        host: String,
        /// The system's words.
        #[source]
        cause: io::Error,
    },
}

/// What is wrong with a certificate; each has a remedy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// No authority that is trusted here issued it.
    Issuer,
    /// It is for another name.
    Name,
    /// It is not valid today.
    Time,
    /// It cannot be used at all.
    Unusable,
}

impl NetError {
    /// What to do about it. A bad certificate is seldom mended in a minute, yet it may be: it is tried again,
    /// slowly.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Resolve { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::ConnectTimeout { .. }
            | Self::TlsTimeout { .. }
            | Self::Tls { .. }
            | Self::Descriptors { .. }
            | Self::Proxy { .. }
            | Self::Io { .. } => Disposition::Retry,
            Self::Certificate { .. } => Disposition::RetryAfter(Duration::from_secs(15 * 60)),
            Self::PlainRefused { .. } | Self::ExtraCa { .. } | Self::Denied { .. } => Disposition::NeedsAdmin,
        }
    }

    /// In words a person can act on.
    #[must_use]
    pub fn diagnosis(&self) -> Diagnosis {
        let fact = if let Self::Descriptors { limit } = self {
            limit.to_string()
        } else if let Self::Denied { address, .. } = self {
            address.to_string()
        } else {
            String::new()
        };
        let (entry, host, detail): (&Entry, &str, &str) = match self {
            Self::Descriptors { .. } => (&c::DESCRIPTORS, "", &fact),
            Self::Denied { host, .. } => (&c::ADDRESS_DENIED, host, &fact),
            Self::Proxy { proxy, host, .. } => (&c::PROXY_REFUSED, host, proxy),
            Self::Resolve { host, .. } => (&c::HOST_UNKNOWN, host, ""),
            Self::Refused { host, .. } => (&c::CONNECTION_REFUSED, host, ""),
            Self::Unreachable { host, .. } | Self::ConnectTimeout { host, .. } => {
                (&c::HOST_UNREACHABLE, host, "")
            }
            Self::TlsTimeout { host, .. } | Self::Tls { host, .. } => (&c::TLS_FAILED, host, ""),
            Self::Certificate { host, fault, reason, .. } => {
                let entry = match fault {
                    CertificateFault::Issuer => &c::CERTIFICATE,
                    CertificateFault::Name => &c::CERTIFICATE_NAME,
                    CertificateFault::Time => &c::CERTIFICATE_TIME,
                    CertificateFault::Unusable => &c::CERTIFICATE_UNUSABLE,
                };
                (entry, host, reason)
            }
            Self::PlainRefused { host } => (&c::PLAIN_REFUSED, host, ""),
            Self::ExtraCa { path, cause } => (&c::CERTIFICATE, path, cause),
            Self::Io { host, .. } => (&c::CONNECTION_LOST, host, ""),
        };
        let evidence = self.to_string();
        describe(entry, &Facts { host, port: self.port(), detail, ..Facts::default() }, Some(&evidence))
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Refused { port, .. }
            | Self::Unreachable { port, .. }
            | Self::ConnectTimeout { port, .. }
            | Self::Certificate { port, .. } => Some(*port),
            Self::Resolve { .. }
            | Self::TlsTimeout { .. }
            | Self::Tls { .. }
            | Self::PlainRefused { .. }
            | Self::Denied { .. }
            | Self::Proxy { .. }
            | Self::Descriptors { .. }
            | Self::ExtraCa { .. }
            | Self::Io { .. } => None,
        }
    }
}
