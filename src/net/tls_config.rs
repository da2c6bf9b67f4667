//! The TLS client configuration that all connections share.

use super::{NetConfig, NetError};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use std::sync::Arc;

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
