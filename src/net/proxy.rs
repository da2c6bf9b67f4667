//! Outbound proxies: HTTP CONNECT (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928). Names are resolved by the proxy.

use super::NetError;
use crate::domain::host::is_within;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;
use url::Url;
use zeroize::Zeroizing;

/// Bytes of an answer to CONNECT.
const ANSWER: usize = 8 << 10;

/// A proxy, and the hosts that are connected to without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `http://` or `socks5://`, with user and password where it wants them.
    url: Url,
    /// Hosts, and domains with all below them, that are connected to directly.
    direct: Vec<String>,
}

impl Proxy {
    /// A proxy at this address.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(url: Url, direct: Vec<String>) -> Result<Self, String> {
        let is_known = matches!(url.scheme(), "http" | "socks5" | "socks5h");
        if !is_known {
            return Err(format!("net.proxy: {:?} is not a kind of proxy: http or socks5", url.scheme()));
        }
        if url.host_str().is_none_or(str::is_empty) || !matches!(url.path(), "" | "/") {
            return Err(String::from(
                "net.proxy: name host and port alone, as in socks5://proxy.example:1080",
            ));
        }
        if let Some(odd) = direct.iter().find(|host| host.contains(['*', '/', ','])) {
            return Err(format!(
                "net.no_proxy: {odd:?} is neither a host nor a domain; below a domain is all of it"
            ));
        }
        Ok(Self { url, direct })
    }

    /// Whether a host is connected to by it.
    #[must_use]
    pub fn serves(&self, host: &str) -> bool {
        let host = bare(host).to_ascii_lowercase();
        let direct = |name: &String| bare(name).trim_start_matches('.').to_ascii_lowercase();
        !self.direct.iter().any(|name| is_within(&host, &direct(name)))
    }

    /// As it is shown: without its password.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}://{}:{}", self.url.scheme(), self.host(), self.port())
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(1080)
    }

    /// For the HTTPS client, which knows both kinds; SOCKS with the name left to the proxy.
    pub(super) fn for_https(&self) -> reqwest::Result<reqwest::Proxy> {
        let scheme = if self.url.scheme() == "http" { "http" } else { "socks5h" };
        let at = format!("{scheme}://{}:{}", self.host(), self.port());
        let proxy = reqwest::Proxy::all(at)?;
        let proxy = proxy.no_proxy(reqwest::NoProxy::from_string(&self.direct.join(",")));
        Ok(match self.login() {
            Some((user, password)) => proxy.basic_auth(&user, &password),
            None => proxy,
        })
    }

    fn login(&self) -> Option<(String, Zeroizing<String>)> {
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = Zeroizing::new(plain(self.url.password().unwrap_or_default()));
        Some((plain(self.url.username()), password)).filter(|(user, _)| !user.is_empty())
    }

    /// Has the proxy connect a fresh connection to it with a host.
    pub(super) async fn through(
        &self,
        mut tcp: TcpStream,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, NetError> {
        let host = bare(host);
        let refused =
            |cause: String| NetError::Proxy { proxy: self.shown(), host: String::from(host), cause };
        if self.url.scheme() == "http" {
            return match self.connect(&mut tcp, host, port).await {
                Ok(status) if (200..300).contains(&status) => Ok(tcp),
                Ok(status) => Err(refused(format!("HTTP {status}"))),
                Err(error) => Err(refused(error.to_string())),
            };
        }
        let connected = match self.login() {
            Some((user, password)) => {
                Socks5Stream::connect_with_password_and_socket(tcp, (host, port), &user, &password).await
            }
            None => Socks5Stream::connect_with_socket(tcp, (host, port)).await,
        };
        connected.map(Socks5Stream::into_inner).map_err(|error| refused(error.to_string()))
    }

    /// The status that CONNECT is answered with. Not a byte behind its answer is read.
    async fn connect(&self, tcp: &mut TcpStream, host: &str, port: u16) -> io::Result<u16> {
        let at = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = Zeroizing::new(format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n"));
        if let Some((user, password)) = self.login() {
            let login = Zeroizing::new(format!("{user}:{}", *password));
            request
                .push_str(&format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(login.as_bytes())));
        }
        request.push_str("\r\n");
        tcp.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= ANSWER {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer without end"));
            }
            answer.push(tcp.read_u8().await?);
        }
        let status = String::from_utf8_lossy(&answer)
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|word| word.parse().ok());
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an answer of HTTP"))
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, direct: &[&str]) -> Result<Proxy, String> {
        Proxy::new(url.parse().unwrap(), direct.iter().map(|host| String::from(*host)).collect())
    }

    #[test]
    fn hosts_and_whole_domains_go_without_it() {
        let proxy =
            proxy("socks5://anna:s%65cret@proxy.example", &["localhost", ".intra.example", "::1"]).unwrap();
        for (host, serves) in [
            ("mail.example", true),
            ("LOCALHOST", false),
            ("intra.example", false),
            ("mail.Intra.example", false),
            ("notintra.example", true),
            ("[::1]", false),
        ] {
            assert_eq!(proxy.serves(host), serves, "{host}");
        }
        assert_eq!(proxy.shown(), "socks5://proxy.example:1080");
        assert_eq!(proxy.login().unwrap().1.as_str(), "secret");
    }

    #[test]
    fn what_is_no_proxy_is_refused_by_name() {
        for url in ["https://proxy.example", "ftp://proxy.example", "http://proxy.example/path"] {
            assert!(proxy(url, &[]).unwrap_err().starts_with("net.proxy"), "{url}");
        }
        assert_eq!(proxy("http://[::1]:8080", &[]).unwrap().shown(), "http://[::1]:8080");
        assert_eq!(proxy("http://p", &[]).unwrap().port(), 80);
    }
}
