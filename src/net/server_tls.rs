//! The TLS of our own listeners: certificate and key from files, read again when they change, because certificates are
//! renewed more often than a daemon is restarted.

use super::tls_config::provider;
use crate::clock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The files are looked at so often, by the handshake that comes then.
const LOOK: Duration = Duration::from_secs(10);

/// A certificate or key of our own cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} cannot be used for TLS ({cause}): name PEM files of a certificate and of its key")]
pub struct BadCertificate {
    /// Which file.
    pub path: String,
    /// Why not.
    pub cause: String,
}

/// A configuration that shows what these PEM files hold.
///
/// # Errors
/// [`BadCertificate`] if they cannot be used.
pub fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, BadCertificate> {
    let files = Files { certificate: certificate.to_path_buf(), key: key.to_path_buf() };
    let shown = Shown { stamp: files.stamp(), key: Arc::new(files.read()?), looked_at: clock::monotonic() };
    let broken = |error: rustls::Error| BadCertificate {
        path: certificate.display().to_string(),
        cause: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let resolver = Arc::new(Reread { files, shown: Mutex::new(shown) });
    Ok(builder.map_err(broken)?.with_no_client_auth().with_cert_resolver(resolver))
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    /// When they were changed last; `None` for one that cannot be looked at.
    fn stamp(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key]
            .map(|path| std::fs::metadata(path).and_then(|seen| seen.modified()).ok())
    }

    fn read(&self) -> Result<CertifiedKey, BadCertificate> {
        let refuse = |path: &Path, cause: String| BadCertificate { path: path.display().to_string(), cause };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| refuse(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(refuse(&self.certificate, String::from("no certificate in it")));
        }
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| refuse(&self.key, error.to_string()))?;
        // a key of another certificate is refused here
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| refuse(&self.key, error.to_string()))
    }
}

#[derive(Debug)]
struct Shown {
    stamp: [Option<SystemTime>; 2],
    key: Arc<CertifiedKey>,
    looked_at: Instant,
}

#[derive(Debug)]
struct Reread {
    files: Files,
    shown: Mutex<Shown>,
}

impl Reread {
    fn now(&self, now: Instant) -> Arc<CertifiedKey> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(shown.looked_at) >= LOOK {
            shown.looked_at = now;
            let stamp = self.files.stamp();
            if stamp != shown.stamp {
                match self.files.read() {
                    Ok(key) => {
                        tracing::info!(path = %self.files.certificate.display(), "a new certificate is shown");
                        shown.key = Arc::new(key);
                        shown.stamp = stamp;
                    }
                    // perhaps only one of the two is written yet
                    Err(error) => tracing::warn!(%error, "the certificate of before is shown"),
                }
            }
        }
        Arc::clone(&shown.key)
    }
}

impl ResolvesServerCert for Reread {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now(clock::monotonic()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &Files, name: &str) {
        let made = rcgen::generate_simple_self_signed([String::from(name)]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files { certificate: dir.path().join("c.pem"), key: dir.path().join("k.pem") };
        write(&files, "one.example");
        let start = clock::monotonic();
        let shown = Shown { stamp: [None; 2], key: Arc::new(files.read().unwrap()), looked_at: start };
        let first = shown.key.cert.clone();
        let reread = Reread { files, shown: Mutex::new(shown) };
        write(&reread.files, "two.example");
        assert_eq!(reread.now(start).cert, first, "not looked at yet");
        let second = reread.now(start + LOOK).cert.clone();
        assert_ne!(second, first);
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(&reread.files.key, key).unwrap();
        assert_eq!(reread.now(start + LOOK * 2).cert, second, "a key of another certificate");
        std::fs::write(&reread.files.certificate, "").unwrap();
        let error = reread.files.read().unwrap_err().to_string();
        assert!(error.contains("c.pem") && error.contains("no certificate"), "{error}");
    }
}
