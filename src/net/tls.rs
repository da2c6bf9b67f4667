//! The TLS client configuration all connections share, and how its failures are told.

use super::{CertificateFault, Dialer, NetConfig, NetError, Shown};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Mozilla's roots and the configured ones; TLS 1.2 and 1.3; ring named explicitly, so that no process-wide
/// default is needed.
pub(super) fn client_config(config: &NetConfig) -> Result<ClientConfig, NetError> {
    Ok(builder()?.with_root_certificates(roots(config)?).with_no_client_auth())
}

/// A configuration without its word on certificates.
pub(super) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, NetError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| NetError::Tls { host: String::from("this machine"), cause: error.to_string() })
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Mozilla's roots and the configured ones.
pub(super) fn roots(config: &NetConfig) -> Result<RootCertStore, NetError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for path in &config.extra_ca {
        let refuse = |cause: String| NetError::ExtraCa { path: path.display().to_string(), cause };
        let mut found = 0_usize;
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(refuse(String::from("no certificate in it")));
        }
    }
    Ok(roots)
}

impl Dialer {
    /// Makes TLS on a stream, checking that the certificate is `host`'s.
    ///
    /// # Errors
    /// [`NetError::Certificate`], [`NetError::TlsTimeout`], or [`NetError::Tls`].
    pub async fn tls<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, NetError>
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
            Ok(Err(error)) => Err(self.name_issuer(explain(host, &error))),
            Ok(Ok(stream)) => Ok(stream),
        }
    }
}

impl Dialer {
    /// Says who issued the certificate that is not accepted, where that was noted.
    fn name_issuer(&self, error: NetError) -> NetError {
        match (error, self.shown().and_then(Shown::certificate)) {
            (NetError::Certificate { host, fault, reason }, Some(seen)) => {
                let reason = format!("{reason}; it was issued by {}", seen.issuer);
                NetError::Certificate { host, fault, reason }
            }
            (error, _) => error,
        }
    }
}

fn explain(host: &str, error: &io::Error) -> NetError {
    let host = String::from(host);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            let (fault, reason) = fault_of(reason);
            NetError::Certificate { host, fault, reason }
        }
        Some(other) => NetError::Tls { host, cause: other.to_string() },
        None => NetError::Tls { host, cause: error.to_string() },
    }
}

/// How many of a certificate's names are told.
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
