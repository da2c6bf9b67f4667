//! One message: headers as servers and clients really write them, then text, HTML and attachments in the
//! shares the benchmarks assume. Lines end with LF, as Dovecot stores them.

use std::time::SystemTime;

use base64::Engine;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};

use super::SeedOptions;

const WORDS: &[&str] = &[
    "Angebot",
    "Vertrag",
    "the",
    "meeting",
    "Rechnung",
    "und",
    "für",
    "über",
    "Größe",
    "please",
    "find",
    "attached",
    "Wohnung",
    "Besichtigung",
    "Termin",
    "morgen",
    "Dienstag",
    "we",
    "would",
    "like",
    "to",
    "confirm",
    "Exposé",
    "Kaufpreis",
    "Grundbuch",
    "Notar",
    "Straße",
    "München",
    "schöne",
    "Grüße",
    "mit",
    "freundlichen",
    "Ihr",
    "Team",
    "delivery",
    "next",
    "week",
    "budget",
    "review",
    "quarter",
    "customer",
    "reply",
    "nicht",
    "auch",
    "noch",
    "bitte",
    "Anlage",
    "siehe",
    "unten",
    "danke",
    "für",
    "Ihre",
    "Nachricht",
    "Rückfragen",
    "stehen",
    "gerne",
    "zur",
    "Verfügung",
    "项目",
    "会议",
    "请示",
    "договор",
    "встреча",
    "café",
    "naïve",
    "0,5",
    "1.250.000",
    "EUR",
    "m²",
];
const PEOPLE: &[(&str, &str)] = &[
    ("Jürgen Müller", "juergen.mueller@kunde.test"),
    ("Clara Weiß", "clara@kunde.test"),
    ("王小明", "wang@example.test"),
    ("Анна Петрова", "petrova@example.test"),
    ("Newsletter", "news@shop.example.test"),
    ("Ben", "ben@makler.test"),
    ("Sales Team", "sales@partner.example.test"),
];

/// Log-normal by Box and Muller, and one message in two thousand of a megabyte or more: the log-normal alone
/// would hardly ever give one.
pub fn draw_size(rng: &mut StdRng, options: &SeedOptions) -> usize {
    if options.largest > 1_000_000 && rng.random_range(0..2_000) == 0 {
        return rng.random_range(1_000_000..options.largest);
    }
    let (u, v): (f64, f64) = (rng.random_range(1e-12..1.0), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    let size = options.median_size * (options.spread * normal).exp();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    let size = size.clamp(600.0, options.largest as f64) as usize;
    size
}

pub fn message(rng: &mut StdRng, index: usize, seed: u64, size: usize, at: SystemTime) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 2048);
    let boundary = format!("=_world_{seed}_{index}");
    let kind = rng.random_range(0..100);
    headers(rng, &mut out, index, seed, at);
    match kind {
        0..30 => plain(rng, &mut out, size),
        30..70 => alternative(rng, &mut out, size, &boundary),
        // Half of the attachments do not compress, as pictures and archives do not.
        _ => mixed(rng, &mut out, size, &boundary, kind % 2 == 0),
    }
    out
}

fn headers(rng: &mut StdRng, out: &mut Vec<u8>, index: usize, seed: u64, at: SystemTime) {
    let (name, address) = PEOPLE.choose(rng).copied().unwrap_or(("", "a@b.test"));
    let date = chrono::DateTime::<chrono::Utc>::from(at).format("%a, %d %b %Y %H:%M:%S +0000");
    let hop: u64 = rng.random();
    let key = base64::engine::general_purpose::STANDARD.encode(random_bytes(rng, 96));
    let subject = encoded_words(&sentence(rng, 6));
    let text = format!(
        "Return-Path: <{address}>\n\
         Received: from mx{}.example.test (mx.example.test [192.0.2.{}])\n\tby mail.makler.test (Postfix) with ESMTPS id {hop:X}\n\t\
         for <anna@makler.test>; {date}\n\
         DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.test; s=s1;\n\th=from:to:subject:date;\n\tb={key}\n\
         From: {} <{address}>\n\
         To: Anna =?UTF-8?Q?M=C3=BCller?= <anna@makler.test>\n\
         Subject: {subject}\n\
         Date: {date}\n\
         Message-ID: <{seed}.{index}.{hop:x}@example.test>\n\
         MIME-Version: 1.0\n",
        hop % 9,
        hop % 250,
        encoded_words(name)
    );
    out.extend_from_slice(text.as_bytes());
}

