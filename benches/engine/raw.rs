//! A bare IMAP client that reads to nowhere: what the server itself needs.

use crate::world::{self, World};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A session over TLS.
pub struct Session {
    stream: BufReader<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>,
}

impl Session {
    pub fn open(world: &World, user: &str) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", world.imaps_port())).unwrap();
        tcp.set_nodelay(true).unwrap();
        let client = world.certs.client.clone();
        let tls = rustls::ClientConnection::new(client, world::certs::server_name()).unwrap();
        let mut stream = BufReader::with_capacity(1 << 18, rustls::StreamOwned::new(tls, tcp));
        stream.read_until(b'\n', &mut Vec::new()).unwrap();
        let mut session = Self { stream };
        session.say(&format!("LOGIN {user} pass"));
        session
    }

    /// Says a command and skips what is answered; how many literals there were.
    pub fn say(&mut self, command: &str) -> usize {
        self.stream.get_mut().write_all(format!("a {command}\r\n").as_bytes()).unwrap();
        read_to_tag(&mut self.stream, "a ")
    }

    /// The next line of an answer; for IDLE.
    pub fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line)
    }

    /// Says something without waiting for an answer.
    pub fn begin(&mut self, command: &str) {
        self.stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
    }
}

/// Reads every message to nowhere over TLS.
pub fn floor(world: &World, user: &str, messages: usize) -> f64 {
    let started = Instant::now();
    let mut session = Session::open(world, user);
    session.say("EXAMINE INBOX");
    let read = session.say("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])");
    assert_eq!(read, messages, "the floor missed messages");
    started.elapsed().as_secs_f64()
}

/// Skips replies and their literals up to the tagged one; how many literals there were.
fn read_to_tag(stream: &mut impl BufRead, tag: &str) -> usize {
    let mut literals = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        stream.read_until(b'\n', &mut line).unwrap();
        let text = std::str::from_utf8(&line).unwrap().trim_end();
        if let Some(result) = text.strip_prefix(tag) {
            assert!(result.starts_with("OK"), "{result}");
            return literals;
        }
        assert!(!line.is_empty(), "the connection ended");
        if let Some((_, length)) = world::imap::literal_length(text) {
            literals += 1;
            let copied = std::io::copy(&mut stream.take(length as u64), &mut std::io::sink()).unwrap();
            assert_eq!(copied, length as u64);
        }
    }
}
