//! Verbs about sign-ins under way: sealed, because they hold the PKCE verifier.

use super::mailboxes::StoredMailbox;
use crate::domain::ids::SignInId;
use crate::domain::{
    AppId, Auth, Diagnosis, Grant, GrantWay, Incarnation, Mailbox, MailboxId, Secret, SignedInAs, Timestamp,
};
use crate::events::{EventDraft, EventType};
use crate::store::crypto::{Vault, random_text};
use crate::store::engine::{Commit, Expect, Op, commit, overlay, upgrade};
use crate::store::error::StoreError;
use crate::store::format::{Row, keys, overflow};
use crate::store::handle::Store;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where a sign-in stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInState {
    /// Nobody opened the link.
    Waiting,
    /// The user was sent to the provider.
    Opened,
    /// He is back, the code is being redeemed.
    SignedIn,
    /// The mailbox is being tried.
    Probing,
    /// The grant is in place.
    Done,
    /// Somebody else signed in.
    WrongAccount,
    /// The user or provider declined.
    Declined,
    /// An administrator has to act first.
    NeedsAdmin,
    /// Too late.
    Expired,
}

impl SignInState {
    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Expired => true,
            Self::Waiting
            | Self::Opened
            | Self::SignedIn
            | Self::Probing
            | Self::WrongAccount
            | Self::Declined
            | Self::NeedsAdmin => false,
        }
    }
}

/// What is kept of a token beside the token itself, which is replaced whenever it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// SHA-256 of it as it was handed in, in hex.
    pub token_sha256: String,
    /// The app that it was issued to.
    #[serde(default)]
    pub app: Option<AppId>,
    /// Those of tokens that were handed in for this mailbox before.
    #[serde(default)]
    pub earlier: Vec<String>,
    /// An administrator accepts whose it is, though he is somebody else.
    #[serde(default)]
    pub accepted: bool,
}

/// A sign-in as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignIn {
    /// Its id.
    pub id: SignInId,
    /// For which mailbox.
    pub mailbox: MailboxId,
    /// For which life of it.
    pub incarnation: Incarnation,
    /// The secret in the personal link.
    pub link_token: Secret,
    /// OAuth `state`, PKCE verifier and nonce of the newest visit to the provider.
    pub attempt: Option<Attempt>,
    /// Where it stands.
    pub state: SignInState,
    /// Where the user goes afterwards.
    pub return_to: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who signed in, where that is known.
    pub signed_in_as: Option<SignedInAs>,
    /// Why it did not work.
    pub diagnosis: Option<Diagnosis>,
    /// The language its pages are shown in, if one was asked for.
    #[serde(default)]
    pub language: Option<String>,
    /// The grant that came with the code: durable from before it is tried until it is in place or refused.
    #[serde(default)]
    pub candidate: Option<Grant>,
    /// The ways that are offered, the first one most; empty: those that work for the installation.
    #[serde(default)]
    pub ways: Vec<GrantWay>,
    /// A device code that is being polled with.
    #[serde(default)]
    pub device: Option<DeviceAttempt>,
    /// Until then an administrator may accept the candidate of somebody else of the same tenant.
    #[serde(default)]
    pub accept_until: Option<Timestamp>,
    /// Its candidate is a refresh token of another system.
    #[serde(default)]
    pub imported: Option<Imported>,
    /// By which app; `None`: the mailbox's own. Another one becomes the mailbox's own with the grant.
    #[serde(default)]
    pub app: Option<AppId>,
    /// Nobody signs in: that app itself opens the mailbox.
    #[serde(default)]
    pub by_app: bool,
    /// What the provider demanded of the next visit when it refused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
}

/// A device code under way (RFC 8628), kept so that a restart goes on polling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAttempt {
    /// What is polled with.
    pub device_code: Secret,
    /// What the user types in.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Between two polls, in seconds; a server may ask for more.
    pub interval: u64,
    /// Whether polls carry the client secret: a registration may demand it.
    pub send_client_secret: bool,
    /// For which app it was made.
    #[serde(default)]
    pub app: Option<AppId>,
}

/// One visit to the provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// OAuth `state`.
    pub state: Secret,
    /// PKCE verifier (RFC 7636).
    pub verifier: Secret,
    /// OpenID `nonce`.
    pub nonce: Secret,
    /// The redirect URI that was sent.
    pub redirect_uri: String,
    /// Through which app: what comes back is no other's.
    #[serde(default)]
    pub app: Option<AppId>,
    /// By what the browser in which it began is known again; `None`: it may come back by any.
    #[serde(default)]
    pub browser: Option<String>,
}

