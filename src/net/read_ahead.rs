//! Reads a busy socket in large pieces: TLS reads 4 KiB at a time, and each read is a system call. The memory
//! for it is there while bytes flow and given back when they pause: most connections wait most of the time.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Four TLS records.
const PIECE: usize = 64 << 10;

/// A stream whose reads are made large.
pub struct ReadAhead<S> {
    inner: S,
    /// Empty, or a piece long.
    buffer: Vec<u8>,
    filled: usize,
    taken: usize,
}

impl<S> ReadAhead<S> {
    /// Wraps a stream.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, buffer: Vec::new(), filled: 0, taken: 0 }
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    /// Reads the next piece into an empty buffer; nothing read is the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (self.filled, self.taken) = (0, 0);
        if self.buffer.is_empty() {
            self.buffer = vec![0; PIECE];
        }
        let mut piece = ReadBuf::new(&mut self.buffer);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut piece);
        self.filled = piece.filled().len();
        if polled.is_pending() {
            self.buffer = Vec::new();
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.taken == this.filled {
            ready!(this.poll_fill(cx))?;
        }
        let rest = this.buffer.get(this.taken..this.filled).unwrap_or_default();
        let fresh = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
        buf.put_slice(fresh);
        this.taken = this.taken.saturating_add(fresh.len());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
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

impl<S> fmt::Debug for ReadAhead<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead")
            .field("ahead", &self.filled.saturating_sub(self.taken))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn every_byte_comes_once_in_whatever_pieces_it_is_read() {
        let (mut server, client) = tokio::io::duplex(1000);
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        let expected = sent.clone();
        let writer = async move {
            for piece in sent.chunks(777) {
                server.write_all(piece).await.unwrap();
            }
        };
        let reader = async move {
            let (mut client, mut got) = (ReadAhead::new(client), Vec::new());
            let mut piece = [0; 301];
            loop {
                match client.read(&mut piece).await.unwrap() {
                    0 => return (got, client.read(&mut piece).await.unwrap()),
                    length => got.extend_from_slice(&piece[..length]),
                }
            }
        };
        let ((got, after_end), ()) = tokio::join!(reader, writer);
        assert!(got == expected);
        assert_eq!(after_end, 0, "the end stays the end");
    }

    #[tokio::test]
    async fn a_stream_that_waits_holds_no_buffer() {
        let (mut server, client) = tokio::io::duplex(1000);
        let mut client = ReadAhead::new(client);
        server.write_all(b"abc").await.unwrap();
        let mut got = [0; 3];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"abc");
        assert!(futures_util::poll!(Box::pin(client.read(&mut got))).is_pending());
        assert_eq!(client.buffer.capacity(), 0);
    }
}
