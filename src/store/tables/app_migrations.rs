//! Verbs about mailboxes that are on their way to another app: the old one, and its grant, work on until a sign-in by
//! the new one was proved. That sign-in's commit ends the move.

use super::mailboxes::StoredMailbox;
use super::sign_ins::SignIn;
use crate::domain::{AppId, Auth, Incarnation, SignInId, Timestamp};
use crate::store::engine::{Commit, Expect, Op};
use crate::store::error::StoreError;
use crate::store::format::{Row, codec, keys};
use crate::store::handle::Store;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// As long as a person may take to mend what keeps an app's own token away.
const PATIENCE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A mailbox's way to another app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Its app when it was to be moved: with another one the order means nothing any more.
    pub from: AppId,
    /// The app it gets.
    pub to: AppId,
    /// The sign-in that was made for it; later ones are by the new app, too.
    pub sign_in: SignInId,
}

impl SignIn {
    /// A sign-in by another app than the mailbox's, which the mailbox gets with it. Where the app signs in by itself,
    /// it needs no user.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the system gives no randomness.
    pub fn moving(stored: &StoredMailbox, to: &AppId, now: Timestamp) -> Result<Self, StoreError> {
        let mut sign_in = Self::begin(stored, None, None, now)?;
        sign_in.app = Some(to.clone());
        if matches!(stored.mailbox.auth, Auth::AppOnly { .. }) {
            sign_in.by_app = true;
            sign_in.state = super::sign_ins::SignInState::Probing;
            sign_in.expires_at = now.plus(PATIENCE);
        }
        Ok(sign_in)
    }
}

impl Store {
    /// Where a mailbox is on its way to; `None`: it stays.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn move_of(&self, stored: &StoredMailbox) -> Result<Option<Move>, StoreError> {
        let row = self.row::<Move>("move", &keys::moving(stored.incarnation))?;
        Ok(row.map(|row| row.value).filter(|moving| stored.mailbox.app() == Some(&moving.from)))
    }

    /// The sign-in of a mailbox that moves without a user.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn moved_by_app(&self, mailbox: Incarnation) -> Result<Option<Row<SignIn>>, StoreError> {
        let row = self.row::<Move>("move", &keys::moving(mailbox))?;
        let sign_in = row.map(|row| self.sign_in(row.value.sign_in)).transpose()?.flatten();
        Ok(sign_in.filter(|row| row.value.by_app))
    }

    /// Adds the order to move a mailbox, and the sign-in that does it, to a commit. It means nothing if the mailbox has
    /// another app by then.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it cannot be sealed.
    pub fn add_move(
        &self,
        commit: &mut Commit,
        stored: &StoredMailbox,
        sign_in: &SignIn,
    ) -> Result<(), StoreError> {
        let (Some(from), Some(to)) = (stored.mailbox.app().cloned(), sign_in.app.clone()) else {
            return Ok(());
        };
        self.add_sign_in(commit, sign_in, 0)?;
        let payload = codec::to_json(&Move { from, to, sign_in: sign_in.id })?;
        commit.ops.push(Op::Put { key: keys::moving(stored.incarnation), expect: Expect::Any, payload });
        Ok(())
    }

    /// Adds the end of a move, if there is one, to a commit: the mailbox was given another app.
    pub fn end_move(&self, commit: &mut Commit, mailbox: Incarnation) {
        commit.ops.push(Op::Delete { key: keys::moving(mailbox), expect: Expect::Any });
    }

    /// Adds to a commit that a mailbox has arrived at an app. It is a [`StoreError::Conflict`] if the move was
    /// withdrawn, or another one ordered, meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`]; [`StoreError::Conflict`] if there is no such move.
    pub fn arrive(&self, commit: &mut Commit, mailbox: Incarnation, to: &AppId) -> Result<(), StoreError> {
        let key = keys::moving(mailbox);
        let row = self.row::<Move>("move", &key)?.filter(|row| row.value.to == *to);
        let generation = row.ok_or(StoreError::Conflict)?.generation;
        commit.ops.push(Op::Delete { key, expect: Expect::Generation(generation) });
        Ok(())
    }

    /// Adds the withdrawal of all moves to an app to a commit.
    pub(in crate::store) fn end_moves_to(&self, commit: &mut Commit, app: &AppId) -> Result<(), StoreError> {
        let keys: Result<Vec<_>, _> = self.db().scan_prefix(keys::moves()).keys().collect();
        for key in keys.map_err(StoreError::sled)? {
            let moving = self.row::<Move>("move", &key)?.filter(|row| row.value.to == *app);
            commit.ops.extend(
                moving
                    .map(|row| Op::Delete { key: key.to_vec(), expect: Expect::Generation(row.generation) }),
            );
        }
        Ok(())
    }

    /// A new sign-in for a mailbox, by the app that it is on its way to.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn begin_sign_in(
        &self,
        stored: &StoredMailbox,
        return_to: Option<String>,
        language: Option<String>,
        now: Timestamp,
    ) -> Result<SignIn, StoreError> {
        let mut sign_in = SignIn::begin(stored, return_to, language, now)?;
        sign_in.app = self.move_of(stored)?.map(|moving| moving.to);
        Ok(sign_in)
    }
}
