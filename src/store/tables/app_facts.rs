//! What was found out about an app, beside what was configured. Nothing of it is secret.

use crate::domain::app::{AppCredentials, Registration};
use crate::domain::{App, AppId, Diagnosis, Timestamp};
use crate::events::{EventDraft, EventType, expiry};
use crate::store::engine::{Commit, Op, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, codec, keys};
use crate::store::handle::Store;
use serde::{Deserialize, Serialize};

/// What was found out about an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppFacts {
    /// The id of the tenant that the app names by a domain, and that domain.
    pub tenant: Option<FoundTenant>,
    /// Which end of its client secret was told last, and how many days ahead.
    pub told: Option<ToldExpiry>,
    /// That the provider sent somebody back to our redirect URI.
    pub redirect: Option<Proof>,
    /// What became of the consent.
    pub consent: Option<Proof>,
}

/// By what something was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvedBy {
    /// The consent link came back.
    AdminConsent,
    /// A sign-in that stored nothing.
    TrialSignIn,
    /// A user's sign-in.
    SignIn,
}

/// What somebody's return from the provider proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When.
    pub at: Timestamp,
    /// Of which registration.
    pub registration: Registration,
    /// At which redirect URI.
    pub redirect_uri: String,
    /// By what.
    pub how: ProvedBy,
    /// What was wrong; `None`: nothing.
    pub diagnosis: Option<Diagnosis>,
}

impl Proof {
    /// Whether it is about the app as it is now.
    #[must_use]
    pub fn is_about(&self, app: &App) -> bool {
        self.registration == Registration::of(app)
    }

    /// Whether it proves that all is well with the app as it is now, and with this redirect URI.
    #[must_use]
    pub fn is_good_for(&self, app: &App, redirect_uri: &str) -> bool {
        self.is_about(app) && self.diagnosis.is_none() && self.redirect_uri == redirect_uri
    }
}

/// The end of a client secret that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldExpiry {
    /// When it ends.
    pub expires_at: Timestamp,
    /// One of [`expiry::DAYS_AHEAD`].
    pub days: u32,
}

/// A tenant, as its metadata document told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTenant {
    /// What the app called it.
    pub named: String,
    /// Its id.
    pub id: String,
}

impl Store {
    /// What was found out about an app; nothing yet if there is no such row.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn app_facts(&self, id: &AppId) -> Result<Row<AppFacts>, StoreError> {
        let row = self.row("app facts", &keys::app_facts(id))?;
        Ok(row.unwrap_or_else(|| Row { generation: 0, value: AppFacts::default() }))
    }

    /// Keeps what was found out, over the row that was read with this generation.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was changed meanwhile.
    pub async fn put_app_facts(&self, id: &AppId, facts: &Row<AppFacts>) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        add(&mut commit, id, facts)?;
        self.commit(commit).await.map(drop)
    }

    /// Changes what is known of an app, whoever else does at the same time. Of an app that is gone nothing is kept.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub async fn change_app_facts(
        &self,
        id: &AppId,
        change: impl Fn(&mut AppFacts),
    ) -> Result<(), StoreError> {
        loop {
            if self.app(id)?.is_none() {
                return Ok(());
            }
            let mut facts = self.app_facts(id)?;
            change(&mut facts.value);
            match self.put_app_facts(id, &facts).await {
                Err(StoreError::Conflict) => {}
                other => return other,
            }
        }
    }

    /// Tells, as events, which apps' client secrets end soon: each of [`expiry::DAYS_AHEAD`] once. How many were told.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Vault`] or [`StoreError::Io`].
    pub async fn tell_expiring_secrets(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut count = 0;
        for AppCredentials { app, certificate, service_account, .. } in
            self.apps()?.into_iter().map(|row| row.value)
        {
            let Some(expires_at) = app.secret_expires_at else { continue };
            let mut facts = self.app_facts(&app.id)?;
            let told = facts.value.told.filter(|told| told.expires_at == expires_at).map(|told| told.days);
            let Some(days) = expiry::due(expires_at, now, told) else { continue };
            facts.value.told = Some(ToldExpiry { expires_at, days });
            let mut commit = Commit::default();
            add(&mut commit, &app.id, &facts)?;
            let kind = match (certificate, service_account) {
                (Some(_), _) => "client_certificate",
                (None, Some(_)) => "service_account",
                (None, None) => "client_secret",
            };
            let data = serde_json::json!({"app": app.id, "client_id": app.client_id, "kind": kind,
                "expires_at": expires_at,
                "days_left": expiry::days_left(expires_at, now), "days_ahead": days});
            commit.event(EventDraft::of_no_mailbox(EventType::AppSecretExpiring, now, &data));
            match self.commit(commit).await {
                Ok(_) => count += 1,
                // looked at again in an hour
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}

fn add(commit: &mut Commit, id: &AppId, facts: &Row<AppFacts>) -> Result<(), StoreError> {
    let payload = codec::to_json(&facts.value)?;
    commit.ops.push(Op::Put { key: keys::app_facts(id), expect: expect_read(facts.generation), payload });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Cursor;
    use crate::store::tests::{open, runtime};

    fn app(secret_expires_at: Option<Timestamp>) -> AppCredentials {
        App { secret_expires_at, ..App::plain("o365") }.with_secret(None)
    }

    #[test]
    fn the_end_of_a_secret_is_told_once_and_a_new_secret_s_again() {
        const DAY: i64 = 24 * 3600 * 1000;
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let now = |day: i64| Timestamp(day * DAY);
        let tell = |store: &Store, day| runtime().block_on(store.tell_expiring_secrets(now(day))).unwrap();
        runtime().block_on(store.put_app(&app(None), 0)).unwrap();
        assert_eq!(tell(&store, 0), 0, "an unknown end is not told");
        runtime().block_on(store.put_app(&app(Some(now(40))), 1)).unwrap();
        assert_eq!((tell(&store, 0), tell(&store, 1)), (1, 0));
        drop(store);
        store = open(dir.path());
        assert_eq!((tell(&store, 2), tell(&store, 10), tell(&store, 11)), (0, 1, 0));
        runtime().block_on(store.put_app(&app(Some(now(60))), 2)).unwrap();
        assert_eq!(tell(&store, 11), 1, "another secret");
        let events = store.events_after(Cursor(0), 10, |_| true).unwrap().0;
        let told: Vec<_> = events.iter().map(|event| event.data["days_ahead"].as_u64().unwrap()).collect();
        assert_eq!(told, [60, 30, 60]);
        assert!(
            events.iter().all(|event| event.kind == EventType::AppSecretExpiring && event.mailbox.is_none())
        );
        assert_eq!(events[0].data["days_left"], 40);
    }

    #[test]
    fn what_is_known_of_an_app_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let id = AppId::new("o365").unwrap();
        runtime().block_on(async {
            store.put_app(&app(None), 0).await.unwrap();
            let mut facts = store.app_facts(&id).unwrap();
            let tenant = FoundTenant { named: String::from("makler.example"), id: String::from("t") };
            facts.value.tenant = Some(tenant);
            store.put_app_facts(&id, &facts).await.unwrap();
            assert!(matches!(store.put_app_facts(&id, &facts).await, Err(StoreError::Conflict)));
            assert_eq!(store.app_facts(&id).unwrap().value, facts.value);
            store.delete_app(&id, 1).await.unwrap();
        });
        assert_eq!(store.app_facts(&id).unwrap().generation, 0, "a re-created id meets no old facts");
    }
}
