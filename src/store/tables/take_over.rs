//! Verbs about refresh tokens of another system that are to be taken over. Each lies as the sealed candidate of a
//! sign-in, which is in the commit that hands it in; a row of the mailbox names the newest of them.

use super::mailboxes::StoredMailbox;
use super::sign_ins::{Imported, SignIn, SignInState};
use crate::domain::{Grant, GrantSecret, GrantWay, Incarnation, Secret, SignInId, Timestamp};
use crate::store::engine::{Commit, Op, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, codec, keys};
use crate::store::handle::Store;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// As long as Microsoft keeps a refresh token that nobody uses.
const LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// So many tokens that were handed in earlier are remembered.
const REMEMBERED: usize = 8;

/// A refresh token of another system, issued to the mailbox's own app.
#[derive(Clone, Debug)]
pub struct TakeOver {
    /// The token.
    pub refresh_token: Secret,
    /// Whether it is tried with the client secret at first.
    pub send_client_secret: bool,
}

impl TakeOver {
    /// By what it is known again.
    #[must_use]
    pub fn sha256(&self) -> String {
        let digest = Sha256::digest(self.refresh_token.expose().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Imported {
    fn knows(&self, token_sha256: &str) -> bool {
        self.token_sha256 == token_sha256 || self.earlier.iter().any(|earlier| earlier == token_sha256)
    }
}

impl SignIn {
    /// A sign-in that needs no user: its refresh token is there, and to be tried.
    fn taking_over(stored: &StoredMailbox, token: &TakeOver, now: Timestamp) -> Result<Self, StoreError> {
        let mut sign_in = Self::begin(stored, None, None, now)?;
        let token_sha256 = token.sha256();
        sign_in.state = SignInState::SignedIn;
        sign_in.expires_at = now.plus(LIFE);
        let secret = GrantSecret::Refresh { refresh_token: token.refresh_token.clone() };
        sign_in.candidate = Some(Grant {
            send_client_secret: token.send_client_secret,
            taken_over: Some(token_sha256.clone()),
            app: stored.mailbox.app().cloned(),
            ..Grant::new(GrantWay::Imported, secret, now)
        });
        sign_in.imported = Some(Imported {
            token_sha256,
            app: stored.mailbox.app().cloned(),
            earlier: Vec::new(),
            accepted: false,
        });
        Ok(sign_in)
    }

    /// Whether it goes on without its user: a token is to be tried, its own or the app's.
    #[must_use]
    pub fn is_to_be_tried(&self) -> bool {
        let has_token = self.by_app || (self.imported.is_some() && self.candidate.is_some());
        has_token && self.accept_until.is_none() && !self.state.is_final()
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct TakeOverRow {
    sign_in: SignInId,
}

impl Store {
    /// The sign-in of the token that was handed in last for a mailbox.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn take_over(&self, mailbox: Incarnation) -> Result<Option<Row<SignIn>>, StoreError> {
        let named = self.row::<TakeOverRow>("take-over", &keys::take_over(mailbox))?;
        Ok(named.map(|row| self.sign_in(row.value.sign_in)).transpose()?.flatten())
    }

    /// Adds a token that is to be taken over to a commit, in place of one that still waits to be tried. `false`: it was
    /// handed in before, and nothing is added: by now it may have been replaced by another.
    ///
    /// # Errors
    /// As [`Store::take_over`]; the commit is a [`StoreError::Conflict`] if the earlier one is being tried meanwhile.
    pub fn add_take_over(
        &self,
        commit: &mut Commit,
        stored: &StoredMailbox,
        token: &TakeOver,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut sign_in = SignIn::taking_over(stored, token, now)?;
        let token_sha256 = token.sha256();
        let grant = self.grant(stored.incarnation)?;
        if grant.is_some_and(|row| row.value.taken_over.as_ref() == Some(&token_sha256)) {
            return Ok(false);
        }
        if let Some(mut earlier) = self.take_over(stored.incarnation)? {
            let known = earlier.value.imported.clone();
            if known.as_ref().is_some_and(|known| known.knows(&token_sha256)) {
                return Ok(false);
            }
            if let (Some(known), Some(imported)) = (known, &mut sign_in.imported) {
                let hashes = [known.token_sha256].into_iter().chain(known.earlier);
                imported.earlier = hashes.take(REMEMBERED).collect();
            }
            if earlier.value.candidate.take().is_some() {
                earlier.value.state = SignInState::Expired;
                earlier.value.accept_until = None;
                self.add_sign_in(commit, &earlier.value, earlier.generation)?;
            }
        }
        self.add_sign_in(commit, &sign_in, 0)?;
        let key = keys::take_over(stored.incarnation);
        let generation = self.row::<TakeOverRow>("take-over", &key)?.map_or(0, |row| row.generation);
        let payload = codec::to_json(&TakeOverRow { sign_in: sign_in.id })?;
        commit.ops.push(Op::Put { key, expect: expect_read(generation), payload });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{create, mailbox, open, runtime};

    fn token(text: &str) -> TakeOver {
        TakeOver { refresh_token: Secret::new(text), send_client_secret: true }
    }

    #[test]
    fn a_token_that_was_handed_in_before_is_known_whatever_became_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let hand_in = |text: &str| {
            let mut commit = Commit::of_mailbox(anna.incarnation);
            let is_new = store.add_take_over(&mut commit, &anna, &token(text), Timestamp(1)).unwrap();
            store.commit_blocking(commit).unwrap();
            is_new
        };
        let newest = || store.take_over(anna.incarnation).unwrap().unwrap();
        assert!(hand_in("a"));
        let first = newest().value;
        assert!(first.is_to_be_tried());
        assert!(!hand_in("a"));
        assert!(hand_in("b"));
        let superseded = store.sign_in(first.id).unwrap().unwrap().value;
        assert_eq!((superseded.state, superseded.candidate), (SignInState::Expired, None));
        let row = newest();
        let ended = SignIn { candidate: None, state: SignInState::Declined, ..row.value };
        runtime().block_on(store.put_sign_in(&ended, row.generation)).unwrap();
        assert!(!hand_in("b") && !hand_in("a"), "neither is sent again");
        assert!(hand_in("c"));
        assert_eq!(store.newest_sign_in(anna.incarnation).unwrap().unwrap().value.id, newest().value.id);
    }

    #[test]
    fn a_candidate_that_nobody_accepted_is_dropped_and_what_became_of_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let mut sign_in = SignIn::taking_over(&anna, &token("a"), Timestamp(1)).unwrap();
        sign_in.state = SignInState::WrongAccount;
        sign_in.accept_until = Some(Timestamp(100));
        let candidate = |now: i64| {
            runtime().block_on(store.forget_sign_ins(Timestamp(0), Timestamp(now))).unwrap();
            store.sign_in(sign_in.id).unwrap().unwrap().value.candidate
        };
        runtime().block_on(store.put_sign_in(&sign_in, 0)).unwrap();
        assert!(candidate(99).is_some());
        assert!(candidate(100).is_none());
        assert_eq!(store.sign_in(sign_in.id).unwrap().unwrap().value.state, SignInState::WrongAccount);
    }

    #[test]
    fn a_token_goes_with_its_mailbox() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let mut commit = Commit::of_mailbox(anna.incarnation);
        assert!(store.add_take_over(&mut commit, &anna, &token("a"), Timestamp(1)).unwrap());
        store.commit_blocking(commit).unwrap();
        assert_eq!(store.sign_ins().unwrap().len(), 1);
        runtime().block_on(store.delete_mailbox(&anna)).unwrap();
        assert_eq!(store.sign_ins().unwrap().len(), 0);
    }

    #[test]
    fn a_grant_knows_the_token_it_began_as() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let grant = SignIn::taking_over(&anna, &token("a"), Timestamp(1)).unwrap().candidate.unwrap();
        let mut commit = Commit::of_mailbox(anna.incarnation);
        store.put_grant(&mut commit, anna.incarnation, 0, &grant).unwrap();
        store.commit_blocking(commit).unwrap();
        let mut commit = Commit::of_mailbox(anna.incarnation);
        assert!(!store.add_take_over(&mut commit, &anna, &token("a"), Timestamp(2)).unwrap());
        assert!(store.add_take_over(&mut commit, &anna, &token("b"), Timestamp(2)).unwrap());
    }
}
