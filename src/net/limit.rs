//! The stream under async-imap: it ends the connection when the server exceeds its [`Limits`], counts what was
//! read, and remembers the end of the stream, which async-imap's IDLE cannot tell from an interrupt.

pub use super::imap_framing::{LimitExceeded, Limits};

use super::imap_framing::Framing;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was read of a connection; shared with whoever watches it.
#[derive(Debug, Default)]
pub struct ReadMeter {
    bytes: AtomicU64,
    eof: AtomicBool,
}

impl ReadMeter {
    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the server closed the stream.
    #[must_use]
    pub fn saw_eof(&self) -> bool {
        self.eof.load(Ordering::Acquire)
    }
}

/// Bounds what an IMAP server may send over `S`.
pub struct LimitingReader<S> {
    inner: S,
    framing: Framing,
    exceeded: Option<LimitExceeded>,
    meter: Arc<ReadMeter>,
}

impl<S> LimitingReader<S> {
    /// Wraps a stream at the start of a response: before the greeting, or right after the line that started TLS.
    #[must_use]
    pub fn new(inner: S, limits: Limits) -> Self {
        Self { inner, framing: Framing::new(limits), exceeded: None, meter: Arc::default() }
    }

    /// The meter of this connection.
    #[must_use]
    pub fn meter(&self) -> Arc<ReadMeter> {
        Arc::clone(&self.meter)
    }

    /// The stream below, for STARTTLS.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
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

impl<S: AsyncRead + Unpin> AsyncRead for LimitingReader<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(exceeded) = this.exceeded {
            return Poll::Ready(Err(violation(exceeded)));
        }
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
        if fresh.is_empty() {
            if buf.remaining() > 0 {
                this.meter.eof.store(true, Ordering::Release);
            }
            return Poll::Ready(Ok(()));
        }
        this.meter.bytes.fetch_add(u64::try_from(fresh.len()).unwrap_or(0), Ordering::Relaxed);
        match this.framing.feed(fresh) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(exceeded) => {
                this.exceeded = Some(exceeded);
                // nothing of the offending piece reaches the parser
                buf.set_filled(before);
                Poll::Ready(Err(violation(exceeded)))
            }
        }
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_pass_unchanged_and_the_end_is_remembered() {
        let (client, mut server) = tokio::io::duplex(64);
        let mut reader = LimitingReader::new(client, Limits::default());
        let meter = reader.meter();
        server.write_all(b"* OK ready\r\n").await.unwrap();
        drop(server);
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!((text.as_str(), meter.bytes(), meter.saw_eof()), ("* OK ready\r\n", 12, true));
    }

    #[tokio::test]
    async fn a_violation_is_typed_and_lasting() {
        let (client, mut server) = tokio::io::duplex(1024);
        let mut reader = LimitingReader::new(client, Limits { nesting: 2, ..Limits::default() });
        server.write_all(b"* 1 FETCH (((((((").await.unwrap();
        let mut buffer = [0; 64];
        for _ in 0..2 {
            let error = reader.read(&mut buffer).await.unwrap_err();
            assert_eq!(LimitExceeded::find(&error), Some(LimitExceeded::Nesting(2)));
        }
        assert!(!reader.meter().saw_eof());
    }
}
