//! What is said to the supervisor.

use crate::domain::{AppId, GrantInfo, Incarnation};
use crate::imap::protocol::ImapStatus;
use crate::token::protocol::{AccessToken, Permit, TokenError, Waiting};
use actix::Message;
use serde::Serialize;
use std::time::Duration;

/// The mailboxes in the store changed: start, restart and stop actors accordingly. Level-triggered: it says
/// that something changed, not what. Answered when the old actors were told to end; the store refuses
/// whatever they still commit.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reconcile;

/// Passes a wake-up on to a mailbox's actors. Lost, the next poll or timer does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Wake {
    /// Whose.
    pub mailbox: Incarnation,
    /// What for.
    pub reason: WakeReason,
}

/// Why a mailbox's actors are woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// Look at the server now.
    Sync,
    /// The outbox has something.
    Outbox,
    /// The grant in the store is another one.
    Grant,
    /// What kept its tokens away is mended.
    Mended,
}

/// Refreshes a mailbox's access token now; `None`: the mailbox has no token actor.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Result<GrantInfo, TokenError>>")]
pub struct RefreshToken {
    /// Whose.
    pub mailbox: Incarnation,
}

/// The app's credential is new: a mailbox tries it now. Lost, the supervisor finds it by itself.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TryCredential {
    /// Whose.
    pub app: AppId,
}

/// A mailbox's access token, as its own actors get it; `None`: the mailbox has no token actor.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Result<AccessToken, TokenError>>")]
pub struct LendToken {
    /// Whose.
    pub mailbox: Incarnation,
}

/// Asks for a permit to send a token request with an app's credentials, as the mailboxes' own requests need it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Permit, Waiting>")]
pub struct AskPermit {
    /// With whose credentials.
    pub app: AppId,
    /// For which mailbox.
    pub mailbox: Incarnation,
    /// A person said "now".
    pub urgent: bool,
}

/// The own token of an app, as its app-only mailboxes share it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<AccessToken, Waiting>")]
pub struct AskAppToken {
    /// Which app.
    pub app: AppId,
    /// For which mailbox.
    pub mailbox: Incarnation,
    /// A person said "now".
    pub urgent: bool,
}

/// What the actors of a mailbox do.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "ActorsStatus")]
pub struct GetActors {
    /// Whose.
    pub mailbox: Incarnation,
}

/// What the actors of a mailbox do.
#[derive(Clone, Debug, Default, Serialize, actix::MessageResponse)]
pub struct ActorsStatus {
    /// The IMAP actor's own view; `None`: not there, or unresponsive.
    pub imap: Option<ImapStatus>,
    /// How often they were restarted since the mailbox was started.
    pub restarts: u32,
}

/// How long each arbiter let the watchdog wait at most.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Duration>")]
pub struct GetLags;

/// Tells all actors to end; nothing is started any more. Answered when all have ended: a message that is on its way
/// to the server is finished first.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;
