//! Messages that several actors share, and the guard that reports an actor's end to the supervisor.

use crate::domain::Incarnation;
use crate::store::Role;
use actix::{Message, Recipient};

/// Why an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It was stopped.
    Stopped,
    /// It gave up, with its error's text.
    Failed(String),
    /// It panicked.
    Panicked,
}

/// An actor of a mailbox has ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// Whose.
    pub mailbox: Incarnation,
    /// Which.
    pub role: Role,
    /// Which one of them: an old one's late end is not the living one's.
    pub epoch: u64,
    /// Why.
    pub reason: ExitReason,
}

/// Ends an actor.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Dropped with its actor, however that ends, and reports it to the supervisor.
pub struct ExitGuard {
    supervisor: Recipient<ChildExited>,
    exit: ChildExited,
}

impl ExitGuard {
    /// A guard for one actor.
    #[must_use]
    pub fn new(supervisor: Recipient<ChildExited>, mailbox: Incarnation, role: Role, epoch: u64) -> Self {
        let exit = ChildExited { mailbox, role, epoch, reason: ExitReason::Stopped };
        Self { supervisor, exit }
    }

    /// Notes that the actor gave up.
    pub fn failed(&mut self, error: &str) {
        self.exit.reason = ExitReason::Failed(error.to_owned());
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.exit.reason = ExitReason::Panicked;
        }
        let is_lost = crate::faults::fail("exit.told").is_err();
        if is_lost || self.supervisor.try_send(self.exit.clone()).is_err() {
            tracing::warn!(mailbox = %self.exit.mailbox, "the supervisor was not told of an actor's end");
        }
    }
}
