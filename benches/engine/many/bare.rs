//! A bare client of many mailboxes: all at once, as the engine does it, on as many threads as the engine has arbiters.

use super::user;
use crate::world::{World, certs};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Stream = BufReader<TlsStream<TcpStream>>;

/// Seconds until each waits in IDLE.
pub fn log_in(world: &World, mailboxes: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(1, usize::from))
        .enable_all()
        .build()
        .unwrap();
    let (port, tls) = (world.imaps_port(), TlsConnector::from(Arc::clone(&world.certs.client)));
    let started = Instant::now();
    runtime.block_on(async {
        let sessions: Vec<_> =
            (0..mailboxes).map(|number| tokio::spawn(session(port, tls.clone(), user(number)))).collect();
        let mut open = Vec::new();
        for session in sessions {
            open.push(session.await.unwrap().unwrap());
        }
        let seconds = started.elapsed().as_secs_f64();
        drop(open);
        seconds
    })
}

async fn session(port: u16, tls: TlsConnector, user: String) -> std::io::Result<Stream> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let mut stream = BufReader::new(tls.connect(certs::server_name(), tcp).await?);
    until(&mut stream, "* OK").await?;
    for command in [&*format!("a LOGIN {user} pass\r\n"), "a CAPABILITY\r\n", "a SELECT INBOX\r\n"] {
        stream.write_all(command.as_bytes()).await?;
        until(&mut stream, "a OK").await?;
    }
    stream.write_all(b"a IDLE\r\n").await?;
    until(&mut stream, "+").await?;
    Ok(stream)
}

async fn until(stream: &mut Stream, begin: &str) -> std::io::Result<()> {
    let mut line = String::new();
    while !line.starts_with(begin) {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
