//! Actors that are stopping: they have not ended yet. Their successors wait for them: a refresh or a message in flight is
//! finished by the actor that began it, and its outcome still belongs to a living owner. Pure.

use crate::domain::Incarnation;
use crate::store::Role;
use std::collections::BTreeMap;

/// One actor, by role and owner epoch.
pub(super) type Named = (Role, u64);

/// Actors that have not ended yet, and whether each is overdue.
#[derive(Debug, Default)]
pub(super) struct Stopping(BTreeMap<Incarnation, BTreeMap<Named, bool>>);

impl Stopping {
    /// Notes actors that are being stopped.
    pub(super) fn add(&mut self, mailbox: Incarnation, actors: &[Named]) {
        if !actors.is_empty() {
            self.0.entry(mailbox).or_default().extend(actors.iter().map(|actor| (*actor, false)));
        }
    }

    /// Takes actors off the list, because they ended or are waited for no longer. Whether one was on it.
    pub(super) fn remove(&mut self, mailbox: Incarnation, actors: &[Named]) -> bool {
        let Some(left) = self.0.get_mut(&mailbox) else { return false };
        let before = left.len();
        left.retain(|actor, _| !actors.contains(actor));
        let was_there = left.len() < before;
        if left.is_empty() {
            self.0.remove(&mailbox);
        }
        was_there
    }

    /// Time is up for these; the overdue ones that are left. A receiving actor is not waited for: what is lost with it is
    /// fetched again. An answer to a refresh or a message comes once, and its deadline is the protocol's.
    pub(super) fn overdue(&mut self, mailbox: Incarnation, actors: &[Named]) -> Vec<Named> {
        let receivers: Vec<Named> = actors.iter().copied().filter(|(role, _)| *role == Role::Imap).collect();
        self.remove(mailbox, &receivers);
        let Some(left) = self.0.get_mut(&mailbox) else { return Vec::new() };
        let late = left.iter_mut().filter(|(actor, _)| actors.contains(actor));
        late.map(|(actor, is_overdue)| {
            *is_overdue = true;
            *actor
        })
        .collect()
    }

    /// Whether a mailbox's successors still wait. A message whose answer is overdue holds back the next sender
    /// alone.
    pub(super) fn has(&self, mailbox: Incarnation) -> bool {
        let waits = |((role, _), is_overdue): (&Named, &bool)| *role != Role::Smtp || !is_overdue;
        self.0.get(&mailbox).is_some_and(|left| left.iter().any(waits))
    }

    /// Whether a sender of a mailbox has not ended yet.
    pub(super) fn sends(&self, mailbox: Incarnation) -> bool {
        self.0.get(&mailbox).is_some_and(|left| left.keys().any(|(role, _)| *role == Role::Smtp))
    }

    /// Whether no actor is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Incarnation = Incarnation(1);
    const BEN: Incarnation = Incarnation(2);

    #[test]
    fn a_mailbox_is_free_when_its_last_actor_has_ended() {
        let mut stopping = Stopping::default();
        stopping.add(ANNA, &[(Role::Token, 1), (Role::Smtp, 1)]);
        stopping.add(BEN, &[(Role::Token, 1)]);
        stopping.add(BEN, &[]);
        assert!(!stopping.remove(ANNA, &[(Role::Token, 2)]), "another epoch is another actor");
        assert!(stopping.remove(ANNA, &[(Role::Token, 1)]));
        assert!(stopping.has(ANNA) && stopping.sends(ANNA));
        assert!(stopping.remove(ANNA, &[(Role::Smtp, 1)]));
        assert!(!stopping.remove(ANNA, &[(Role::Smtp, 1)]));
        assert!(!stopping.has(ANNA) && !stopping.sends(ANNA) && !stopping.is_empty());
        assert!(stopping.remove(BEN, &[(Role::Token, 1), (Role::Smtp, 1)]));
        assert!(stopping.is_empty());
    }

    #[test]
    fn an_overdue_message_holds_back_the_sender_alone_and_a_refresh_everybody() {
        let all = [(Role::Token, 1), (Role::Imap, 1), (Role::Smtp, 1)];
        let mut stopping = Stopping::default();
        stopping.add(ANNA, &all);
        assert_eq!(stopping.overdue(ANNA, &all), [(Role::Token, 1), (Role::Smtp, 1)]);
        assert!(stopping.has(ANNA), "the refresh token may be on its way");
        stopping.remove(ANNA, &[(Role::Token, 1)]);
        assert!(!stopping.has(ANNA) && stopping.sends(ANNA));
        // stopped later, and in time
        stopping.add(ANNA, &[(Role::Imap, 2)]);
        assert!(stopping.has(ANNA));
        stopping.remove(ANNA, &[(Role::Imap, 2)]);
        stopping.remove(ANNA, &[(Role::Smtp, 1)]);
        assert!(stopping.is_empty());
        assert_eq!(stopping.overdue(ANNA, &all), []);
    }
}