fn plain(rng: &mut StdRng, out: &mut Vec<u8>, size: usize) {
    let latin = rng.random_range(0..4) == 0;
    let charset = if latin { "iso-8859-1" } else { "utf-8" };
    out.extend_from_slice(
        format!("Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n")
            .as_bytes(),
    );
    let missing = size.saturating_sub(out.len());
    let text = paragraphs(rng, missing);
    if latin {
        // Raw 8-bit bytes that are not UTF-8; what Latin-1 lacks becomes a question mark.
        out.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')));
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn alternative(rng: &mut StdRng, out: &mut Vec<u8>, size: usize, boundary: &str) {
    let head = format!("Content-Type: multipart/alternative; boundary=\"{boundary}\"\n\n--{boundary}\n");
    out.extend_from_slice(head.as_bytes());
    let missing = size.saturating_sub(out.len() + 400);
    texts(rng, out, missing, boundary);
    out.extend_from_slice(format!("--{boundary}--\n").as_bytes());
}

/// The plain and the HTML part, together about `size` long.
fn texts(rng: &mut StdRng, out: &mut Vec<u8>, size: usize, boundary: &str) {
    out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n");
    out.extend_from_slice(paragraphs(rng, size / 3).as_bytes());
    let head = format!(
        "\n--{boundary}\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<html><body>\n"
    );
    out.extend_from_slice(head.as_bytes());
    let stop = out.len() + size * 2 / 3;
    while out.len() < stop {
        let style = rng.random_range(9..14);
        let link: u64 = rng.random();
        let text = sentence(rng, 12);
        let line = format!(
            "<p style=\"font-family:Arial,sans-serif;font-size:{style}pt;margin:0 0 8px\">{text}\n\
             <a href=\"https://track.example.test/c/{link:016x}\">mehr</a></p>\n"
        );
        out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(b"</body></html>\n\n");
}

fn mixed(rng: &mut StdRng, out: &mut Vec<u8>, size: usize, boundary: &str, incompressible: bool) {
    let inner = format!("{boundary}_alt");
    let head = format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n--{boundary}\n\
         Content-Type: multipart/alternative; boundary=\"{inner}\"\n\n--{inner}\n"
    );
    out.extend_from_slice(head.as_bytes());
    texts(rng, out, (size / 8).min(6_000), &inner);
    let (kind, name) =
        if incompressible { ("image/jpeg", "Grundriß.jpg") } else { ("text/csv", "Liste.csv") };
    let head = format!(
        "--{inner}--\n\n--{boundary}\nContent-Type: {kind}; name=\"{}\"\nContent-Transfer-Encoding: base64\n\
         Content-Disposition: attachment; filename*=UTF-8''{}\n\n",
        encoded_words(name),
        url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>()
    );
    out.extend_from_slice(head.as_bytes());
    let length = size.saturating_sub(out.len() + boundary.len() + 8).max(100) * 57 / 77;
    let content =
        if incompressible { random_bytes(rng, length) } else { paragraphs(rng, length).into_bytes() };
    for line in content.chunks(57) {
        out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(line).as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(format!("--{boundary}--\n").as_bytes());
}

fn random_bytes(rng: &mut StdRng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn sentence(rng: &mut StdRng, words: usize) -> String {
    let chosen: Vec<&str> = (0..words).filter_map(|_| WORDS.choose(rng).copied()).collect();
    chosen.join(" ")
}

/// Sentences with a number in each, since real text repeats less than a word list does.
fn paragraphs(rng: &mut StdRng, length: usize) -> String {
    let mut text = String::with_capacity(length + 128);
    while text.len() < length {
        let number: u32 = rng.random();
        let words = rng.random_range(5..12);
        text.push_str(&sentence(rng, words));
        text.push_str(&format!(" {number}.\n"));
        if number.is_multiple_of(6) {
            text.push_str("\n> ");
        }
    }
    text.push('\n');
    text
}

/// RFC 2047 for what is not ASCII, folded by word.
fn encoded_words(text: &str) -> String {
    let encode = |word: &str| {
        if word.is_ascii() {
            return word.to_string();
        }
        format!("=?UTF-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(word))
    };
    text.split(' ').map(encode).collect::<Vec<_>>().join("\n ")
}
