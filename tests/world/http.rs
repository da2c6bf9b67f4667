//! HTTP/1.1 in the small: a server whose connections can be dropped or delayed at any point, which frameworks
//! do not let one do, and a blocking client for playing the browser. Loopback and test traffic only.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// One request, its body read to the end.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// The body as form fields; a later field of the same name wins.
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// What to answer; `Dropped` closes the connection without a byte.
#[derive(Debug, Clone)]
pub enum Answer {
    Response(Response),
    Dropped,
}

#[derive(Debug, Clone, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        let headers = vec![
            ("Content-Type".into(), "application/json; charset=utf-8".into()),
            ("Cache-Control".into(), "no-store".into()),
        ];
        Self { status, headers, body: value.to_string().into_bytes() }
    }

    pub fn html(status: u16, page: &str) -> Self {
        let headers = vec![("Content-Type".into(), "text/html; charset=utf-8".into())];
        Self { status, headers, body: page.as_bytes().to_vec() }
    }

    pub fn redirect(location: &str) -> Self {
        Self { status: 302, headers: vec![("Location".into(), location.into())], body: Vec::new() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// Serves every connection of `listener` with `handler` until the runtime ends.
pub async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let handler = Arc::new(handler);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let _ = serve_connection(stream, handler.as_ref()).await;
        });
    }
}

/// The same over TLS.
pub async fn serve_tls<H, F>(listener: TcpListener, config: Arc<rustls::ServerConfig>, handler: H)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let (handler, acceptor) = (Arc::new(handler), tokio_rustls::TlsAcceptor::from(config));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (handler, acceptor) = (Arc::clone(&handler), acceptor.clone());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = serve_connection(stream, handler.as_ref()).await;
            }
        });
    }
}

async fn serve_connection<S, H, F>(mut stream: S, handler: &H) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request) -> F,
    F: Future<Output = Answer>,
{
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        let close =
            request.headers.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let head_only = request.method == "HEAD";
        match handler(request).await {
            Answer::Dropped => return Ok(()),
            Answer::Response(response) => {
                stream.write_all(&encode(&response, head_only, close)).await?;
                stream.flush().await?;
            }
        }
        if close {
            return Ok(());
        }
    }
    Ok(())
}

fn encode(response: &Response, head_only: bool, close: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let connection = if close { "close" } else { "keep-alive" };
    head.push_str(&format!("Content-Length: {}\r\nConnection: {connection}\r\n\r\n", response.body.len()));
    let mut bytes = head.into_bytes();
    if !head_only {
        bytes.extend_from_slice(&response.body);
    }
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let mut request = parse_head(&buffer[..head_end]);
    let length = request.headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0usize);
    if request.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while buffer.len() < head_end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer[head_end..head_end + length].to_vec();
    buffer.drain(..head_end + length);
    Ok(Some(request))
}

fn parse_head(head: &[u8]) -> Request {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_string();
    let target = first.next().unwrap_or("/").to_string();
    let (path, query) = target.split_once('?').unwrap_or((target.as_str(), ""));
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_string()))
        .collect();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Request { method, path: path.to_string(), query, headers, body: Vec::new() }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A form body out of pairs.
pub fn form(pairs: &[(&str, &str)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
}

/// A parameter in the query of an address.
pub fn parameter(address: &str, wanted: &str) -> Option<String> {
    let address = url::Url::parse(address).unwrap();
    address.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

/// GETs a plain-http address, redirects not followed.
pub fn get(address: &str) -> std::io::Result<Response> {
    exchange("GET", address, &[], &[])
}

/// POSTs form fields.
pub fn post_form(address: &str, pairs: &[(&str, &str)]) -> std::io::Result<Response> {
    post_form_with(address, pairs, &[])
}

/// The same, with header fields of the caller's.
pub fn post_form_with(
    address: &str,
    pairs: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> std::io::Result<Response> {
    let headers = [&[("Content-Type", "application/x-www-form-urlencoded")], headers].concat();
    exchange("POST", address, &headers, &form(pairs))
}

/// POSTs a JSON value.
pub fn post_json(address: &str, value: &serde_json::Value) -> std::io::Result<Response> {
    exchange("POST", address, &[("Content-Type", "application/json")], value.to_string().as_bytes())
}

fn exchange(method: &str, address: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Response> {
    let broken = |text: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, text.to_string());
    let url = url::Url::parse(address).map_err(|error| broken(&error.to_string()))?;
    let (host, port) = (url.host_str().unwrap_or("127.0.0.1"), url.port_or_known_default().unwrap_or(80));
    let mut stream = std::net::TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_string(),
    };
    let length = body.len();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = find(&bytes, b"\r\n\r\n").ok_or_else(|| broken("connection closed before an answer"))?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_string(), value.trim().to_string()))
        .collect();
    let body = bytes[end + 4..].to_vec();
    Ok(Response { status: status.ok_or_else(|| broken("no status line"))?, headers, body })
}
