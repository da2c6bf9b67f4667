//! Verbs about the replacement of an app's credential. The one before is kept sealed until the new one is proven, so
//! that going back to it is one commit.

use crate::domain::app::AppCredentials;
use crate::domain::{App, AppId, Credential, Diagnosis, Rotation, RotationState, Timestamp};
use crate::events::{EventDraft, EventType};
use crate::store::engine::{Commit, Expect, Op, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, keys};
use crate::store::handle::Store;
use serde_json::json;

/// What a change of an app means for its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It is the same; a rotation goes on.
    Nothing,
    /// It is a new one, to be tried; this one is kept until then.
    OnTrial(Box<Credential>),
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
        for key in keys.map_err(StoreError::sled)? {
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
                let previous = Some(proven.unwrap_or(*previous));
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
    /// [`StoreError::Conflict`] if the app or its rotation is not the one that was read: the two are read one after
    /// the other, and the rotation may be that of a newer credential than the app's.
    pub async fn prove_rotation(
        &self,
        app: &Row<AppCredentials>,
        read: &Row<Rotation>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let App { id, client_id, secret_expires_at, .. } = &app.value.app;
        let mut commit = Commit::default();
        commit.ops.push(Op::Require { key: keys::app(id), expect: Expect::Generation(app.generation) });
        let rotation = Rotation { state: RotationState::Proven, since: now, diagnosis: None, previous: None };
        self.add_rotation(&mut commit, id, &rotation, Some(read))?;
        let data = json!({"app": id, "client_id": client_id, "expires_at": secret_expires_at});
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
        commit.ops.push(Op::PutSealed { key, expect, payload });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Facts, catalogue, describe};
    use crate::domain::{ClientCertificate, Secret};
    use crate::events::Cursor;
    use crate::store::tests::{open, runtime};
    use base64::Engine;

    const NOW: Timestamp = Timestamp(1_795_460_342_000);

    /// With a key of the longest kind: RSA of 4096 bits has 3,272 letters as PEM.
    fn app(seed: u8) -> AppCredentials {
        let mut bytes = [seed; 2400];
        let mut state = u32::from(seed).wrapping_add(1);
        for byte in &mut bytes {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
        let key = base64::engine::general_purpose::STANDARD.encode(bytes);
        let app = App {
            tenant: Some(String::from("6b5a1d2e-0c1f-4c52-9a77-2f0d3a5b7c11")),
            client_id: String::from("11111111-aaaa-4bbb-8ccc-000000000001"),
            domains: vec![String::from("makler.example")],
            secret_expires_at: Some(NOW),
            ..App::plain("o365")
        };
        let certificate = Some(ClientCertificate {
            private_key: Secret::new(key),
            thumbprint: "A".repeat(40),
            x5t_s256: "b".repeat(43),
            not_after: NOW,
            subject: "CN=Stafette, O=Makler".repeat(9),
        });
        AppCredentials { certificate, ..app.with_secret(None) }
    }

    #[test]
    fn the_longest_key_of_a_service_account_fits() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let key = |seed| {
            let mut app = app(seed);
            let pem = app.certificate.take().unwrap().private_key;
            let lines: Vec<&str> =
                pem.expose().as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let pem =
                format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
            app.service_account = Some(crate::domain::ServiceAccount {
                client_email: String::from(
                    "a-name-of-thirty-letters-at-all@a-project-of-thirty-letters-1.iam.gserviceaccount.com",
                ),
                client_id: String::from("113000000000000000017"),
                private_key_id: "0".repeat(40),
                private_key: Secret::new(pem),
            });
            app
        };
        runtime().block_on(async {
            store.put_app(&key(0), 0).await.unwrap();
            let on_trial = Replaced::OnTrial(Box::new(key(0).credential()));
            store.replace_app(&key(1), 1, on_trial, NOW).await.unwrap();
        });
        assert!(store.app(&key(0).app.id).unwrap().unwrap().value.credential().is_same(&key(1).credential()));
    }

    #[test]
    fn an_answer_to_the_credential_before_proves_nothing_of_the_one_that_came_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let id = app(0).app.id;
        runtime().block_on(async {
            store.put_app(&app(0), 0).await.unwrap();
            // whoever has the answer reads the app, then its rotation; another credential comes in between
            let read = store.app(&id).unwrap().unwrap();
            let on_trial = Replaced::OnTrial(Box::new(app(0).credential()));
            store.replace_app(&app(1), 1, on_trial, NOW).await.unwrap();
            let rotation = store.rotation(&id).unwrap().unwrap();
            let proven = store.prove_rotation(&read, &rotation, NOW).await;
            assert!(matches!(proven, Err(StoreError::Conflict)), "{proven:?}");
            assert_eq!(store.apps_on_trial().unwrap(), [(id.clone(), NOW)], "the good one is kept");
            let read = store.app(&id).unwrap().unwrap();
            store.prove_rotation(&read, &rotation, NOW).await.unwrap();
        });
        assert!(store.apps_on_trial().unwrap().is_empty());
    }

    #[test]
    fn the_longest_keys_fit_and_a_refused_one_makes_room_for_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let id = app(0).app.id;
        let run = runtime();
        run.block_on(async {
            store.put_app(&app(0), 0).await.unwrap();
            let on_trial = |number| Replaced::OnTrial(Box::new(app(number).credential()));
            store.replace_app(&app(1), 1, on_trial(0), NOW).await.unwrap();
            store.replace_app(&app(2), 2, on_trial(1), NOW).await.unwrap();
        });
        drop(store);
        store = open(dir.path());
        assert_eq!(store.apps_on_trial().unwrap(), [(id.clone(), NOW)]);
        let rotation = store.rotation(&id).unwrap().unwrap();
        assert!(rotation.value.on_trial().unwrap().is_same(&app(0).credential()), "the last proven one");
        let refused = describe(&catalogue::APP_CERTIFICATE, &Facts::default(), None);
        let read = store.app(&id).unwrap().unwrap();
        run.block_on(async {
            store.roll_back(&read, &rotation, refused.clone(), NOW).await.unwrap();
            let again = store.roll_back(&read, &rotation, refused, NOW).await;
            assert!(matches!(again, Err(StoreError::Conflict)), "once");
        });
        assert!(store.app(&id).unwrap().unwrap().value.credential().is_same(&app(0).credential()));
        let rotation = store.rotation(&id).unwrap().unwrap();
        assert_eq!((rotation.value.state, &rotation.value.previous), (RotationState::RolledBack, &None));
        assert!(store.apps_on_trial().unwrap().is_empty());
        let told = store.events_after(Cursor(0), 10, |_| true).unwrap().0;
        assert_eq!(told.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventType::AppSecretRolledBack]);
        run.block_on(store.delete_app(&id, 4)).unwrap();
        assert!(store.rotation(&id).unwrap().is_none(), "it goes with its app");
    }
}
