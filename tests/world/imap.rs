//! A blocking IMAP client just able to arrange and to read back a mailbox on the world's own Dovecot. It is
//! not under test and shares no code with what is.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::TcpStream;

/// One server response: the text with each literal replaced by `{}`, and the literals in order.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub text: String,
    pub literals: Vec<Vec<u8>>,
}

pub struct Imap {
    reader: BufReader<TcpStream>,
    next_tag: u32,
    pub greeting: String,
}

impl Imap {
    pub fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        let mut imap =
            Self { reader: BufReader::with_capacity(65536, stream), next_tag: 0, greeting: String::new() };
        imap.greeting = imap.read_reply()?.text;
        if imap.greeting.is_empty() {
            return Err(Error::other("no greeting"));
        }
        Ok(imap)
    }

    /// Connects and logs in with the world's static password.
    pub fn login(port: u16, user: &str) -> Result<Self> {
        let mut imap = Self::connect(port)?;
        imap.command(&format!("LOGIN {} pass", quoted(user)))?;
        Ok(imap)
    }

    /// XOAUTH2 with an initial response; an error challenge is answered with the empty line.
    pub fn xoauth2(port: u16, user: &str, token: &str) -> Result<Self> {
        let mut imap = Self::connect(port)?;
        imap.command(&format!("AUTHENTICATE XOAUTH2 {}", xoauth2_response(user, token)))?;
        Ok(imap)
    }

    /// Sends a command and gives the untagged replies; NO and BAD are errors with the server's text.
    pub fn command(&mut self, command: &str) -> Result<Vec<Reply>> {
        let tag = self.send(command)?;
        self.finish(&tag)
    }

    /// Sends a command without waiting.
    pub fn send(&mut self, command: &str) -> Result<String> {
        self.next_tag += 1;
        let tag = format!("w{}", self.next_tag);
        self.reader.get_mut().write_all(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    /// Like `command` for a command that carries a literal of its own.
    pub fn command_bytes(&mut self, command: &[u8]) -> Result<Vec<Reply>> {
        self.next_tag += 1;
        let tag = format!("w{}", self.next_tag);
        self.reader.get_mut().write_all(&[tag.as_bytes(), b" ", command, b"\r\n"].concat())?;
        self.finish(&tag)
    }

    pub fn finish(&mut self, tag: &str) -> Result<Vec<Reply>> {
        let mut untagged = Vec::new();
        loop {
            let reply = self.read_reply()?;
            if reply.text.is_empty() {
                return Err(Error::new(std::io::ErrorKind::UnexpectedEof, "connection closed"));
            }
            if let Some(result) = reply.text.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                if result.starts_with("OK") {
                    untagged.push(reply);
                    return Ok(untagged);
                }
                return Err(Error::other(result.to_string()));
            }
            if reply.text.starts_with('+') {
                self.reader.get_mut().write_all(b"\r\n")?;
                continue;
            }
            untagged.push(reply);
        }
    }

    /// One response with its literals; empty at the end of the connection.
    pub fn read_reply(&mut self) -> Result<Reply> {
        let mut reply = Reply::default();
        loop {
            let mut line = Vec::new();
            self.reader.read_until(b'\n', &mut line)?;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            let Some((head, length)) = literal_length(text) else {
                reply.text.push_str(text);
                return Ok(reply);
            };
            let mut literal = vec![0; length];
            self.reader.read_exact(&mut literal)?;
            reply.text.push_str(head);
            reply.text.push_str("{}");
            reply.literals.push(literal);
        }
    }

    /// The folders' names as the server spells them, sorted.
    pub fn folders(&mut self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self
            .command("LIST \"\" \"*\"")?
            .into_iter()
            .filter(|reply| reply.text.starts_with("* LIST") && !reply.text.contains("\\Noselect"))
            .filter_map(list_name)
            .collect();
        names.sort();
        Ok(names)
    }
}

fn list_name(reply: Reply) -> Option<String> {
    if let Some(name) = reply.literals.first() {
        return Some(String::from_utf8_lossy(name).into_owned());
    }
    let (_, rest) = reply.text.split_once(") \"/\" ")?;
    let Some(quoted) = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some(rest.to_owned());
    };
    let mut escaped = false;
    let is_kept = |letter: &char| {
        escaped = *letter == '\\' && !escaped;
        !escaped
    };
    Some(quoted.chars().filter(is_kept).collect())
}

/// Splits a trailing `{n}` off a line.
pub fn literal_length(line: &str) -> Option<(&str, usize)> {
    let (head, rest) = line.rsplit_once('{')?;
    let digits = rest.strip_suffix('}')?;
    let digits = digits.strip_suffix('+').unwrap_or(digits);
    Some((head, digits.parse().ok()?))
}

pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The base64 client response of XOAUTH2.
pub fn xoauth2_response(user: &str, token: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01"))
}

/// Modified UTF-7 (RFC 3501, 5.1.3) of a folder's name.
pub fn encode_utf7(name: &str) -> String {
    let mut out = String::new();
    let mut pending: Vec<u8> = Vec::new();
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            flush_utf7(&mut out, &mut pending);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            for unit in character.encode_utf16(&mut units) {
                pending.extend(unit.to_be_bytes());
            }
        }
    }
    flush_utf7(&mut out, &mut pending);
    out
}

fn flush_utf7(out: &mut String, pending: &mut Vec<u8>) {
    use base64::Engine;
    if pending.is_empty() {
        return;
    }
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&*pending).replace('/', ",");
    out.push_str(&format!("&{text}-"));
    pending.clear();
}
