//! Carries one connection: reads either side, lets the dialog decide, writes at the rules' pace, ends as told.

use std::io::Result;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;

use super::dialog::{Dialog, Output};
use super::rules::{CutAt, Direction, Ending};
use super::{Order, Shared};

pub trait Channel: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Channel for T {}

pub struct Link {
    pub shared: Arc<Shared>,
    pub client: Box<dyn Channel>,
    pub server: Box<dyn Channel>,
    /// The client's socket once more, to reset it.
    pub socket: std::net::TcpStream,
    pub orders: UnboundedReceiver<Order>,
}

/// How much went each way, and what the cuts have seen of it.
#[derive(Default)]
struct Passed {
    bytes: u64,
    tail: Vec<u8>,
    hits: Vec<(Vec<u8>, u32)>,
}

pub async fn carry(mut link: Link) {
    let mut dialog = Dialog::new(link.shared.kind);
    let mut passed = [Passed::default(), Passed::default()];
    let mut from_client = vec![0; 64 * 1024];
    let mut from_server = vec![0; 64 * 1024];
    loop {
        let output = tokio::select! {
            // what a test says first: a side that always has more to say would be heard instead
            biased;
            order = link.orders.recv() => match order {
                Some(Order::Inject(line)) => Output { to_client: dialog.inject(line), ..Output::default() },
                Some(Order::End(ending)) => Output { end: Some(ending), ..Output::default() },
                None => return,
            },
            read = link.client.read(&mut from_client) => match read {
                Ok(length) if length > 0 => {
                    let mut rules = link.shared.rules();
                    dialog.client_sent(&from_client[..length], &link.shared, &mut rules)
                }
                _ => return,
            },
            read = link.server.read(&mut from_server) => match read {
                Ok(length) if length > 0 => dialog.server_sent(&from_server[..length], &mut link.shared.rules()),
                _ => {
                    let rest = dialog.server.rest();
                    let _ = link.client.write_all(&rest).await;
                    let _ = link.client.shutdown().await;
                    return;
                }
            },
        };
        if let Some(ending) = deliver(&mut link, &mut passed, output).await {
            return end(link, ending).await;
        }
    }
}

/// Writes both sides' bytes; an ending when the connection is over.
async fn deliver(link: &mut Link, passed: &mut [Passed; 2], output: Output) -> Option<Ending> {
    let Output { mut to_client, mut to_server, end } = output;
    let [down, up] = passed;
    let cut_down = limit(&link.shared, Direction::ToClient, down, &mut to_client);
    let cut_up = limit(&link.shared, Direction::ToServer, up, &mut to_server);
    let shared = Arc::clone(&link.shared);
    let sent = write(&shared, Direction::ToServer, &mut link.server, &to_server).await;
    let sent = sent.and(write(&shared, Direction::ToClient, &mut link.client, &to_client).await);
    if sent.is_err() {
        return Some(Ending::Fin);
    }
    end.or(cut_down).or(cut_up)
}

/// Shortens `bytes` where a cut takes effect, and spends that cut.
fn limit(shared: &Shared, direction: Direction, passed: &mut Passed, bytes: &mut Vec<u8>) -> Option<Ending> {
    let mut rules = shared.rules();
    if rules.cuts.is_empty() {
        passed.bytes += bytes.len() as u64;
        return None;
    }
    let mut found: Option<(usize, usize)> = None;
    for (at, cut) in rules.cuts.iter().enumerate().filter(|(_, cut)| cut.direction == direction) {
        let place = match &cut.at {
            CutAt::Bytes(limit) => {
                let left = usize::try_from(limit.saturating_sub(passed.bytes)).unwrap_or(usize::MAX);
                (left <= bytes.len()).then_some(left)
            }
            CutAt::Pattern(pattern, occurrence) => occurrence_end(passed, bytes, pattern, *occurrence),
        };
        if let Some(place) = place.filter(|place| found.is_none_or(|(_, best)| *place < best)) {
            found = Some((at, place));
        }
    }
    if let Some((_, place)) = found {
        bytes.truncate(place);
    }
    passed.bytes += bytes.len() as u64;
    passed.tail.extend_from_slice(bytes);
    let surplus = passed.tail.len().saturating_sub(256);
    passed.tail.drain(..surplus);
    found.map(|(at, _)| rules.cuts.remove(at).ending)
}

/// Where in `bytes` the wanted occurrence ends; occurrences may begin in what was sent before.
fn occurrence_end(passed: &mut Passed, bytes: &[u8], pattern: &[u8], occurrence: u32) -> Option<usize> {
    let keep = passed.tail.len().min(pattern.len().saturating_sub(1));
    let old = passed.tail.get(passed.tail.len() - keep..).unwrap_or_default();
    let text = [old, bytes].concat();
    let at = match passed.hits.iter().position(|(known, _)| known == pattern) {
        Some(at) => at,
        None => {
            passed.hits.push((pattern.to_vec(), 0));
            passed.hits.len() - 1
        }
    };
    let mut start = 0;
    while let Some(place) = text[start..].windows(pattern.len()).position(|window| window == pattern) {
        let end = start + place + pattern.len();
        start = end;
        passed.hits[at].1 += 1;
        if passed.hits[at].1 == occurrence {
            return Some(end - keep);
        }
    }
    None
}

/// Writes at the rules' pace, in pieces that end where a tripwire lies.
async fn write(
    shared: &Shared,
    direction: Direction,
    channel: &mut Box<dyn Channel>,
    bytes: &[u8],
) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let (rate, delay, chunk) = {
        let rules = shared.rules();
        let for_commands = rules.command_delay_ms.filter(|_| direction == Direction::ToServer);
        let delay = rules.delay_ms.unwrap_or(0) + for_commands.unwrap_or(0);
        (rules.rate, delay, rules.chunk)
    };
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let per_tick = rate.map(|rate| usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1));
    let size = chunk.unwrap_or(usize::MAX).min(per_tick.unwrap_or(usize::MAX)).max(1);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(shared.up_to_tripwire(direction, size.min(rest.len())));
        channel.write_all(piece).await?;
        channel.flush().await?;
        shared.carried(direction, piece.len() as u64);
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64)).await;
        }
        rest = after;
    }
    Ok(())
}

async fn end(mut link: Link, ending: Ending) {
    match ending {
        Ending::Fin => {
            let _ = link.client.shutdown().await;
        }
        Ending::Reset => {
            if let Ok(socket) = TcpStream::from_std(link.socket) {
                let _ = socket.set_zero_linger();
            }
        }
        Ending::Stall => loop {
            match link.orders.recv().await {
                Some(Order::End(Ending::Stall) | Order::Inject(_)) => {}
                Some(Order::End(_)) | None => return,
            }
        },
    }
}
