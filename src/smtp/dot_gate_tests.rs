//! Tests of the stream under an SMTP connection.

use crate::smtp::dot_gate::*;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn pair() -> (Gate, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Gate::new(MaybeTls::Plain(client.unwrap()), address), server.unwrap().0)
}

async fn written_in(chunks: Vec<Vec<u8>>) -> Vec<u8> {
    let (gate, mut server) = pair().await;
    gate.arm();
    let mut writer = gate.clone();
    let task = tokio::spawn(async move {
        for chunk in chunks {
            writer.write_all(&chunk).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    gate.reached_dot().await;
    assert!(!gate.dot_left());
    gate.release();
    task.await.unwrap();
    assert!(gate.dot_left());
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    got
}

#[tokio::test]
async fn an_unreleased_gate_never_lets_the_dot_go() {
    let (gate, mut server) = pair().await;
    gate.arm();
    let mut writer = gate.clone();
    let task = tokio::spawn(async move { writer.write_all(b"..a\r\n.b\r\n.\r\n").await });
    // `.b` cannot come from a dot-stuffer: it is taken for the end rather than let through
    gate.reached_dot().await;
    drop(gate.take_stream());
    assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!((got.as_slice(), gate.dot_left()), (&b"..a\r\n"[..], false));
}

#[tokio::test]
async fn bare_codes_long_lines_and_foreign_bytes_become_readable() {
    let (mut gate, mut server) = pair().await;
    let long = format!("250-{}\r\n", "x".repeat(2000));
    server.write_all(&[b"334\r\n220 caf\xe9\n", long.as_bytes(), b"250 end"].concat()).await.unwrap();
    drop(server);
    let mut text = String::new();
    gate.read_to_string(&mut text).await.unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!((lines[0], lines[1], lines[2].len(), lines[3]), ("334 ", "220 caf\u{fffd}", 901, "250 end"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_arrives_is_what_was_written_however_it_was_cut(
        lines in proptest::collection::vec("(\\.\\.)?[a-z.]{0,5}", 0..12),
        cuts in proptest::collection::vec(1_usize..6, 0..80),
    ) {
        let stuffed: String = lines.iter().map(|line| match line.strip_prefix('.') {
            Some(rest) if !rest.starts_with('.') => format!("..{rest}\r\n"),
            Some(_) | None => format!("{line}\r\n"),
        }).collect();
        let whole = format!("{stuffed}.\r\n").into_bytes();
        let (mut chunks, mut rest, mut cuts) = (Vec::new(), whole.as_slice(), cuts.into_iter());
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(cuts.next().unwrap_or(7).min(rest.len()));
            chunks.push(head.to_vec());
            rest = tail;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        prop_assert_eq!(runtime.block_on(written_in(chunks)), whole);
    }
}
