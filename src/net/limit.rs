//! Reads an IMAP server's responses one by one, within [`Limits`], and counts what was read. What the library above needs
//! during log-in is made of them by `imap::connection::dialogue`.

pub use super::imap_framing::{LimitExceeded, Limits, Literals};

use super::imap_framing::{Found, Framing};
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Room for a read: what TLS hands on at once.
const PIECE: usize = 16 << 10;
/// While nothing comes no more than this is kept.
const IDLE: usize = 512;
/// Room that is made at once for a literal: what is announced need not come.
const LITERAL: usize = 256 << 10;

/// Counts the bytes read of a connection; shared with those who measure its pace.
#[derive(Debug, Default)]
pub struct ReadMeter {
    bytes: AtomicU64,
}

impl ReadMeter {
    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A response, as the server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawResponse {
    /// All of it, with its line end; only its beginning where it was too long.
    pub bytes: Bytes,
    /// Whether it was too long.
    pub is_cut: bool,
}

/// Reads responses from a stream, and bounds them.
pub struct LimitingReader<S> {
    inner: S,
    framing: Framing,
    buffer: BytesMut,
    exceeded: Option<LimitExceeded>,
    meter: Arc<ReadMeter>,
}

impl<S> LimitingReader<S> {
    /// Wraps a stream at the start of a response: before the greeting, or right after the line that started TLS.
    #[must_use]
    pub fn new(inner: S, limits: Limits) -> Self {
        let (framing, buffer) = (Framing::new(limits), BytesMut::new());
        Self { inner, framing, buffer, exceeded: None, meter: Arc::default() }
    }

    /// What is kept of literals from here on.
    pub fn keep(&mut self, literals: Literals) {
        self.framing.keep(literals);
    }

    /// The meter of this connection.
    #[must_use]
    pub fn meter(&self) -> Arc<ReadMeter> {
        Arc::clone(&self.meter)
    }

    /// The stream below, for STARTTLS, and whether the server has sent more than what was taken of it.
    #[must_use]
    pub fn into_inner(self) -> (S, bool) {
        (self.inner, !self.buffer.is_empty())
    }

