//! Actors that were told to end and have not ended yet. Their successors wait for them: a refresh or a message on its
//! way is finished by whoever began it, and its outcome still belongs to a living owner. Pure.

use crate::domain::Incarnation;
use crate::store::Role;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// One actor, by role and owner epoch.
pub(super) type Named = (Role, u64);

/// Who has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeMap<Incarnation, BTreeSet<Named>>);

impl Leaving {
    /// Notes actors that were told to end.
    pub(super) fn add(&mut self, mailbox: Incarnation, actors: &[Named]) {
        if !actors.is_empty() {
            self.0.entry(mailbox).or_default().extend(actors);
        }
    }

    /// Takes actors off the list, because they ended or are waited for no longer. Whether they were the last of
    /// their mailbox.
    pub(super) fn remove(&mut self, mailbox: Incarnation, actors: &[Named]) -> bool {
        let Some(left) = self.0.get_mut(&mailbox) else { return false };
        left.retain(|actor| !actors.contains(actor));
        let was_last = left.is_empty();
        if was_last {
            self.0.remove(&mailbox);
        }
        was_last
    }

    /// Whether somebody of a mailbox is still there.
    pub(super) fn has(&self, mailbox: Incarnation) -> bool {
        self.0.contains_key(&mailbox)
    }

    /// Whether nobody is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The end, and whom to tell when nobody is left.
pub(super) struct Draining {
    done: Option<oneshot::Sender<()>>,
}

impl Draining {
    pub(super) fn new(done: oneshot::Sender<()>) -> Self {
        Self { done: Some(done) }
    }

    pub(super) fn tell(&mut self) {
        if let Some(done) = self.done.take() {
            // whoever asked may have gone
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_end_of_a_mailbox_is_told_once() {
        let (anna, ben) = (Incarnation(1), Incarnation(2));
        let mut leaving = Leaving::default();
        leaving.add(anna, &[(Role::Token, 1), (Role::Smtp, 1)]);
        leaving.add(ben, &[(Role::Token, 1)]);
        leaving.add(ben, &[]);
        assert!(!leaving.remove(anna, &[(Role::Token, 2)]), "another epoch is another actor");
        assert!(!leaving.remove(anna, &[(Role::Token, 1)]));
        assert!(leaving.has(anna));
        assert!(leaving.remove(anna, &[(Role::Smtp, 1)]));
        assert!(!leaving.remove(anna, &[(Role::Smtp, 1)]));
        assert!(!leaving.has(anna) && !leaving.is_empty());
        assert!(leaving.remove(ben, &[(Role::Token, 1), (Role::Smtp, 1)]));
        assert!(leaving.is_empty());
    }
}