/// How long a link can be used.
const LINK_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

impl SignIn {
    /// A new sign-in, to be stored.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the system gives no randomness.
    pub fn begin(
        stored: &StoredMailbox,
        return_to: Option<String>,
        language: Option<String>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let id = SignInId::generate();
        Ok(Self {
            id,
            mailbox: stored.mailbox.id.clone(),
            incarnation: stored.incarnation,
            link_token: with_id(id)?,
            attempt: None,
            state: SignInState::Waiting,
            return_to,
            expires_at: now.plus(LINK_LIFE),
            signed_in_as: None,
            diagnosis: None,
            language,
            candidate: None,
            ways: Vec::new(),
            device: None,
            accept_until: None,
            imported: None,
            app: None,
            by_app: false,
            claims: None,
        })
    }

    /// The app by which it signs in for a mailbox.
    #[must_use]
    pub fn app_for<'a>(&'a self, mailbox: &'a Mailbox) -> Option<&'a AppId> {
        self.app.as_ref().or_else(|| mailbox.app())
    }

    /// Whether what a user began through `app` still counts for a mailbox: an answer to one client is no other's, and
    /// a mailbox that takes no sign-ins has no use for it.
    #[must_use]
    pub fn counts_for(&self, mailbox: &Mailbox, app: Option<&AppId>) -> bool {
        matches!(mailbox.auth, Auth::Oauth { .. })
            && app.is_none_or(|begun_by| self.app_for(mailbox) == Some(begun_by))
    }

    /// Whether somebody may begin it, or begin it anew, instead of another like it.
    #[must_use]
    pub fn serves_as(&self, other: &Self, now: Timestamp) -> bool {
        let is_free = matches!(self.state, SignInState::Waiting | SignInState::Opened)
            && (self.candidate.is_none() && self.imported.is_none() && !self.by_app)
            && now < self.expires_at;
        let is_like = (self.incarnation, &self.return_to, &self.language, &self.ways, &self.app)
            == (other.incarnation, &other.return_to, &other.language, &other.ways, &other.app);
        is_free && is_like
    }

    /// What tells the application that there is one: never the link.
    #[must_use]
    pub fn told_as(&self, kind: EventType, now: Timestamp) -> EventDraft {
        let data = serde_json::json!({"sign_in": self.id, "expires_at": self.expires_at});
        EventDraft::new(kind, &self.mailbox, now, &data)
    }
}

/// A random text that tells which sign-in it belongs to.
pub(crate) fn with_id(id: SignInId) -> Result<Secret, StoreError> {
    Ok(Secret::new(format!("{id}.{}", random_text()?.expose())))
}

