//! The HTTP API: its frame, mail, the outbox, languages.

pub mod frame;
pub mod language;
pub mod mail;
pub mod outbox;
