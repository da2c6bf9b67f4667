//! The stream under lettre's SMTP connection, and the handle that steers it.
//!
//! Writing, it holds back the final dot: lettre writes body and dot in one call, but between the two we must make
//! durable that the dot is about to leave. Armed, the gate stops before the `.` of the terminating `.CRLF` (the
//! only dot at a line's start that dot-stuffing leaves single, RFC 5321 §4.5.2) until it is released.
//!
//! Reading, it gives lettre one line at a time, in the form lettre's parser takes: a bare `334` gets its space,
//! bytes beyond UTF-8 are replaced, long lines cut. So whatever follows the answer to STARTTLS stays here, seen.

use crate::net::MaybeTls;
use lettre::transport::smtp::client::AsyncTokioStream;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// lettre refuses lines over 1,000 bytes.
const LONGEST_LINE: usize = 900;
/// A server that never ends its line is cut off here.
const LONGEST_RAW_LINE: usize = 64 * 1024;

/// How much of a message is looked at for its dot at a time.
const AT_ONCE: usize = 64 * 1024;

pub(super) type Stream = MaybeTls<TcpStream>;

/// Shared by lettre, which reads and writes through it, and the session, which steers it.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    inner: Arc<Mutex<Inner>>,
    at_dot: Arc<Notify>,
    spoken: Arc<Notify>,
    peer: SocketAddr,
}

#[derive(Debug)]
struct Inner {
    stream: Option<Stream>,
    unread: VecDeque<u8>,
    line: VecDeque<u8>,
    reply: Vec<String>,
    /// The reply before the last one.
    answered: Vec<String>,
    gate: Position,
    released: bool,
    dot_left: bool,
    written: u64,
    waker: Option<Waker>,
}

/// Where in an outgoing message we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Not in a message, or past its dot.
    Open,
    /// At the start of a line.
    LineStart,
    /// After a CR.
    Cr,
    /// Elsewhere.
    Middle,
    /// A dot at a line's start was taken and not yet written: stuffed or final, the next byte tells.
    DotHeld,
    /// It is the final one.
    AtDot,
}

impl Gate {
    pub fn new(stream: Stream, peer: SocketAddr) -> Self {
        let inner = Inner {
            stream: Some(stream),
            unread: VecDeque::new(),
            line: VecDeque::new(),
            reply: Vec::new(),
            answered: Vec::new(),
            gate: Position::Open,
            released: false,
            dot_left: false,
            written: 0,
            waker: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)), at_dot: Arc::default(), spoken: Arc::default(), peer }
    }

    // a poisoned lock is one whose holder panicked between two consistent states: nothing in here is half-done
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on a message is written, and its dot is held back.
    pub fn arm(&self) {
        let mut inner = self.lock();
        inner.gate = Position::LineStart;
        inner.released = false;
        inner.dot_left = false;
    }

    /// Completes when everything but the dot was taken.
    pub async fn reached_dot(&self) {
        loop {
            let notified = self.at_dot.notified();
            if self.lock().gate == Position::AtDot {
                return;
            }
            notified.await;
        }
    }

    /// Lets the dot go.
    pub fn release(&self) {
        let mut inner = self.lock();
        inner.released = true;
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// Whether the dot was given to the connection.
    pub fn dot_left(&self) -> bool {
        self.lock().dot_left
    }

    /// Completes when the server sends something after a reply.
    pub async fn has_spoken(&self) {
        self.spoken.notified().await;
    }

    /// The lines of the reply before the last one.
    pub fn answered(&self) -> Vec<String> {
        self.lock().answered.clone()
    }

    /// Bytes written so far, to tell slow from stuck.
    pub fn written(&self) -> u64 {
        self.lock().written
    }

    /// The lines of the last reply.
    pub fn reply(&self) -> Vec<String> {
        self.lock().reply.clone()
    }

    /// Whether the server sent more than an answer, as far as it has come.
    pub async fn has_unread(&self) -> bool {
        std::future::poll_fn(|cx| {
            let mut inner = self.lock();
            if inner.unread.is_empty() && inner.line.is_empty() {
                // what is wrong with the stream shows when it is used
                drop(inner.poll_piece(cx));
            }
            Poll::Ready(!inner.unread.is_empty() || !inner.line.is_empty())
        })
        .await
    }

    /// The first line of what the server sent unsolicited.
    pub fn unsolicited(&self) -> String {
        let inner = self.lock();
        let line: Vec<u8> =
            inner.line.iter().chain(&inner.unread).copied().take_while(|byte| *byte != b'\n').collect();
        String::from_utf8_lossy(&line).trim().chars().take(300).collect()
    }

    /// Takes the stream out, to make TLS on it, or to close the connection for good.
    pub fn take_stream(&self) -> Option<Stream> {
        let mut inner = self.lock();
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
        inner.stream.take()
    }

    /// Puts it back.
    pub fn put(&self, stream: Stream) {
        self.lock().stream = Some(stream);
    }
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::BrokenPipe)
}

