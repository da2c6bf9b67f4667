//! Events in the keyspace: a commit's events share values of up to 3.5 KiB, keyed by the first one's sequence number,
//! so that a message costs a fraction of a key.

use super::codec::{self, MAX_VALUE};
use super::keys;
use crate::domain::{MailboxId, Timestamp};
use crate::events::{Cursor, Event, EventDraft, EventType};
use crate::store::error::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct Stored<D> {
    #[serde(rename = "t")]
    kind: EventType,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<MailboxId>,
    #[serde(rename = "a")]
    at: Timestamp,
    #[serde(rename = "d")]
    data: D,
}

/// Room for version, brackets and commas.
const CHUNK: usize = MAX_VALUE - 64;

/// Gives events their sequence numbers and adds them to a commit's changes; the next free number.
pub(in crate::store) fn stage(
    changes: &mut BTreeMap<keys::Key, Option<Vec<u8>>>,
    events: Vec<EventDraft>,
    first: u64,
) -> Result<u64, StoreError> {
    let mut sequence = first;
    let mut chunk: Vec<u8> = Vec::new();
    let mut chunk_first = first;
    for EventDraft { kind, mailbox, at, data } in events {
        let text = fitting(Stored { kind, mailbox, at, data })?;
        if !chunk.is_empty() && chunk.len() + text.len() + 1 > CHUNK {
            put(changes, chunk_first, &mut chunk);
            chunk_first = sequence;
        }
        chunk.push(if chunk.is_empty() { b'[' } else { b',' });
        chunk.extend_from_slice(&text);
        sequence = sequence.saturating_add(1);
    }
    if !chunk.is_empty() {
        put(changes, chunk_first, &mut chunk);
    }
    Ok(sequence)
}

/// What may be left out of an event's data so that it fits a value; ids and places never are.
const OPTIONAL: [&str; 7] = ["to", "send_diagnosis", "diagnosis", "from", "subject", "flags", "message_id"];

fn fitting(event: Stored<Box<RawValue>>) -> Result<Vec<u8>, StoreError> {
    let mut text = codec::to_json(&event)?;
    if text.len() <= CHUNK {
        return Ok(text);
    }
    let mut event: Stored<Value> = codec::from_json("an event", &text)?;
    for key in OPTIONAL {
        if let Some(data) = event.data.as_object_mut() {
            data.remove(key);
            data.insert(String::from("truncated"), Value::Bool(true));
        }
        text = codec::to_json(&event)?;
        if text.len() <= CHUNK {
            return Ok(text);
        }
    }
    Err(StoreError::TooLarge { bytes: text.len() })
}

fn put(changes: &mut BTreeMap<keys::Key, Option<Vec<u8>>>, first: u64, chunk: &mut Vec<u8>) {
    chunk.push(b']');
    changes.insert(keys::event(first), Some(codec::join_row(1, chunk)));
    chunk.clear();
}

pub(in crate::store) fn read_chunk(
    key: &[u8],
    value: &[u8],
) -> Result<impl Iterator<Item = Event> + use<>, StoreError> {
    let first = keys::trailing_u64(key).ok_or_else(|| StoreError::corrupt("an event key"))?;
    let (_, payload) = codec::split_row(value)?;
    let stored: Vec<Stored<Value>> = codec::from_json("events", payload)?;
    Ok((first..).zip(stored).map(|(sequence, Stored { kind, mailbox, at, data })| Event {
        cursor: Cursor(sequence),
        id: format!("evt_{sequence:016x}"),
        kind,
        mailbox,
        at,
        data,
    }))
}

/// The counter before the first event of a log that was begun anew (`fsck --rebuild`).
pub(in crate::store) const BEGINNING: &str = "sequence";