impl Store {
    /// A sign-in; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn sign_in(&self, id: SignInId) -> Result<Option<Row<SignIn>>, StoreError> {
        self.sealed_row("sign-in", &keys::sign_in(id))
    }

    /// Creates or replaces a sign-in; `generation` is the one that was read, 0 for a new one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was changed meanwhile.
    pub async fn put_sign_in(&self, sign_in: &SignIn, generation: u64) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        self.add_sign_in(&mut commit, sign_in, generation)?;
        self.commit(commit).await.map(drop)
    }

    /// Adds a sign-in to a commit.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it cannot be sealed.
    pub fn add_sign_in(
        &self,
        commit: &mut Commit,
        sign_in: &SignIn,
        generation: u64,
    ) -> Result<(), StoreError> {
        let key = keys::sign_in(sign_in.id);
        let payload = self.seal_json(&key, sign_in)?;
        let expect = commit::expect_read(generation);
        commit.ops.push(Op::PutSealed { key, expect, payload });
        if generation == 0 {
            let key = keys::sign_in_of(sign_in.incarnation, sign_in.id);
            commit.ops.push(Op::Set { key, value: Vec::new() });
        }
        // a refresh token that reached us is written as long as there is any room
        commit.vital |= sign_in.candidate.is_some();
        Ok(())
    }

    /// All sign-ins, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn sign_ins(&self) -> Result<Vec<Row<SignIn>>, StoreError> {
        self.ids(keys::sign_ins()).filter_map(|id| id.and_then(|id| self.sign_in(id)).transpose()).collect()
    }

    /// The sign-ins that keys of this prefix end with, in their order.
    fn ids(&self, prefix: keys::Key) -> impl DoubleEndedIterator<Item = Result<SignInId, StoreError>> + '_ {
        self.db().scan_prefix(prefix).keys().map(|key| {
            let id = keys::trailing_ulid(&key.map_err(StoreError::sled)?);
            id.map(SignInId).ok_or_else(|| StoreError::corrupt("a sign-in key"))
        })
    }

    /// The sign-ins of one mailbox, newest first.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`], each by itself.
    pub fn sign_ins_of(
        &self,
        mailbox: Incarnation,
    ) -> impl Iterator<Item = Result<Row<SignIn>, StoreError>> + '_ {
        let ids = self.ids(keys::sign_ins_of(mailbox)).rev();
        ids.filter_map(|id| id.and_then(|id| self.sign_in(id)).transpose())
    }

    /// Adds the removal of a mailbox's sign-ins to a commit.
    pub(in crate::store) fn remove_sign_ins_of(
        &self,
        commit: &mut Commit,
        mailbox: Incarnation,
    ) -> Result<(), StoreError> {
        for id in self.ids(keys::sign_ins_of(mailbox)) {
            commit.remove_sign_in(mailbox, id?);
        }
        Ok(())
    }

    /// The newest sign-in of a mailbox, of whatever kind.
    ///
    /// # Errors
    /// As [`Store::sign_ins_of`].
    pub fn newest_sign_in(&self, mailbox: Incarnation) -> Result<Option<Row<SignIn>>, StoreError> {
        self.sign_ins_of(mailbox).next().transpose()
    }

    /// Removes sign-ins that ended before `before` or whose mailbox is gone, and the candidates that nobody accepted in
    /// time.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`]; [`StoreError::Conflict`] if one was changed meanwhile.
    pub async fn forget_sign_ins(&self, before: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let store = self.clone();
        // thousands are unsealed
        let read = tokio::task::spawn_blocking(move || store.sign_ins()).await;
        let mut commit = Commit::default();
        for Row { generation, value: mut sign_in } in read.map_err(|_| StoreError::Closed)?? {
            let is_orphan = self.get(&keys::incarnation(sign_in.incarnation))?.is_none();
            if is_orphan || sign_in.expires_at < before {
                commit.remove_sign_in(sign_in.incarnation, sign_in.id);
            } else if sign_in.accept_until.is_some_and(|until| until <= now) {
                sign_in.candidate = None;
                sign_in.accept_until = None;
                self.add_sign_in(&mut commit, &sign_in, generation)?;
            }
        }
        if commit.is_empty() { Ok(()) } else { self.commit(commit).await.map(drop) }
    }
}

/// Lists the sign-ins of each mailbox, in a store that never did.
pub(in crate::store) fn index_once(db: &sled::Db, vault: &Vault) -> Result<(), StoreError> {
    upgrade::once(db, keys::meta("sign_ins_of"), keys::sign_ins(), |key, row| {
        let piece = |key: &[u8]| overlay::View::get(db, key);
        let row: Option<Row<SignIn>> = overflow::unseal("sign-in", (vault, key), row, piece)?;
        Ok(row.map(|row| keys::sign_in_of(row.value.incarnation, row.value.id)))
    })
}

impl Commit {
    fn remove_sign_in(&mut self, mailbox: Incarnation, id: SignInId) {
        for key in [keys::sign_in(id), keys::sign_in_of(mailbox, id)] {
            self.ops.push(Op::Delete { key, expect: Expect::Any });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{create, mailbox, open, runtime};

    #[test]
    fn a_sign_in_is_forgotten_with_its_mailbox() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        runtime().block_on(async {
            let [anna, ben] = ["anna", "ben"].map(mailbox);
            let anna = create(&store, anna, None).unwrap();
            let ben = create(&store, ben, None).unwrap();
            for stored in [&anna, &ben] {
                let sign_in = SignIn::begin(stored, None, None, Timestamp(1)).unwrap();
                store.put_sign_in(&sign_in, 0).await.unwrap();
            }
            store.delete_mailbox(&anna).await.unwrap();
            create(&store, mailbox("anna"), None).unwrap();
            store.forget_sign_ins(Timestamp(0), Timestamp(1)).await.unwrap();
        });
        let left: Vec<_> = store.sign_ins().unwrap().into_iter().map(|row| row.value.mailbox).collect();
        assert_eq!(left.iter().map(MailboxId::as_str).collect::<Vec<_>>(), ["ben"]);
    }
}
