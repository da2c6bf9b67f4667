//! The check service: Dovecot's `imap` passdb asks it whether a token opens a mailbox that is not the token's
//! own. It speaks as much IMAP as that passdb does; introspection alone cannot know delegates or app-only tokens.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::super::imap::literal_length;
use super::serve::Site;

pub async fn serve(listener: TcpListener, site: Arc<Site>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let _ = session(stream, &site).await;
        });
    }
}

async fn session(stream: TcpStream, site: &Site) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] check service\r\n").await?;
    loop {
        let words = read_command(&mut stream).await?;
        let [tag, verb, rest @ ..] = words.as_slice() else { return Ok(()) };
        let answer = match verb.to_ascii_uppercase().as_str() {
            "CAPABILITY" => format!("* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n{tag} OK done\r\n"),
            "LOGIN" => verdict(tag, site, rest.first(), rest.get(1)),
            "AUTHENTICATE" => {
                let plain = rest.get(1).cloned().unwrap_or_default();
                let (user, token) = plain_credentials(&plain);
                verdict(tag, site, Some(&user), Some(&token))
            }
            _ => format!("{tag} OK done\r\n"),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn verdict(tag: &str, site: &Site, user: Option<&String>, token: Option<&String>) -> String {
    let opens = match (user, token) {
        (Some(user), Some(token)) => site.state.lock().unwrap().opens(token, user),
        _ => false,
    };
    if opens { format!("{tag} OK done\r\n") } else { format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n") }
}

fn plain_credentials(text: &str) -> (String, String) {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    let decoded = String::from_utf8_lossy(&bytes).into_owned();
    let mut parts = decoded.split('\0').skip(1);
    (parts.next().unwrap_or_default().into(), parts.next().unwrap_or_default().into())
}

async fn read_command(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<String>> {
    let mut words = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(Vec::new());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let Some((head, length)) = literal_length(line) else {
            words.extend(split(line));
            return Ok(words);
        };
        words.extend(split(head));
        if !line.ends_with("+}") {
            stream.write_all(b"+ go on\r\n").await?;
        }
        let mut literal = vec![0; length];
        stream.read_exact(&mut literal).await?;
        words.push(String::from_utf8_lossy(&literal).into_owned());
    }
}

fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut escaped, mut begun) = (String::new(), false, false, false);
    for character in text.chars() {
        match character {
            _ if escaped => {
                word.push(character);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(character);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}
