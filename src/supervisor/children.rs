//! The living actors of one mailbox, and what is sent to all of them.

use super::protocol::WakeReason;
use super::stopping::Named;
use crate::imap::ImapActor;
use crate::imap::protocol::SyncNow;
use crate::protocol::Stop;
use crate::smtp::SmtpActor;
use crate::store::Role;
use crate::token::TokenActor;
use crate::token::protocol::{AskAgain, GrantChanged};
use actix::Addr;

/// The living actors of a mailbox. They are spawned and replaced together: each holds addresses of others.
#[derive(Clone)]
pub(super) struct Children {
    pub(super) epochs: Vec<Named>,
    pub(super) token: Addr<TokenActor>,
    pub(super) imap: Option<Addr<ImapActor>>,
    pub(super) smtp: Option<Addr<SmtpActor>>,
}

impl Children {
    /// Their roles and epochs.
    pub(super) fn actors(&self) -> Vec<Named> {
        let exists = |(role, _): &Named| match role {
            Role::Token => true,
            Role::Imap => self.imap.is_some(),
            Role::Smtp => self.smtp.is_some(),
        };
        self.epochs.iter().copied().filter(exists).collect()
    }

    /// Those that have ended.
    pub(super) fn dead(&self) -> impl Iterator<Item = Named> + '_ {
        self.epochs.iter().copied().filter(|(role, _)| match role {
            Role::Token => !self.token.connected(),
            Role::Imap => self.imap.as_ref().is_some_and(|imap| !imap.connected()),
            Role::Smtp => self.smtp.as_ref().is_some_and(|smtp| !smtp.connected()),
        })
    }

    /// Stops all. Never lost, however full an actor's mailbox is; a dead actor has ended already.
    #[allow(clippy::disallowed_methods)]
    pub(super) fn stop(&self) {
        self.token.do_send(Stop);
        self.imap.iter().for_each(|imap| imap.do_send(Stop));
        self.smtp.iter().for_each(|smtp| smtp.do_send(Stop));
    }

    /// Passes a wake-up on.
    pub(super) fn wake(&self, reason: WakeReason) {
        let (imap, smtp) = (self.imap.as_ref(), self.smtp.as_ref());
        match reason {
            WakeReason::Sync => {
                wake("sync", imap.is_some_and(|imap| imap.try_send(SyncNow).is_ok()));
                // what the outbox is held for may be gone, too
                wake("sync", smtp.is_some_and(|smtp| smtp.try_send(GrantChanged).is_ok()));
            }
            WakeReason::Outbox => {
                wake("outbox", smtp.is_some_and(|smtp| smtp.try_send(crate::smtp::Send).is_ok()));
            }
            WakeReason::Grant | WakeReason::Mended => {
                // the token actor first: the others get their tokens from it
                wake(
                    "grant",
                    match reason {
                        WakeReason::Mended => self.token.try_send(AskAgain).is_ok(),
                        WakeReason::Grant | WakeReason::Sync | WakeReason::Outbox => {
                            self.token.try_send(GrantChanged).is_ok()
                        }
                    },
                );
                wake("grant", imap.is_some_and(|imap| imap.try_send(GrantChanged).is_ok()));
                wake("grant", smtp.is_some_and(|smtp| smtp.try_send(GrantChanged).is_ok()));
            }
        }
    }
}

fn wake(what: &'static str, delivered: bool) {
    if !delivered {
        tracing::debug!(what, "wake-up lost");
    }
}
