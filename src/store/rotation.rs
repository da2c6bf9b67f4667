//! Verbs about the replacement of an app's credential. The one before is kept sealed until the new one is proven, so
//! that going back to it is one commit.

use super::commit::{Expect, Op};
use super::committer::sled_error;
use super::mailboxes::expect_read;
use super::{Commit, Row, Store, StoreError, keys};
use crate::domain::app::AppCredentials;
use crate::domain::{AppId, Credential, Diagnosis, Rotation, RotationState, Timestamp};
use crate::events::{EventDraft, EventType};
use serde_json::json;

/// What a change of an app means for its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It is the same; a rotation goes on.
    Nothing,
    /// It is a new one, to be tried; this one is kept until then.
    OnTrial(Credential),
    /// There is nothing to go back to.
    ForGood,
}

impl Store {
    /// The last replacement of an app's credential, if there was one.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn rotation(&self, app: &AppId) -> Result<Option<Row<Rotation>>, StoreError> {
        self.sealed_row("rotation", &keys::rotation(app))
    }

    /// The apps whose new credential is unproven.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn apps_on_trial(&self) -> Result<Vec<(AppId, Timestamp)>, StoreError> {
        let keys: Result<Vec<_>, _> = self.db().scan_prefix(keys::rotations()).keys().collect();
        let mut found = Vec::new();
        for key in keys.map_err(sled_error)? {
            let row: Option<Row<Rotation>> = self.sealed_row("rotation", &key)?;
            let Some(rotation) = row.map(|row| row.value).filter(|rotation| rotation.on_trial().is_some())
            else {
                continue;
            };
            let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok());
            found.extend(name.and_then(|name| AppId::new(name).ok()).map(|id| (id, rotation.since)));
        }
        Ok(found)
    }

    /// Replaces an app that was read with this generation.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it, or its rotation, was changed meanwhile.
    pub async fn replace_app(
        &self,
        app: &AppCredentials,
        generation: u64,
        replaced: Replaced,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        self.add_app(&mut commit, app, generation)?;
        let known = self.rotation(&app.app.id)?;
        match replaced {
            Replaced::Nothing => {}
            Replaced::ForGood => {
                let key = keys::rotation(&app.app.id);
                commit.ops.push(Op::Delete { key, expect: Expect::Any });
            }
            Replaced::OnTrial(previous) => {
                // the last one that was taken, not one that was replaced before it was tried
                let proven = known.as_ref().and_then(|row| row.value.on_trial()).cloned();
                let previous = Some(proven.unwrap_or(previous));
                let rotation =
                    Rotation { state: RotationState::Trying, since: now, diagnosis: None, previous };
                self.add_rotation(&mut commit, &app.app.id, &rotation, known.as_ref())?;
            }
        }
        self.commit(commit).await.map(drop)
    }

    /// The new credential was taken: the one before is erased.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the rotation is not the one that was read.
    pub async fn prove_rotation(
        &self,
        app: &AppCredentials,
        read: &Row<Rotation>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        let rotation = Rotation { state: RotationState::Proven, since: now, diagnosis: None, previous: None };
        self.add_rotation(&mut commit, &app.app.id, &rotation, Some(read))?;
        let data = json!({"app": app.app.id, "client_id": app.app.client_id,
            "expires_at": app.app.secret_expires_at});
        commit.event(EventDraft::of_no_mailbox(EventType::AppSecretRotated, now, &data));
        commit.vital = true;
        self.commit(commit).await.map(drop)
    }

    /// The new credential was refused: the one before is in place again, in one commit.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the app or its rotation is not the one that was read.
    pub async fn roll_back(
        &self,
        app: &Row<AppCredentials>,
        read: &Row<Rotation>,
        diagnosis: Diagnosis,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(previous) = read.value.on_trial().cloned() else { return Err(StoreError::Conflict) };
        let id = &app.value.app.id;
        let data = json!({"app": id, "client_id": app.value.app.client_id, "diagnosis": diagnosis});
        let mut commit = Commit::default();
        self.add_app(&mut commit, &app.value.clone().with_credential(previous), app.generation)?;
        let rotation = Rotation {
            state: RotationState::RolledBack,
            since: now,
            diagnosis: Some(diagnosis),
            previous: None,
        };
        self.add_rotation(&mut commit, id, &rotation, Some(read))?;
        commit.event(EventDraft::of_no_mailbox(EventType::AppSecretRolledBack, now, &data));
        commit.vital = true;
        self.commit(commit).await.map(drop)
    }

    /// Ends the trial of a credential that nobody could prove: the one before is erased all the same.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the rotation is not the one that was read.
    pub async fn end_rotation(&self, app: &AppId, read: &Row<Rotation>) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        commit.ops.push(Op::Delete { key: keys::rotation(app), expect: Expect::Generation(read.generation) });
        self.commit(commit).await.map(drop)
    }

    fn add_rotation(
        &self,
        commit: &mut Commit,
        app: &AppId,
        rotation: &Rotation,
        read: Option<&Row<Rotation>>,
    ) -> Result<(), StoreError> {
        let key = keys::rotation(app);
        let payload = self.seal_json(&key, rotation)?;
        let expect = expect_read(read.map_or(0, |row| row.generation));
        commit.ops.push(Op::Put { key, expect, payload });
        Ok(())
    }
}
