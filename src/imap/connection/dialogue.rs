//! The stream that async-imap logs in over. It is given one status response at a time, in the plainest spelling, and
//! nothing of what else a server says: so that no odd line can end a log-in, and so that nothing is left in the
//! library's buffer when the session is ours. What was said beside is kept here.

use super::response::{Response, Status, capabilities, parse};
use crate::net::{LimitingReader, Literals, RawResponse, ReadMeter};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream under the library.
pub(in crate::imap) struct Dialogue<S> {
    reader: LimitingReader<S>,
    /// What the library has not read yet.
    ready: Vec<u8>,
    pub(super) heard: Heard,
}

/// What a server said before and during log-in.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What it offers, in capitals, by its last CAPABILITY.
    pub(in crate::imap) capabilities: Option<Vec<String>>,
    /// Its words at the last NO or BAD.
    pub(in crate::imap) refusal: Option<String>,
    /// Its last words.
    pub(in crate::imap) bye: Option<String>,
}

impl<S> Dialogue<S> {
    pub(in crate::imap) fn new(reader: LimitingReader<S>) -> Self {
        Self { reader, ready: Vec::new(), heard: Heard::default() }
    }

    pub(in crate::imap) fn meter(&self) -> Arc<ReadMeter> {
        self.reader.meter()
    }

    /// What is kept of literals from here on.
    pub(in crate::imap) fn keep(&mut self, literals: Literals) {
        self.reader.keep(literals);
    }

    /// The stream below, and whether the server has sent more than was read.
    pub(in crate::imap) fn into_inner(self) -> (S, bool) {
        self.reader.into_inner()
    }
}

impl<S: AsyncRead + Unpin> Dialogue<S> {
    /// The next response, unread by the library.
    pub(in crate::imap) async fn response(&mut self) -> io::Result<Option<RawResponse>> {
        self.reader.response().await
    }
}

impl Heard {
    /// What the library gets to read of a response.
    fn hear(&mut self, response: Response) -> Option<String> {
        match response {
            Response::Done { tag, status, text } => {
                self.note_capabilities(&text);
                let word = match status {
                    Status::Ok | Status::PreAuth => "OK",
                    Status::No | Status::Bye => "NO",
                    Status::Bad => "BAD",
                };
                self.refusal = (word != "OK").then_some(text);
                // tags are the library's: it compares them letter by letter
                Some(format!("{} {word} .\r\n", tag.to_ascii_uppercase()))
            }
            Response::Continue => Some(String::from("+ \r\n")),
            Response::Condition { status: Status::Bye, text } => {
                self.bye = Some(text);
                None
            }
            Response::Condition { text, .. } => {
                self.note_capabilities(&text);
                None
            }
            Response::Capabilities(offered) => {
                self.capabilities = Some(offered);
                None
            }
            Response::List(_)
            | Response::FolderStatus(..)
            | Response::Exists(_)
            | Response::Expunge
            | Response::Vanished
            | Response::Search(_)
            | Response::Id(_)
            | Response::Fetch(_)
            | Response::Other
            | Response::Strange(_) => None,
        }
    }

    /// `[CAPABILITY …]` in an OK's text (RFC 3501 §7.1).
    fn note_capabilities(&mut self, text: &str) {
        let inner = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
        let words = inner.map(|inner| capabilities(inner.as_bytes())).unwrap_or_default();
        if let Some(("CAPABILITY", offered)) = words.split_first().map(|(first, rest)| (first.as_str(), rest))
        {
            self.capabilities = Some(offered.to_vec());
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Dialogue<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.ready.is_empty() {
            let Some(raw) = ready!(this.reader.poll_response(cx))? else { return Poll::Ready(Ok(())) };
            this.ready = this.heard.hear(parse(&raw)).unwrap_or_default().into_bytes();
        }
        let rest = this.ready.split_off(this.ready.len().min(buf.remaining()));
        buf.put_slice(&std::mem::replace(&mut this.ready, rest));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Dialogue<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.reader).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for Dialogue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogue").field("heard", &self.heard).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Limits;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_library_is_told_of_status_responses_alone_and_plainly() {
        let (client, mut server) = tokio::io::duplex(4096);
        let mut dialogue = Dialogue::new(LimitingReader::new(client, Limits::default()));
        let lines = b"* CAPABILITY IMAP4rev1  IDLE \r\nnonsense\r\n* 3 FETCH (((\r\n+\r\n* BYE tired\r\n\
            a0001 NO [AUTHENTICATIONFAILED \xff no\r\nA0002 OK [CAPABILITY IMAP4rev1 ID] in\r\n";
        server.write_all(lines).await.unwrap();
        drop(server);
        let mut told = String::new();
        dialogue.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "+ \r\nA0001 NO .\r\nA0002 OK .\r\n");
        let Heard { capabilities, refusal, bye } = dialogue.heard;
        assert_eq!(capabilities.unwrap(), ["IMAP4REV1", "ID"]);
        assert_eq!((refusal, bye.as_deref()), (None, Some("tired")));
    }
}