impl Inner {
    fn write_through(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.stream.as_mut().ok_or_else(closed)?;
        let taken = ready!(Pin::new(stream).poll_write(cx, bytes))?;
        self.written += u64::try_from(taken).unwrap_or(0);
        Poll::Ready(Ok(taken))
    }

    fn write_dot(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.write_through(cx, b"."))? {
            0 => Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero))),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Writes what stands before the next dot at a line's start.
    fn write_armed(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut position = self.gate;
        // a large body is offered whole each time: looking at all of it would cost the square of its length
        let bytes = bytes.get(..AT_ONCE).unwrap_or(bytes);
        let free = bytes.iter().position(|byte| {
            let stop = position == Position::LineStart && *byte == b'.';
            position = position.after(*byte);
            stop
        });
        let free = bytes.get(..free.unwrap_or(bytes.len())).unwrap_or_default();
        if free.is_empty() {
            self.gate = Position::DotHeld;
            return Poll::Ready(Ok(bytes.len().min(1)));
        }
        let taken = ready!(self.write_through(cx, free))?;
        self.gate = free.iter().take(taken).fold(self.gate, |position, byte| position.after(*byte));
        Poll::Ready(Ok(taken))
    }

    /// Reads what there is into `unread`; how much, nothing at the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [0_u8; 4096];
        let mut piece = ReadBuf::new(&mut piece);
        let stream = self.stream.as_mut().ok_or_else(closed)?;
        ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
        self.unread.extend(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Moves the next line from `unread` to `line`, in the form lettre reads. `false`: there is no whole line.
    fn next_line(&mut self, at_end: bool) -> bool {
        let end = match self.unread.iter().position(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if at_end && !self.unread.is_empty() => self.unread.len(),
            None => return false,
        };
        let raw: Vec<u8> = self.unread.drain(..end).collect();
        let mut text = String::from_utf8_lossy(&raw).replace('\0', "");
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        let cut = text.char_indices().map(|(at, _)| at).find(|at| *at > LONGEST_LINE).unwrap_or(text.len());
        text.truncate(cut);
        if text.len() == 3 {
            text.push(' ');
        }
        self.line.extend(text.as_bytes());
        self.line.extend(b"\r\n");
        self.reply.push(text);
        true
    }
}

impl Position {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (_, b'\r') => Self::Cr,
            (Self::Cr, b'\n') => Self::LineStart,
            (Self::Open | Self::LineStart | Self::Cr | Self::Middle | Self::DotHeld | Self::AtDot, _) => {
                Self::Middle
            }
        }
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if inner.gate == Position::DotHeld {
            match bytes.first() {
                None => return Poll::Ready(Ok(0)),
                Some(b'.') => {
                    ready!(inner.write_dot(cx))?;
                    inner.gate = Position::Middle;
                }
                Some(_) => {
                    inner.gate = Position::AtDot;
                    self.at_dot.notify_waiters();
                }
            }
        }
        if inner.gate == Position::AtDot {
            if inner.stream.is_none() {
                return Poll::Ready(Err(closed()));
            }
            if !inner.released {
                inner.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            ready!(inner.write_dot(cx))?;
            inner.dot_left = true;
            inner.gate = Position::Open;
        }
        if !inner.reply.is_empty() {
            inner.answered = std::mem::take(&mut inner.reply);
            self.spoken.notify_one();
        }
        if inner.gate == Position::Open {
            inner.write_through(cx, bytes)
        } else {
            inner.write_armed(cx, bytes)
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        let stream = inner.stream.as_mut().ok_or_else(closed)?;
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.lock().stream.as_mut() {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Gate {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        while inner.line.is_empty() && !inner.next_line(false) {
            if inner.unread.len() > LONGEST_RAW_LINE {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a reply without end")));
            }
            if ready!(inner.poll_piece(cx))? == 0 && !inner.next_line(true) {
                return Poll::Ready(Ok(()));
            }
        }
        while buf.remaining() > 0 {
            match inner.line.pop_front() {
                Some(byte) => buf.put_slice(&[byte]),
                None => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncTokioStream for Gate {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
#[path = "dot_gate_tests.rs"]
mod tests;
