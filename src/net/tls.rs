//! The TLS client configuration all connections share, and how its failures are told.

use super::{Dialer, NetConfig, NetError, Shown};
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
            (NetError::Certificate { host, reason }, Some(seen)) => {
                NetError::Certificate { host, reason: format!("{reason}; it was issued by {}", seen.issuer) }
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
            NetError::Certificate { host, reason: reason_in_words(reason) }
        }
        Some(other) => NetError::Tls { host, cause: other.to_string() },
        None => NetError::Tls { host, cause: error.to_string() },
    }
}

// rustls adds variants; those not named here speak for themselves.
#[allow(clippy::wildcard_enum_match_arm)]
fn reason_in_words(reason: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match reason {
        E::Expired | E::ExpiredContext { .. } => String::from("it has expired"),
        E::NotValidYet | E::NotValidYetContext { .. } => {
            String::from("it is not valid yet: check this machine's clock")
        }
        E::UnknownIssuer => String::from("its issuer is unknown"),
        E::NotValidForName | E::NotValidForNameContext { .. } => String::from("it is for another name"),
        E::Revoked => String::from("it is revoked"),
        other => format!("{other:?}").chars().take(120).collect(),
    }
}
