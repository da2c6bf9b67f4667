//! What a server's certificate says, as far as a person needs it to tell who answers.

use rustls::pki_types::CertificateDer;
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

    /// Notes what is shown now.
    pub(super) fn note(&self, certificate: &CertificateDer<'_>) {
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
