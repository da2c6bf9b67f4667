//! From an accepted socket to two secured channels: limits, TLS on both sides, STARTTLS for SMTP.

use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::certs::server_name;
use super::Shared;
use super::pump::{Channel, Link, carry};
use super::rules::{Kind, Transport};

pub async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        shared.accepted.fetch_add(1, Ordering::AcqRel);
        let (refuse, most) = {
            let rules = shared.rules();
            (rules.refuse, rules.most_connections)
        };
        // Dropped at once: the client sees its connection close before any greeting.
        if refuse || most.is_some_and(|most| shared.live_count() >= most) {
            let _ = client.set_zero_linger();
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = connection(client, shared).await;
        });
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) -> Result<()> {
    client.set_nodelay(true)?;
    let client = client.into_std()?;
    let socket = client.try_clone()?;
    let client = TcpStream::from_std(client)?;
    let (order, orders) = mpsc::unbounded_channel();
    shared.live.lock().unwrap().push(order);
    let (client, server): (Box<dyn Channel>, Box<dyn Channel>) = match shared.transport {
        Transport::Plain => (Box::new(client), Box::new(upstream(&shared).await?)),
        Transport::ImplicitTls => {
            let server = secured(upstream(&shared).await?, &shared).await?;
            let client = TlsAcceptor::from(Arc::clone(&shared.certs.server)).accept(client).await?;
            (Box::new(client), server)
        }
        Transport::StartTls => start_tls(client, &shared).await?,
    };
    carry(Link { shared, client, server, socket, orders }).await;
    Ok(())
}

async fn upstream(shared: &Shared) -> Result<TcpStream> {
    let server = TcpStream::connect(("127.0.0.1", shared.upstream)).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

async fn secured(server: TcpStream, shared: &Shared) -> Result<Box<dyn Channel>> {
    let connector = TlsConnector::from(Arc::clone(&shared.certs.client));
    Ok(Box::new(connector.connect(server_name(), server).await?))
}

/// Upgrades the server's side first, then plays the server's clear-text part for the client.
async fn start_tls(mut client: TcpStream, shared: &Shared) -> Result<(Box<dyn Channel>, Box<dyn Channel>)> {
    if shared.kind != Kind::Smtp {
        return Err(Error::other("STARTTLS is for SMTP only here"));
    }
    let mut server = upstream(shared).await?;
    let greeting = reply(&mut server).await?;
    for command in ["EHLO proxy.makler.test", "STARTTLS"] {
        server.write_all(format!("{command}\r\n").as_bytes()).await?;
        reply(&mut server).await?;
    }
    let server = secured(server, shared).await?;
    let exchange = shared.rules().exchange;
    let greeting = if exchange {
        "220 WORLD.eurprd00.prod.outlook.com Microsoft ESMTP MAIL Service ready\r\n".into()
    } else {
        greeting
    };
    client.write_all(greeting.as_bytes()).await?;
    loop {
        let line = line(&mut client).await?.to_ascii_uppercase();
        let answer = match line.split_whitespace().next().unwrap_or_default() {
            "EHLO" => {
                "250-mail.makler.test Hello\r\n250-SIZE 157286400\r\n250-PIPELINING\r\n250-DSN\r\n\
                 250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n"
            }
            "HELO" => "250 mail.makler.test\r\n",
            "NOOP" | "RSET" => "250 2.0.0 Ok\r\n",
            "STARTTLS" => {
                client.write_all(b"220 2.0.0 SMTP server ready\r\n").await?;
                let client = TlsAcceptor::from(Arc::clone(&shared.certs.server)).accept(client).await?;
                return Ok((Box::new(client), server));
            }
            "QUIT" => {
                client.write_all(b"221 2.0.0 Bye\r\n").await?;
                return Err(Error::other("the client left"));
            }
            _ => "530 5.7.0 Must issue a STARTTLS command first\r\n",
        };
        client.write_all(answer.as_bytes()).await?;
    }
}

/// A whole SMTP reply, its lines in one.
async fn reply(stream: &mut TcpStream) -> Result<String> {
    let mut text = String::new();
    loop {
        let line = line(stream).await?;
        let last = line.as_bytes().get(3) != Some(&b'-');
        text.push_str(&line);
        if last {
            return Ok(text);
        }
    }
}

/// Byte by byte, so that nothing behind the line is taken from the handshake that follows.
async fn line(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\n") {
        bytes.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
