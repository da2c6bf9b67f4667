//! Certificates as administrators enter them, right and wrong.

use super::*;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use std::sync::OnceLock;

const NOW: Timestamp = Timestamp(1_795_460_342_000);

/// A key, and a certificate made with it.
#[derive(Clone)]
pub(crate) struct Made {
    key: rsa::RsaPrivateKey,
    certificate: String,
}

impl Made {
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.certificate, self.key_pem())
    }

    pub(crate) fn public_pem(&self) -> String {
        self.key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
    }
}

/// One that is valid until 2028.
pub(crate) fn made() -> Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| make(2028)).clone()
}

fn make(until: i32) -> Made {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let certificate = certificate(&key.to_pkcs8_pem(LineEnding::LF).unwrap(), until);
    Made { key, certificate }
}

fn certificate(key: &str, until: i32) -> String {
    let key = rcgen::KeyPair::from_pem(key).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "Stafette");
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
    parameters.self_signed(&key).unwrap().pem()
}

#[test]
fn what_is_needed_of_a_certificate_is_read() {
    let made = made();
    let read_one = read_certificate(&made.pem(), NOW).unwrap();
    assert_eq!(
        (read_one.subject.as_str(), read_one.not_after.to_rfc3339().as_str()),
        ("CN=Stafette", "2028-01-01T00:00:00Z")
    );
    assert_eq!((read_one.thumbprint.len(), read_one.x5t_s256.len()), (40, 43));
    assert!(!format!("{read_one:?}").contains("PRIVATE"), "it is not shown");
    // in any order, with other line ends, below the certificates that issued it, in the older form of keys
    let other = make(2029);
    let crlf = made.pem().replace('\n', "\r\n");
    let pkcs1 = made.key.to_pkcs1_pem(LineEnding::LF).unwrap().to_string();
    for text in [
        format!("{}{}", made.key_pem(), made.certificate),
        format!("Bag Attributes\n    friendlyName: x\n{crlf}"),
        format!("{}{}", other.certificate, made.pem()),
        format!("{}{pkcs1}", made.certificate),
    ] {
        let found = read_certificate(&text, NOW).unwrap();
        assert_eq!(found.x5t_s256, read_one.x5t_s256, "{text}");
        jsonwebtoken::EncodingKey::from_rsa_pem(found.private_key.expose().as_bytes()).unwrap();
    }
}

#[test]
fn what_is_wrong_is_named() {
    let made = made();
    let other = make(2021);
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let short = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
    let short = short.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (String::new(), CertificateError::NoPem),
        (String::from("not a PEM"), CertificateError::NoPem),
        (made.key_pem(), CertificateError::NoCertificate),
        (made.certificate.clone(), CertificateError::NoKey),
        (format!("{}{encrypted}", made.certificate), CertificateError::EncryptedKey),
        (format!("{}{}", made.certificate, other.key_pem()), CertificateError::OtherKey),
        (format!("{}{elliptic}", made.certificate), CertificateError::NotRsa),
        (format!("{}{short}", made.certificate), CertificateError::UnusableKey),
        (format!("{garbage}{}", made.key_pem()), CertificateError::UnreadableCertificate),
    ] {
        assert_eq!(read_certificate(&text, NOW).unwrap_err(), expected, "{text}");
    }
    assert!(matches!(read_certificate(&other.pem(), NOW), Err(CertificateError::Expired { .. })));
}
