//! One certificate authority per world and a leaf for its names, as PEM files and as ready rustls configurations.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

/// The names every world's leaf is valid for.
pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "mail.makler.test"];

#[derive(Clone)]
pub struct Certificates {
    pub ca_pem: String,
    pub leaf_pem: String,
    pub key_pem: String,
    /// For the proxy's client side.
    pub server: Arc<rustls::ServerConfig>,
    /// Trusts this world's authority and nothing else.
    pub client: Arc<rustls::ClientConfig>,
}

impl Certificates {
    pub fn generate() -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        ca.distinguished_name.push(rcgen::DnType::CommonName, "Stafette test world");
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);

        let key = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new(NAMES.map(String::from).to_vec()).unwrap();
        leaf.distinguished_name.push(rcgen::DnType::CommonName, "mail.makler.test");
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let leaf_cert = leaf.signed_by(&key, &issuer).unwrap();
        Self {
            server: server_config(leaf_cert.der().clone(), key.serialize_der()),
            client: client_config(ca_cert.der().clone()),
            ca_pem: ca_cert.pem(),
            leaf_pem: leaf_cert.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        std::fs::write(dir.join("ca.pem"), &self.ca_pem)?;
        std::fs::write(dir.join("cert.pem"), format!("{}{}", self.leaf_pem, self.ca_pem))?;
        std::fs::write(dir.join("key.pem"), &self.key_pem)
    }
}

/// The name the world's clients verify.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server_config(leaf: CertificateDer<'static>, key: Vec<u8>) -> Arc<rustls::ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .unwrap();
    Arc::new(config)
}

fn client_config(ca: CertificateDer<'static>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
