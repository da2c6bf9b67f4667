//! What a session waits for while it is being opened, so that a silent server can be shown before any deadline passes.

use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::Diagnosis;
use std::sync::Arc;
use tokio::sync::watch;

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The end of the TLS handshake.
    Tls,
    /// The server's first word.
    Greeting,
    /// The answer to this command.
    Answer(&'static str),
}

impl Awaited {
    /// What is waited for, and what the silence may be.
    pub fn diagnosis(self, host: &str, address: &str, evidence: Option<&str>) -> Diagnosis {
        let (entry, detail) = match self {
            Self::Greeting => (&c::WAITING_FOR_GREETING, ""),
            Self::Tls => (&c::WAITING_FOR_ANSWER, "TLS"),
            Self::Answer(command) if command.starts_with("AUTH") => (&c::WAITING_FOR_SIGN_IN, command),
            Self::Answer(command) => (&c::WAITING_FOR_ANSWER, command),
        };
        describe(entry, &Facts { host, address, detail, ..Facts::default() }, evidence)
    }
}

/// Where a session notes what it waits for. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress(Arc<watch::Sender<Option<Awaited>>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Progress {
    pub(super) fn waits_for(&self, awaited: Awaited) {
        self.0.send_replace(Some(awaited));
    }

    pub(super) fn current(&self) -> Option<Awaited> {
        *self.0.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Awaited>> {
        self.0.subscribe()
    }
}
