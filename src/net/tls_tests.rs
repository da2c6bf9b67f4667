//! Tests of TLS connections: which certificates are accepted, and the diagnoses of the others.

use super::{Dialer, NetConfig, NetError};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn dialer() -> Dialer {
    Dialer::new(NetConfig::default()).unwrap()
}

/// A TLS server for one connection that says what it reads.
async fn tls_echo(names: &[&str]) -> (u16, rcgen::Certificate) {
    tls_echo_with(names, |_| {}).await
}

async fn tls_echo_with(
    names: &[&str],
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> (u16, rcgen::Certificate) {
    let names: Vec<String> = names.iter().map(|name| String::from(*name)).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    change(&mut params);
    let pair = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&pair).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut tls) = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            let mut five = [0; 5];
            tls.read_exact(&mut five).await.unwrap();
            tls.write_all(&five).await.unwrap();
            tls.shutdown().await.ok();
        }
    });
    (port, made)
}

/// A dialer that trusts this certificate.
fn trusting(made: &rcgen::Certificate) -> Dialer {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.pem()).unwrap();
    Dialer::new(NetConfig { extra_ca: vec![file.path().into()], ..NetConfig::default() }).unwrap()
}

#[tokio::test]
async fn a_server_of_one_s_own_authority_is_accepted_by_extra_ca() {
    let (port, made) = tls_echo(&["localhost"]).await;
    let dialer = trusting(&made);
    let stream = dialer.connect("127.0.0.1", port).await.unwrap();
    let mut tls = dialer.tls(("localhost", 993), stream).await.unwrap();
    tls.write_all(b"hello").await.unwrap();
    let mut five = [0; 5];
    tls.read_exact(&mut five).await.unwrap();
    assert_eq!(&five, b"hello");
}

/// The diagnosis of a server's certificate: its code, and what to do.
async fn told(dialer: &Dialer, port: u16) -> (String, String) {
    let stream = dialer.connect("127.0.0.1", port).await.unwrap();
    let error = dialer.tls(("localhost", 993), stream).await.unwrap_err();
    assert_eq!(error.disposition(), crate::domain::Disposition::RetryAfter(Duration::from_secs(900)));
    let found = error.diagnosis();
    (found.code, format!("{} {}", found.summary, found.remedy.text))
}

#[tokio::test]
async fn an_unknown_issuer_another_name_and_an_expired_one_have_three_remedies() {
    let (port, _) = tls_echo(&["localhost"]).await;
    let (code, text) = told(&dialer(), port).await;
    assert_eq!(code, "tls_certificate");
    assert!(text.contains("tls.extra_ca"), "{text}");

    let (port, made) = tls_echo(&["mail.example", "smtp.example"]).await;
    let (code, text) = told(&trusting(&made), port).await;
    assert_eq!(code, "tls_certificate_name");
    assert!(text.contains("it is for mail.example, smtp.example"), "{text}");
    assert!(text.contains("host") && !text.contains("extra_ca"), "{text}");

    for (from, until, word) in [(2001, 2002, "2002-01-01"), (2090, 2091, "2090-01-01")] {
        let change = |params: &mut rcgen::CertificateParams| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
        };
        let (port, made) = tls_echo_with(&["localhost"], change).await;
        let (code, text) = told(&trusting(&made), port).await;
        assert_eq!(code, "tls_certificate_expired");
        assert!(text.contains(word) && text.contains("clock") && !text.contains("extra_ca"), "{text}");
    }
}

#[tokio::test]
async fn a_silent_server_ends_in_a_tls_timeout() {
    let (client, _server) = tokio::io::duplex(64);
    let config = NetConfig { tls_timeout: Duration::from_millis(20), ..NetConfig::default() };
    let error = Dialer::new(config).unwrap().tls(("mail.example", 993), client).await.unwrap_err();
    assert!(matches!(error, NetError::TlsTimeout { .. }), "{error}");
}

#[test]
fn a_file_without_certificates_is_refused_at_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = NetConfig { extra_ca: vec![file.path().into()], ..NetConfig::default() };
    assert!(matches!(Dialer::new(config), Err(NetError::ExtraCa { .. })));
}
