//! A dialer that notes the certificate a server shows, whether it is accepted or not: whoever stands in between
//! (an inspecting firewall, a virus scanner) is named by the issuer of what he shows. It accepts nothing that the
//! others refuse.

use super::{Dialer, NetError, tls};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// A name in a certificate is as long as its maker likes.
const LONGEST_NAME: usize = 120;

/// What a server's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Who issued it.
    pub issuer: String,
    /// Whose it is.
    pub subject: String,
    /// Until when it is valid.
    pub valid_until: String,
}

/// The newest certificate that was shown.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Option<PeerCertificate>>>);

impl Shown {
    /// What was shown last, if it could be read.
    #[must_use]
    pub fn certificate(&self) -> Option<PeerCertificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, certificate: &CertificateDer<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = read(certificate);
    }
}

fn read(der: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let (_, certificate) = X509Certificate::from_der(der.as_ref()).ok()?;
    Some(PeerCertificate {
        issuer: name(certificate.issuer()),
        subject: name(certificate.subject()),
        valid_until: certificate.validity().not_after.to_string(),
    })
}

fn name(of: &X509Name<'_>) -> String {
    let text = of.to_string();
    let shown: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    if shown.is_empty() { String::from("nobody who is named") } else { format!("{shown:?}") }
}

impl Dialer {
    /// A dialer for a single examination, and where it notes the certificates it is shown.
    ///
    /// # Errors
    /// [`NetError::ExtraCa`] if a configured file is no certificate any more.
    pub fn inspecting(&self) -> Result<(Self, Shown), NetError> {
        let shown = Shown::default();
        let roots = Arc::new(tls::roots(self.config())?);
        let inner = WebPkiServerVerifier::builder_with_provider(roots, tls::provider());
        let refuse = |error: String| NetError::Tls { host: String::from("this machine"), cause: error };
        let inner = inner.build().map_err(|error| refuse(error.to_string()))?;
        let noting = Noting { inner, shown: shown.clone() };
        let config = tls::builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(noting))
            .with_no_client_auth();
        Ok((self.noting(config, shown.clone()), shown))
    }
}

/// The ordinary verifier, and somebody who writes down what it is shown.
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
