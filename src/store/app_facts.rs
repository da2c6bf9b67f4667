//! What was found out about an app, beside what was configured. Nothing of it is secret.

use super::commit::Op;
use super::mailboxes::expect_read;
use super::{Commit, Row, Store, StoreError, codec, keys};
use crate::domain::AppId;
use serde::{Deserialize, Serialize};

/// What was found out about an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppFacts {
    /// The id of the tenant that the app names by a domain, and that domain.
    pub tenant: Option<FoundTenant>,
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
        let payload = codec::to_json(&facts.value)?;
        let mut commit = Commit::default();
        commit.ops.push(Op::Put { key: keys::app_facts(id), expect: expect_read(facts.generation), payload });
        self.commit(commit).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::app::AppCredentials;
    use crate::domain::{App, ProviderKind};
    use crate::store::tests::{open, runtime};

    #[test]
    fn what_is_known_of_an_app_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let id = AppId::new("o365").unwrap();
        let app = App {
            id: id.clone(),
            provider: ProviderKind::Office365,
            tenant: None,
            client_id: String::from("c"),
            authority: None,
            scopes: None,
            domains: Vec::new(),
            secret_expires_at: None,
        };
        runtime().block_on(async {
            store.put_app(&AppCredentials { app, client_secret: None }, 0).await.unwrap();
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
