//! A blocking submission client over TLS for the world's own checks: two-step XOAUTH2, one message, the texts
//! of the replies kept.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::certs::server_name;
use super::imap::xoauth2_response;

pub struct Smtp {
    stream: BufReader<Box<dyn Channel>>,
}

trait Channel: Read + Write + Send {}
impl<T: Read + Write + Send> Channel for T {}

impl Smtp {
    /// Connects, upgrades by STARTTLS, and says EHLO again.
    pub fn connect(port: u16, tls: &Arc<rustls::ClientConfig>) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30)))?;
        let mut plain = BufReader::new(stream.try_clone()?);
        expect(&mut plain, "220")?;
        (&stream).write_all(b"EHLO test.makler.test\r\n")?;
        expect(&mut plain, "250")?;
        (&stream).write_all(b"STARTTLS\r\n")?;
        expect(&mut plain, "220")?;
        let session = rustls::ClientConnection::new(Arc::clone(tls), server_name()).map_err(Error::other)?;
        let secured: Box<dyn Channel> = Box::new(rustls::StreamOwned::new(session, stream));
        let mut smtp = Self { stream: BufReader::new(secured) };
        smtp.command("EHLO test.makler.test", "250")?;
        Ok(smtp)
    }

    /// Two-step XOAUTH2; a refusal is an error with the server's last text.
    pub fn xoauth2(&mut self, user: &str, token: &str) -> Result<()> {
        self.command("AUTH XOAUTH2", "334")?;
        self.write(format!("{}\r\n", xoauth2_response(user, token)).as_bytes())?;
        let reply = self.reply()?;
        if reply.starts_with("235") {
            return Ok(());
        }
        let last = if reply.starts_with("334") {
            self.write(b"\r\n")?;
            self.reply()?
        } else {
            reply
        };
        Err(Error::other(last))
    }

    pub fn send(&mut self, from: &str, to: &str, raw: &[u8]) -> Result<String> {
        self.command(&format!("MAIL FROM:<{from}>"), "250")?;
        self.command(&format!("RCPT TO:<{to}>"), "250")?;
        self.command("DATA", "354")?;
        let mut data = dot_stuffed(&super::mailbox::with_crlf(raw));
        data.extend_from_slice(b".\r\n");
        self.write(&data)?;
        let reply = self.reply()?;
        if reply.starts_with("250") { Ok(reply) } else { Err(Error::other(reply)) }
    }

    pub fn command(&mut self, line: &str, expected: &str) -> Result<String> {
        self.write(format!("{line}\r\n").as_bytes())?;
        let reply = self.reply()?;
        if reply.starts_with(expected) { Ok(reply) } else { Err(Error::other(reply)) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    fn reply(&mut self) -> Result<String> {
        read_reply(&mut self.stream)
    }
}

fn expect(reader: &mut impl BufRead, code: &str) -> Result<()> {
    let reply = read_reply(reader)?;
    if reply.starts_with(code) { Ok(()) } else { Err(Error::other(reply)) }
}

fn read_reply(reader: &mut impl BufRead) -> Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(Error::new(std::io::ErrorKind::UnexpectedEof, "connection closed"));
        }
        text.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(text);
        }
    }
}

/// Doubles leading dots and makes sure of a final line end.
pub fn dot_stuffed(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + 16);
    let mut at_start = true;
    for byte in raw {
        if at_start && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        at_start = *byte == b'\n';
    }
    if !at_start {
        out.extend_from_slice(b"\r\n");
    }
    out
}
