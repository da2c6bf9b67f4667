//! Records of packs, small and large: every byte comes back, and every wrong one is found.

use super::large::LargeWriter;
use super::pack::{FRAME, RecordHeader, RecordKind, RecordReader, encode};
use super::room::{Measure, Room};
use crate::domain::Incarnation;
use crate::store::crypto::{Key, MasterKeySource, Vault};
use crate::store::error::StoreError;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use ulid::Ulid;

fn key(dir: &Path) -> Key {
    let vault = Vault::open(dir, &MasterKeySource::DataDir).unwrap();
    vault.create_mailbox_keys(&[Incarnation(1)]).unwrap();
    vault.mailbox_key(Incarnation(1)).unwrap()
}

fn header() -> RecordHeader {
    RecordHeader { id: Ulid::new(), kind: RecordKind::Submission }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn reopen<'k>(key: &'k Key, bytes: &[u8]) -> Result<RecordReader<&'k Key>, StoreError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    RecordReader::open(key, Incarnation(1), Arc::new(file), 0)
}

#[test]
fn every_length_comes_back_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let key = key(dir.path());
    for length in [0, 1, 500, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME + 17] {
        for raw in [vec![b'a'; length], noise(length)] {
            let record = encode(&key, Incarnation(1), &header(), &raw).unwrap();
            assert_eq!(reopen(&key, &record).unwrap().read_all().unwrap(), raw, "{length}");
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let key = key(dir.path());
    let record = encode(&key, Incarnation(1), &header(), &noise(300)).unwrap();
    for place in 0..record.len() {
        let mut damaged = record.clone();
        damaged[place] ^= 1;
        let read = reopen(&key, &damaged).and_then(|mut reader| reader.read_all());
        assert!(read.is_err(), "byte {place}");
    }
}

#[test]
fn a_large_record_written_in_pieces_reads_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let key = key(dir.path());
    let raw = noise(2 * FRAME + 99);
    let path = dir.path().join("large");
    let free = Arc::new(AtomicU64::new(1000));
    let measured = Arc::clone(&free);
    let measure: Measure = Arc::new(move || Ok(measured.load(Ordering::Relaxed)));
    let room = Room { data_dir: dir.path().to_path_buf(), min_free: 100, measure };
    let mut writer = LargeWriter::create(path.clone(), header(), room.clone()).unwrap();
    for piece in raw.chunks(500_000) {
        writer.append(&key, piece).unwrap();
    }
    let record = writer.finish(&key, Incarnation(1)).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((record.length, metadata.permissions().mode() & 0o777), (metadata.len(), 0o600));
    let file = Arc::new(File::open(&path).unwrap());
    assert_eq!(RecordReader::open(&key, Incarnation(1), file, 0).unwrap().read_all().unwrap(), raw);
    drop(record);
    assert!(!path.try_exists().unwrap(), "nobody committed it");

    let mut writer = LargeWriter::create(path.clone(), header(), room).unwrap();
    writer.append(&key, &raw).unwrap();
    free.store(99, Ordering::Relaxed);
    assert!(matches!(writer.append(&key, &raw), Err(StoreError::Full { .. })));
    drop(writer);
    assert!(!path.try_exists().unwrap(), "its space is free again");
}
