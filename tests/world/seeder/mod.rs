//! Fills a Maildir with realistic mail: deterministic by seed, written by several threads, named as Dovecot
//! names files, so that the first SELECT needs to read no message.

mod content;
mod layout;

use std::io::Result;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::Serialize;

#[derive(Debug, Clone)]
pub struct SeedOptions {
    pub messages: usize,
    pub seed: u64,
    /// Folders to create, in Unicode with `/` between levels. INBOX exists anyway.
    pub folders: Vec<String>,
    /// How many of a hundred messages go to INBOX; the rest is spread over `folders`.
    pub inbox_percent: u32,
    /// Median of the log-normal sizes, in bytes.
    pub median_size: f64,
    /// Sigma of the log-normal sizes.
    pub spread: f64,
    pub largest: usize,
    /// Compressing everything once at zstd level 3 takes time; false leaves `zstd3_ratio` zero.
    pub measure: bool,
}

impl Default for SeedOptions {
    fn default() -> Self {
        let folders =
            ["Archiv", "Archiv/Entwürfe 2025", "Archiv/Kunden/Größe & Maß", "请示", "a&b", "Проекты"];
        Self {
            messages: 1_000,
            seed: 1,
            folders: folders.map(String::from).to_vec(),
            inbox_percent: 100,
            median_size: 8_192.0,
            spread: 1.05,
            largest: 6 * 1024 * 1024,
            measure: true,
        }
    }
}

impl SeedOptions {
    pub fn messages(messages: usize) -> Self {
        Self { messages, ..Self::default() }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SeedReport {
    pub messages: usize,
    /// As on disk, with LF.
    pub bytes: u64,
    /// As sent over IMAP, with CRLF.
    pub wire_bytes: u64,
    pub largest: u64,
    /// Size of the messages over their size when each is compressed alone at level 3.
    pub zstd3_ratio: f64,
    pub seconds: f64,
}

/// Writes `options.messages` messages below `maildir`, which is created where missing.
pub fn seed(maildir: &Path, options: &SeedOptions) -> Result<SeedReport> {
    let started = std::time::Instant::now();
    let folders = layout::create(maildir, &options.folders)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let parts: Vec<Result<Part>> = std::thread::scope(|scope| {
        let work = |thread: usize| {
            let folders = &folders;
            scope.spawn(move || write_part(folders, options, thread, threads))
        };
        let handles: Vec<_> = (0..threads).map(work).collect();
        handles.into_iter().map(|handle| handle.join().expect("a seeding thread")).collect()
    });
    let mut total = Part::default();
    for part in parts {
        let part = part?;
        total.bytes += part.bytes;
        total.wire += part.wire;
        total.packed += part.packed;
        total.largest = total.largest.max(part.largest);
    }
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = if total.packed == 0 { 0.0 } else { total.wire as f64 / total.packed as f64 };
    Ok(SeedReport {
        messages: options.messages,
        bytes: total.bytes,
        wire_bytes: total.wire,
        largest: total.largest,
        zstd3_ratio: ratio,
        seconds: started.elapsed().as_secs_f64(),
    })
}

#[derive(Default)]
struct Part {
    bytes: u64,
    wire: u64,
    packed: u64,
    largest: u64,
}

fn write_part(
    folders: &layout::Folders,
    options: &SeedOptions,
    thread: usize,
    threads: usize,
) -> Result<Part> {
    let mut part = Part::default();
    let mut packer = zstd::bulk::Compressor::new(3)?;
    for index in (thread..options.messages).step_by(threads) {
        // Each message has its own generator, so that the corpus does not depend on the number of threads.
        let mut rng = StdRng::seed_from_u64(options.seed.wrapping_mul(1_000_003).wrapping_add(index as u64));
        let size = content::draw_size(&mut rng, options);
        let received = received_at(index, options.messages);
        let text = content::message(&mut rng, index, options.seed, size, received);
        let wire = text.len() + text.iter().filter(|byte| **byte == b'\n').count();
        let inbox = folders.others.is_empty() || rng.random_range(0..100) < options.inbox_percent;
        let folder =
            if inbox { &folders.inbox } else { folders.others.choose(&mut rng).unwrap_or(&folders.inbox) };
        let flags = draw_flags(&mut rng);
        let stamp = received.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = format!("{stamp}.M{index}P{}.world,S={},W={wire}:2,{flags}", options.seed, text.len());
        let path = folder.join("cur").join(name);
        std::fs::write(&path, &text)?;
        let times = std::fs::FileTimes::new().set_modified(received).set_accessed(received);
        std::fs::File::options().write(true).open(&path)?.set_times(times)?;
        part.bytes += text.len() as u64;
        part.wire += wire as u64;
        part.largest = part.largest.max(wire as u64);
        if options.measure {
            part.packed += packer.compress(&super::mailbox::with_crlf(&text))?.len() as u64;
        }
    }
    Ok(part)
}

/// Six years back from the start of 2026, evenly, oldest first.
fn received_at(index: usize, messages: usize) -> SystemTime {
    const SPAN: u64 = 6 * 365 * 86_400;
    let share = SPAN * index as u64 / messages.max(1) as u64;
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 - SPAN + share)
}

/// Maildir's letters, in the order they have to be written.
fn draw_flags(rng: &mut StdRng) -> String {
    let mut flags = String::new();
    for (letter, percent) in [('F', 4), ('R', 18), ('S', 85)] {
        if rng.random_range(0..100) < percent {
            flags.push(letter);
        }
    }
    flags
}
