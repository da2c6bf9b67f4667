//! Reads the certificate that an administrator enters: a PEM text that holds it and its private key. What is wrong with
//! it is said when it is entered, not by the first mailbox. Pure.

use crate::domain::{ClientCertificate, Secret, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureAlgorithm;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
use sha2::Digest;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A subject is as long as its maker likes.
const LONGEST_SUBJECT: usize = 200;

/// Why a certificate cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No PEM at all.
    #[error("is no PEM text: it begins with -----BEGIN CERTIFICATE----- and holds the private key, too")]
    NoPem,
    /// Only a key.
    #[error(
        "holds no certificate: put the certificate (-----BEGIN CERTIFICATE-----) and its key into one text"
    )]
    NoCertificate,
    /// Only a certificate.
    #[error("holds no private key: put the key (-----BEGIN PRIVATE KEY-----, PKCS#8) below the certificate")]
    NoKey,
    /// The key needs a password.
    #[error(
        "holds an encrypted private key: take the password off with `openssl pkcs8 -topk8 -nocrypt -in KEY`; here it \
         is kept sealed"
    )]
    EncryptedKey,
    /// The key does not belong to the certificate.
    #[error(
        "holds the key of another certificate: the two do not belong together. Enter the key that the certificate \
         was made with"
    )]
    OtherKey,
    /// Not RSA.
    #[error("holds a key that is not RSA: identity providers take RSA keys of 2048 to 4096 bits")]
    NotRsa,
    /// A key that cannot be read, or is too short or long.
    #[error(
        "holds a private key that cannot be used: it has to be RSA of 2048 to 4096 bits, as PKCS#8 (`openssl pkcs8 \
         -topk8 -nocrypt -in KEY`)"
    )]
    UnusableKey,
    /// A certificate that cannot be read.
    #[error("holds a certificate that cannot be read: export it again, as PEM (Base64)")]
    UnreadableCertificate,
    /// Over.
    #[error("has expired at {}: make a new certificate, and upload it to the app registration", .at.to_rfc3339())]
    Expired {
        /// When.
        at: Timestamp,
    },
}

/// Reads a PEM text that holds a certificate and its private key. Of a chain, the certificate of the key counts.
///
/// # Errors
/// [`CertificateError`] that says what is wrong and what to do.
pub fn read_certificate(pem: &str, now: Timestamp) -> Result<ClientCertificate, CertificateError> {
    if pem.contains("ENCRYPTED") {
        return Err(CertificateError::EncryptedKey);
    }
    let blocks: Vec<Pem> = Pem::iter_from_buffer(pem.as_bytes()).filter_map(Result::ok).collect();
    if blocks.is_empty() {
        return Err(CertificateError::NoPem);
    }
    let certificates: Vec<&Pem> = blocks.iter().filter(|block| block.label == "CERTIFICATE").collect();
    if certificates.is_empty() {
        return Err(CertificateError::NoCertificate);
    }
    let key = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY"));
    let key = key.ok_or(CertificateError::NoKey)?;
    let public = public_key(key)?;
    let mut is_readable = true;
    for der in certificates.iter().map(|block| block.contents.as_slice()) {
        match X509Certificate::from_der(der) {
            Ok((_, found)) if found.public_key().raw == public => {
                return finish(&found, der, text_of(pem, &key.label)?, now);
            }
            Ok(_) => {}
            Err(_) => is_readable = false,
        }
    }
    Err(if is_readable { CertificateError::OtherKey } else { CertificateError::UnreadableCertificate })
}

fn finish(
    certificate: &X509Certificate<'_>,
    der: &[u8],
    private_key: Secret,
    now: Timestamp,
) -> Result<ClientCertificate, CertificateError> {
    let not_after = Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000));
    if not_after <= now {
        return Err(CertificateError::Expired { at: not_after });
    }
    let subject = certificate.subject().to_string();
    Ok(ClientCertificate {
        private_key,
        thumbprint: sha1::Sha1::digest(der).iter().map(|byte| format!("{byte:02X}")).collect(),
        x5t_s256: URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(der)),
        not_after,
        subject: subject.chars().filter(|c| !c.is_control()).take(LONGEST_SUBJECT).collect(),
    })
}

/// The public half of a private key, as certificates hold it.
pub(in crate::token) fn public_key(key: &Pem) -> Result<Vec<u8>, CertificateError> {
    let der = match key.label.as_str() {
        "PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.contents.as_slice())),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(key.contents.as_slice())),
        _ => return Err(CertificateError::NotRsa),
    };
    let signer = rustls::crypto::ring::sign::any_supported_type(&der);
    let signer = signer.map_err(|_| CertificateError::UnusableKey)?;
    if signer.algorithm() != SignatureAlgorithm::RSA {
        return Err(CertificateError::NotRsa);
    }
    let public = signer.public_key().ok_or(CertificateError::UnusableKey)?;
    Ok(public.as_ref().to_vec())
}

/// The key's own part of the text.
fn text_of(pem: &str, label: &str) -> Result<Secret, CertificateError> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let found = pem.split_once(begin.as_str()).and_then(|(_, rest)| rest.split_once(end.as_str()));
    let (body, _) = found.ok_or(CertificateError::UnusableKey)?;
    Ok(Secret::new(format!("{begin}{body}{end}\n")))
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
pub(in crate::token) mod tests;
