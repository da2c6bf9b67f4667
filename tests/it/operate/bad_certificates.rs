//! Certificates that are not accepted: three causes with three remedies, for IMAP and SMTP alike.

use crate::api::frame::deaf;
use crate::support::engine::{Running, bare_config};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

/// A server that shows a certificate of its own, and where that lies as PEM.
fn shows(
    data: &Path,
    name: &str,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> (u16, std::path::PathBuf) {
    let mut params = rcgen::CertificateParams::new(vec![String::from(name)]).unwrap();
    change(&mut params);
    let pair = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&pair).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], key)
        .unwrap();
    let tls = Arc::new(tls);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            // nobody gets any further
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        }
    });
    let path = data.join(format!("{port}.pem"));
    std::fs::write(&path, made.pem()).unwrap();
    (port, path)
}

#[test]
fn each_fault_of_a_certificate_has_its_own_cause_and_remedy_for_imap_and_smtp() {
    let data = tempfile::tempdir().unwrap();
    let pems = tempfile::tempdir().unwrap();
    let (unknown, _) = shows(pems.path(), "localhost", |_| {});
    let (other, other_pem) = shows(pems.path(), "mail.elsewhere.test", |_| {});
    let (expired, expired_pem) =
        shows(pems.path(), "localhost", |params| params.not_after = rcgen::date_time_ymd(2020, 2, 1));
    let mut config = bare_config(data.path());
    config.tls.extra_ca = vec![other_pem, expired_pem];
    let (running, api) = Running::serve(&config);
    for (id, port, code, words, is_by_authority) in [
        ("unknown", unknown, "tls_certificate", "issuer", true),
        ("other", other, "tls_certificate_name", "mail.elsewhere.test", false),
        ("expired", expired, "tls_certificate_expired", "2020-02-01", false),
    ] {
        let mut mailbox = deaf(id);
        let at = json!({"host": "localhost", "port": port, "security": "tls"});
        (mailbox["imap"], mailbox["smtp"]) = (at.clone(), at);
        api.post("/v1/mailboxes", &mailbox).ok(201);
        let mail = json!({"to": [{"address": "b@kunde.test"}], "text": "Hello"});
        api.post(&format!("/v1/mailboxes/{id}/outbox"), &mail).ok(202);
        let incarnation = running.stored(id).incarnation;
        running.until(incarnation, id, |seen| seen.diagnosis.is_some() && seen.send_diagnosis.is_some());
        let told = |language: &str| -> Value {
            let shown = api.get(&format!("/v1/mailboxes/{id}?language={language}")).ok(200);
            assert_eq!(shown["send"]["state"], "held", "{shown}");
            assert_eq!(shown["diagnosis"]["code"], shown["send"]["diagnosis"]["code"], "{shown}");
            shown["send"]["diagnosis"].clone()
        };
        let (english, german) = (told("en"), told("de"));
        assert_eq!(english["code"], code);
        assert!(english["summary"].as_str().unwrap().contains(words), "{english}");
        assert_ne!(english["remedy"]["text"], german["remedy"]["text"]);
        assert_eq!(english["remedy"]["text"].as_str().unwrap().contains("tls.extra_ca"), is_by_authority);
    }
}