    /// A response that has come whole, if one has.
    fn take(&mut self) -> io::Result<Result<RawResponse, usize>> {
        if let Some(exceeded) = self.exceeded {
            return Err(violation(exceeded));
        }
        match self.framing.look(&self.buffer) {
            Ok(Found::End(end)) => {
                let (is_cut, head) = (self.framing.is_cut(), self.framing.head());
                self.framing.begin();
                let mut bytes = self.buffer.split_to(end).freeze();
                if is_cut {
                    // what is kept of it does not hold on to what was read with it
                    bytes = Bytes::copy_from_slice(bytes.get(..head).unwrap_or(&bytes));
                }
                Ok(Ok(RawResponse { bytes, is_cut }))
            }
            Ok(Found::More(known)) => {
                if let Some(dropped) = self.framing.droppable(self.buffer.len()) {
                    let tail = self.buffer.split_off(dropped.end);
                    self.buffer.truncate(dropped.start);
                    self.buffer.unsplit(tail);
                }
                // what is passed over needs no room
                Ok(Err(if self.framing.is_cut() { 0 } else { known }))
            }
            Err(exceeded) => {
                self.exceeded = Some(exceeded);
                Err(violation(exceeded))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> LimitingReader<S> {
    /// The next response; `None` at the end of the stream. Cut off at any time, it loses nothing.
    ///
    /// # Errors
    /// Those of the stream, a [`LimitExceeded`], or [`io::ErrorKind::UnexpectedEof`] in the middle of a response.
    pub async fn response(&mut self) -> io::Result<Option<RawResponse>> {
        std::future::poll_fn(|cx| self.poll_response(cx)).await
    }

    /// [`Self::response`], for a stream above.
    ///
    /// # Errors
    /// Likewise.
    pub fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RawResponse>>> {
        loop {
            let known = match self.take()? {
                Ok(response) => return Poll::Ready(Ok(Some(response))),
                Err(known) => known,
            };
            // with what ends the response, and the next one's beginning
            self.buffer.reserve(known.min(self.buffer.len().max(LITERAL)).saturating_add(PIECE));
            let read = pin!(self.inner.read_buf(&mut self.buffer)).poll(cx);
            if read.is_pending() && self.buffer.is_empty() && self.buffer.capacity() > IDLE {
                self.buffer = BytesMut::new();
            }
            match ready!(read)? {
                0 if self.buffer.is_empty() => return Poll::Ready(Ok(None)),
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                read => self.meter.bytes.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed),
            };
        }
    }
}

impl LimitExceeded {
    /// The limit that an I/O error stems from, if it is one of ours, however deep it is wrapped.
    #[must_use]
    pub fn find(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(*found);
            }
            // the inner error of an io::Error is not its own source but that one's source
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<Self>()) {
                return Some(*found);
            }
            next = error.source();
        }
        None
    }
}

fn violation(exceeded: LimitExceeded) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, exceeded)
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitingReader<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for LimitingReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitingReader").field("meter", &self.meter).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn text(response: &RawResponse) -> &str {
        std::str::from_utf8(&response.bytes).unwrap()
    }

    #[tokio::test]
    async fn responses_come_one_by_one_until_the_end() {
        let (client, mut server) = tokio::io::duplex(64);
        let mut reader = LimitingReader::new(client, Limits::default());
        let meter = reader.meter();
        server.write_all(b"* OK ready\r\n* 1 FETCH (BODY[] {3}\r\na\n").await.unwrap();
        assert_eq!(text(&reader.response().await.unwrap().unwrap()), "* OK ready\r\n");
        server.write_all(b"b)\r\n").await.unwrap();
        assert_eq!(text(&reader.response().await.unwrap().unwrap()), "* 1 FETCH (BODY[] {3}\r\na\nb)\r\n");
        drop(server);
        assert_eq!((reader.response().await.unwrap(), meter.bytes()), (None, 41));
    }

    #[tokio::test]
    async fn what_ends_in_the_middle_is_no_response() {
        let (client, mut server) = tokio::io::duplex(64);
        server.write_all(b"* 1 EXI").await.unwrap();
        drop(server);
        let error = LimitingReader::new(client, Limits::default()).response().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_line_of_a_hundred_megabytes_is_passed_over() {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let mut reader = LimitingReader::new(client, Limits::default());
        let sent = tokio::spawn(async move {
            server.write_all(b"* LIST () \"/\" ").await.unwrap();
            for _ in 0..100 {
                server.write_all(&[b'x'; 1 << 20]).await.unwrap();
            }
            server.write_all(b" {5}\r\nabcde\r\nA1 OK done\r\n").await.unwrap();
            server
        });
        let long = reader.response().await.unwrap().unwrap();
        assert!(long.is_cut && long.bytes.len() <= 512 && long.bytes.starts_with(b"* LIST"));
        assert!(reader.buffer.capacity() < 1 << 20, "{}", reader.buffer.capacity());
        assert_eq!(text(&reader.response().await.unwrap().unwrap()), "A1 OK done\r\n");
        drop(sent.await.unwrap());
    }

    #[tokio::test]
    async fn what_a_command_does_not_need_of_literals_is_passed_over_and_not_held() {
        for kept in [0_usize, 1 << 16] {
            let (client, mut server) = tokio::io::duplex(1 << 16);
            let mut reader = LimitingReader::new(client, Limits::default());
            reader.keep(Literals::UpTo(kept));
            let begin = "* 1 FETCH (UID 5 BODY[HEADER] {104857600}\r\n";
            let sent = tokio::spawn(async move {
                server.write_all(begin.as_bytes()).await.unwrap();
                for _ in 0..100 {
                    server.write_all(&[b'x'; 1 << 20]).await.unwrap();
                }
                server.write_all(b" B {70000}\r\n").await.unwrap();
                server.write_all(&[b'y'; 70_000]).await.unwrap();
                server.write_all(b" FLAGS ())\r\nA1 OK done\r\n").await.unwrap();
                server
            });
            let long = reader.response().await.unwrap().unwrap();
            assert!(long.is_cut && long.bytes.starts_with(begin.as_bytes()));
            assert_eq!(long.bytes.len(), (begin.len() + kept).max(512));
            assert!(reader.buffer.capacity() < 1 << 19, "{}", reader.buffer.capacity());
            assert_eq!(text(&reader.response().await.unwrap().unwrap()), "A1 OK done\r\n");
            drop(sent.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_violation_is_typed_and_lasting() {
        let (client, mut server) = tokio::io::duplex(1024);
        let mut reader = LimitingReader::new(client, Limits { literal: 2, ..Limits::default() });
        reader.keep(Literals::Whole);
        server.write_all(b"* 1 FETCH (BODY[] {3}\r\n").await.unwrap();
        for _ in 0..2 {
            let error = reader.response().await.unwrap_err();
            let expected = LimitExceeded::Literal { announced: 3, limit: 2 };
            assert_eq!(LimitExceeded::find(&error), Some(expected));
        }
    }
}
