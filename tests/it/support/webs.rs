//! Websites of domains that do not exist: a proxy that answers for them itself, over TLS with an authority of its own. It
//! keeps what it is asked.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What a site answers to a path.
#[derive(Clone)]
pub enum Page {
    Text(String),
    Redirect(&'static str),
    /// Nothing, ever.
    Silent,
}

pub struct Webs {
    pub proxy: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

struct Sites {
    pages: Vec<(&'static str, Page)>,
    tls: Arc<rustls::ServerConfig>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Webs {
    /// Pages by `host/path`; any other host cannot be reached, any other path is not found.
    pub fn start(pages: &[(&'static str, Page)]) -> Self {
        let hosts: Vec<String> = pages.iter().map(|(place, _)| host(place).to_owned()).collect();
        let (authority, tls) = certificates(hosts);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let sites = Arc::new(Sites { pages: pages.to_vec(), tls, asked: Arc::clone(&asked) });
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sites = Arc::clone(&sites);
                // a visitor that goes away is no failure
                std::thread::spawn(move || drop(sites.serve(stream)));
            }
        });
        Self { proxy, asked, folder }
    }

    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What it was asked: `host` where that cannot be reached, else `host/path?query`.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

impl Sites {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let line = head(&mut stream)?;
        let target = line.split(' ').nth(1).unwrap_or_default();
        let site = target.trim_end_matches(":443").to_owned();
        if !self.pages.iter().any(|(place, _)| host(place) == site) {
            self.asked.lock().unwrap().push(site);
            return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let session = rustls::ServerConnection::new(Arc::clone(&self.tls)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        let line = head(&mut stream)?;
        let path = line.split(' ').nth(1).unwrap_or_default();
        self.asked.lock().unwrap().push(format!("{site}{path}"));
        let wanted = format!("{site}{}", path.split('?').next().unwrap_or_default());
        let found = self.pages.iter().find(|(place, _)| *place == wanted).map(|(_, page)| page.clone());
        let answer = match found {
            Some(Page::Text(text)) => {
                format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                )
            }
            Some(Page::Redirect(place)) => {
                format!(
                    "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
                )
            }
            Some(Page::Silent) => {
                // until the visitor has enough
                std::io::copy(&mut stream, &mut std::io::sink())?;
                return Ok(());
            }
            None => String::from("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        };
        stream.write_all(answer.as_bytes())?;
        stream.flush()
    }
}

fn host(place: &str) -> &str {
    place.split('/').next().unwrap()
}

/// The first line of a request, its head read to the end.
fn head(stream: &mut impl Read) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned())
}

fn certificates(hosts: Vec<String>) -> (String, Arc<rustls::ServerConfig>) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signed = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(hosts).unwrap().signed_by(&key, &issuer).unwrap();
    let leaf: CertificateDer<'static> = leaf.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .unwrap();
    (signed.pem(), Arc::new(config))
}
