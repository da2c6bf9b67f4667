//! A blocking HTTP client that keeps its connection, for the daemon's API. A daemon that dies is an answer, too.

use serde_json::Value;
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

/// The connection broke, or there is none: the daemon is gone.
#[derive(Debug)]
pub struct Gone;

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

pub struct Client {
    address: SocketAddr,
    key: String,
    kept: RefCell<Option<BufReader<TcpStream>>>,
}

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), kept: RefCell::new(None) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn get(&self, target: &str) -> std::result::Result<Reply, Gone> {
        self.request("GET", target, &[], &[])
    }

    pub fn post(
        &self,
        target: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> std::result::Result<Reply, Gone> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.request("POST", target, headers, &body)
    }

    pub fn patch(&self, target: &str, body: &Value) -> std::result::Result<Reply, Gone> {
        self.request("PATCH", target, &[], body.to_string().as_bytes())
    }

    pub fn delete(&self, target: &str) -> std::result::Result<Reply, Gone> {
        self.request("DELETE", target, &[], &[])
    }

    fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::result::Result<Reply, Gone> {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n",
            self.address,
            self.key,
            body.len()
        );
        if !body.is_empty() {
            head.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut kept = self.kept.borrow_mut();
        let reply = self.exchange(&mut kept, &[head.as_bytes(), body].concat());
        if reply.is_err() {
            *kept = None;
        }
        reply.map_err(|_| Gone)
    }

    fn exchange(&self, kept: &mut Option<BufReader<TcpStream>>, request: &[u8]) -> Result<Reply> {
        // a connection that was idle for long is closed by the other side
        if kept.as_ref().is_none_or(|stream| has_ended(stream.get_ref())) {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
            *kept = Some(BufReader::new(stream));
        }
        let stream = kept.as_mut().ok_or_else(|| Error::from(ErrorKind::NotConnected))?;
        stream.get_mut().write_all(request)?;
        read_reply(stream)
    }
}

fn has_ended(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    stream.set_nonblocking(false).is_err()
        || !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn read_reply(stream: &mut BufReader<TcpStream>) -> Result<Reply> {
    let broken = || Error::from(ErrorKind::UnexpectedEof);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    let mut length = 0;
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| broken())?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Reply { status, body })
}
