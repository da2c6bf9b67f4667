//! Verbs about apps. The whole row is sealed, client secret and private key included.

use crate::domain::app::AppCredentials;
use crate::domain::{App, AppId, ClientCertificate, Secret, ServiceAccount};
use crate::store::engine::{Commit, Expect, Op, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, keys, overflow};
use crate::store::handle::Store;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct AppRow {
    app: App,
    client_secret: Option<Secret>,
    #[serde(default)]
    certificate: Option<ClientCertificate>,
    #[serde(default)]
    service_account: Option<ServiceAccount>,
}

impl Store {
    /// All apps, by id.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn apps(&self) -> Result<Vec<Row<AppCredentials>>, StoreError> {
        let keys: Result<Vec<_>, _> = self.db().scan_prefix(keys::apps()).keys().collect();
        let read = |key: &sled::IVec| self.read_app(key).transpose();
        keys.map_err(StoreError::sled)?.iter().filter_map(read).collect()
    }

    /// An app; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn app(&self, id: &AppId) -> Result<Option<Row<AppCredentials>>, StoreError> {
        self.read_app(&keys::app(id))
    }

    /// How often an app was written; `None` if there is none of this id. Nothing is unsealed for it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn app_generation(&self, id: &AppId) -> Result<Option<u64>, StoreError> {
        let row = self.get(&keys::app(id))?;
        row.map(|bytes| Ok(overflow::head(&bytes)?.generation)).transpose()
    }

    fn read_app(&self, key: &[u8]) -> Result<Option<Row<AppCredentials>>, StoreError> {
        let row: Option<Row<AppRow>> = self.sealed_row("app", key)?;
        Ok(row.map(|Row { generation, value }| Row {
            generation,
            value: AppCredentials {
                app: value.app,
                client_secret: value.client_secret,
                certificate: value.certificate,
                service_account: value.service_account,
            },
        }))
    }

    /// Creates or replaces an app; `generation` is the one that was read, 0 for a new one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was changed meanwhile.
    pub async fn put_app(&self, credentials: &AppCredentials, generation: u64) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        self.add_app(&mut commit, credentials, generation)?;
        self.commit(commit).await.map(drop)
    }

    pub(in crate::store) fn add_app(
        &self,
        commit: &mut Commit,
        credentials: &AppCredentials,
        generation: u64,
    ) -> Result<(), StoreError> {
        let key = keys::app(&credentials.app.id);
        let AppCredentials { app, client_secret, certificate, service_account } = credentials.clone();
        let row = AppRow { app, client_secret, certificate, service_account };
        let payload = self.seal_json(&key, &row)?;
        commit.ops.push(Op::PutSealed { key, expect: expect_read(generation), payload });
        Ok(())
    }

    /// Deletes an app. Mailboxes that were on their way to it stay with the app they have.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was changed, or a mailbox arrived at it, meanwhile.
    pub async fn delete_app(&self, id: &AppId, generation: u64) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        commit.ops.push(Op::Delete { key: keys::app(id), expect: Expect::Generation(generation) });
        commit.ops.push(Op::Delete { key: keys::app_facts(id), expect: Expect::Any });
        commit.ops.push(Op::Delete { key: keys::rotation(id), expect: Expect::Any });
        self.end_moves_to(&mut commit, id)?;
        self.commit(commit).await.map(drop)
    }
}
