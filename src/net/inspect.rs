//! A dialer that notes the certificate a server shows, whether it is accepted or not: what stands in between (an inspecting
//! firewall, a virus scanner) is named by the issuer of that certificate. It accepts nothing that the others refuse.

use super::certificate::Shown;
use super::{Dialer, NetError, tls_config};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

impl Dialer {
    /// A dialer for a single examination, and where it notes the certificates it is shown.
    ///
    /// # Errors
    /// [`NetError::ExtraCa`] if a configured file is no certificate any more.
    pub fn inspecting(&self) -> Result<(Self, Shown), NetError> {
        let shown = Shown::default();
        let roots = Arc::new(tls_config::roots(self.config())?);
        let inner = WebPkiServerVerifier::builder_with_provider(roots, tls_config::provider());
        let refuse = |error: String| NetError::Tls { host: String::from("this machine"), cause: error };
        let inner = inner.build().map_err(|error| refuse(error.to_string()))?;
        let noting = Noting { inner, shown: shown.clone() };
        let config = tls_config::builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(noting))
            .with_no_client_auth();
        Ok((self.noting(config, shown.clone()), shown))
    }
}

/// The ordinary verifier, with a note of each certificate that is shown to it.
#[derive(Debug)]
struct Noting {
    inner: Arc<WebPkiServerVerifier>,
    shown: Shown,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.shown.note(end_entity);
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_by_its_names() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.distinguished_name = rcgen::DistinguishedName::new();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "Firewall \u{7}of the house");
        let issuer = rcgen::Issuer::new(ca, rcgen::KeyPair::generate().unwrap());
        let mut leaf = rcgen::CertificateParams::new(vec![String::from("mail.example")]).unwrap();
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        leaf.distinguished_name.push(rcgen::DnType::CommonName, "mail.example");
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let shown = Shown::default();
        shown.note(leaf.der());
        let seen = shown.certificate().unwrap();
        assert_eq!(seen.issuer, "\"CN=Firewall of the house\"");
        assert_eq!(seen.subject, "\"CN=mail.example\"");
        shown.note(&CertificateDer::from(b"no certificate".to_vec()));
        assert_eq!(shown.certificate(), None);
    }
}
