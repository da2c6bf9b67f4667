//! One message handed to us to send.

use super::message::BodyLocation;
use super::{SubmissionId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a submission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionState {
    /// Waits for its turn.
    Queued,
    /// An attempt is under way.
    Sending,
    /// Refused for now; tried again at `next_attempt_at`.
    Deferred,
    /// The connection died after the final dot: nobody knows.
    Unknown,
    /// Accepted by the server for at least one recipient, none pending.
    Sent,
    /// Refused for good.
    Failed,
    /// Taken back before it was sent.
    Cancelled,
}

impl SubmissionState {
    /// Whether nothing more will happen to it by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Cancelled)
    }
}

/// How far an attempt got; written before the step it names, so that a restart knows what may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No attempt under way.
    Idle,
    /// MAIL, RCPT or DATA may have been sent, the final dot not.
    Sending,
    /// The final dot may have been sent.
    DataSent,
}

/// A recipient and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// `local@domain`.
    pub address: String,
    /// Where it stands.
    pub state: RecipientState,
    /// The server's last words about it.
    pub reply: Option<String>,
}

impl Recipient {
    /// Whether there is still something to do about it.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        match self.state {
            RecipientState::Queued | RecipientState::Deferred => true,
            RecipientState::Sent | RecipientState::Failed | RecipientState::Unknown => false,
        }
    }
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientState {
    /// Not tried.
    Queued,
    /// Refused for now.
    Deferred,
    /// Accepted.
    Sent,
    /// Refused for good.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// A submission as stored: its envelope and fate. The message lies in the mailbox's packs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Its id.
    pub id: SubmissionId,
    /// Where it stands.
    pub state: SubmissionState,
    /// How far the attempt under way got.
    pub phase: Phase,
    /// Why the outbox waits, if it does.
    pub hold: Option<String>,
    /// Envelope sender.
    pub mail_from: String,
    /// Envelope recipients.
    pub recipients: Vec<Recipient>,
    /// `Message-ID`, with its angle brackets; fixed at acceptance.
    pub message_id: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not before this.
    pub send_at: Option<Timestamp>,
    /// How many attempts were begun.
    pub attempts: u32,
    /// When a server first answered and did not take it.
    #[serde(default)]
    pub deferred_since: Option<Timestamp>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The server's last reply.
    pub last_reply: Option<String>,
    /// The client's key against doubles, if it gave one.
    pub idempotency_key: Option<String>,
    /// Bytes of the message.
    pub size: u64,
    /// Where the message lies.
    pub body: BodyLocation,
}

impl Submission {
    /// Nobody knows whether an attempt at those who wait sent it: it is not sent again.
    pub fn doubt(&mut self) {
        let pending = self.recipients.iter().filter(|recipient| recipient.is_pending());
        let pending: Vec<String> = pending.map(|recipient| recipient.address.clone()).collect();
        self.doubt_those(&pending);
    }

    /// The same of an attempt at some of them: the others wait until it is known.
    pub fn doubt_those(&mut self, addresses: &[String]) {
        for recipient in self.recipients.iter_mut().filter(|recipient| recipient.is_pending()) {
            if addresses.contains(&recipient.address) {
                recipient.state = RecipientState::Unknown;
            }
        }
        self.phase = Phase::Idle;
        self.state = SubmissionState::Unknown;
        self.next_attempt_at = None;
    }

    /// A new one. Message-ID, size and, by its commit, the place of its body are still to be set.
    #[must_use]
    pub fn queued(id: SubmissionId, now: Timestamp, mail_from: String, recipients: Vec<String>) -> Self {
        let queued = |address| Recipient { address, state: RecipientState::Queued, reply: None };
        Self {
            id,
            state: SubmissionState::Queued,
            phase: Phase::Idle,
            hold: None,
            mail_from,
            recipients: recipients.into_iter().map(queued).collect(),
            message_id: String::new(),
            created_at: now,
            send_at: None,
            attempts: 0,
            deferred_since: None,
            next_attempt_at: Some(now),
            last_reply: None,
            idempotency_key: None,
            size: 0,
            body: BodyLocation { pack: 0, offset: 0, length: 0 },
        }
    }
}
