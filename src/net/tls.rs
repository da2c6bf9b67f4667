//! TLS on a stream, and what its failures mean.

use super::certificate::Shown;
use super::{CertificateFault, Dialer, NetError};
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

impl Dialer {
    /// Makes TLS on a stream to a host and port, checking that the certificate is the host's.
    ///
    /// # Errors
    /// [`NetError::Certificate`], [`NetError::TlsTimeout`], or [`NetError::Tls`].
    pub async fn tls<S>(&self, (host, port): (&str, u16), stream: S) -> Result<TlsStream<S>, NetError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(String::from(bare))
            .map_err(|error| NetError::Tls { host: String::from(host), cause: error.to_string() })?;
        let after = self.config().tls_timeout;
        let handshake = TlsConnector::from(Arc::clone(self.tls_config())).connect(name, stream);
        match tokio::time::timeout(after, handshake).await {
            Err(_) => Err(NetError::TlsTimeout { host: String::from(host), after }),
            Ok(Err(error)) => Err(self.name_issuer(explain((host, port), &error))),
            Ok(Ok(stream)) => Ok(stream),
        }
    }
}

impl Dialer {
    /// Says who issued the certificate that is not accepted, where that was noted.
    fn name_issuer(&self, error: NetError) -> NetError {
        match (error, self.shown().and_then(Shown::certificate)) {
            (NetError::Certificate { host, port, fault, reason }, Some(seen)) => {
                let reason = format!("{reason}; it was issued by {}", seen.issuer);
                NetError::Certificate { host, port, fault, reason }
            }
            (error, _) => error,
        }
    }
}

fn explain((host, port): (&str, u16), error: &io::Error) -> NetError {
    let host = String::from(host);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            let (fault, reason) = fault_of(reason);
            NetError::Certificate { host, port, fault, reason }
        }
        Some(other) => NetError::Tls { host, cause: other.to_string() },
        None => NetError::Tls { host, cause: error.to_string() },
    }
}

/// How many of a certificate's names an error names.
const MOST_NAMES: usize = 5;

// rustls adds variants; those not named here speak for themselves.
#[allow(clippy::wildcard_enum_match_arm)]
fn fault_of(error: &rustls::CertificateError) -> (CertificateFault, String) {
    use rustls::CertificateError as E;
    match error {
        E::Expired => (CertificateFault::Time, String::from("it has expired")),
        E::ExpiredContext { not_after, .. } => {
            (CertificateFault::Time, format!("it expired on {}", day(not_after.as_secs())))
        }
        E::NotValidYet => (CertificateFault::Time, String::from("it is not valid yet")),
        E::NotValidYetContext { not_before, .. } => {
            (CertificateFault::Time, format!("it is not valid before {}", day(not_before.as_secs())))
        }
        E::UnknownIssuer => (CertificateFault::Issuer, String::from("its issuer is unknown")),
        // somebody of the same name is trusted here, and did not sign it
        E::BadSignature => {
            (CertificateFault::Issuer, String::from("its issuer only bears the name of one that is known"))
        }
        E::NotValidForName => (CertificateFault::Name, String::from("it is for another name")),
        E::NotValidForNameContext { presented, .. } => (CertificateFault::Name, named(presented)),
        E::Revoked => (CertificateFault::Unusable, String::from("it is revoked")),
        other => {
            let words: String = format!("{other:?}").chars().take(120).collect();
            // an authority that serves its own certificate: so do many devices that sign for themselves
            let is_own_authority = words.contains("CaUsedAsEndEntity");
            let fault = if is_own_authority { CertificateFault::Issuer } else { CertificateFault::Unusable };
            (fault, words)
        }
    }
}

fn day(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|at| chrono::DateTime::from_timestamp(at, 0));
    at.map_or_else(|| String::from("an unknown day"), |at| at.format("%Y-%m-%d").to_string())
}

/// Which names it is for, as rustls tells them: `DnsName("mail.example")`.
fn named(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner.trim_end_matches(')'));
        inner.trim_matches('"').chars().filter(|c| !c.is_control()).take(100).collect::<String>()
    };
    let names: Vec<String> = presented.iter().take(MOST_NAMES).map(bare).collect();
    if names.is_empty() {
        String::from("it names no host")
    } else {
        format!("it is for {}", names.join(", "))
    }
}
