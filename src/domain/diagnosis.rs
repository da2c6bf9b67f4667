//! What is wrong, in words a person can act on.

use super::Timestamp;
use serde::{Deserialize, Serialize};

/// A finding about a mailbox, an app or a request, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Stable name of the cause, e.g. `smtp_auth_disabled_tenant`.
    pub code: String,
    /// One sentence: what is wrong.
    pub summary: String,
    /// Who has to act.
    pub who: Who,
    /// What he has to do.
    pub remedy: Remedy,
    /// Whether it goes away by itself.
    pub retry: RetryClass,
    /// The server's own words, shortened, never with a secret in them.
    pub evidence: Option<String>,
    /// When it was first seen.
    pub since: Option<Timestamp>,
    /// What its texts were filled with: kept in the store, so that they can be made in another language. Never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<KeptFacts>>,
}

impl Diagnosis {
    /// Without what is not shown.
    #[must_use]
    pub fn without_facts(&self) -> Self {
        Self { facts: None, ..self.clone() }
    }
}

/// What a diagnosis' texts were filled with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptFacts {
    /// The mailbox's address.
    pub address: String,
    /// The server spoken to.
    pub host: String,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Tenant id or domain.
    pub tenant: String,
    /// Where Entra ID's pages of the app's cloud are.
    pub login: String,
    /// The app's client id.
    pub client_id: String,
    /// Whatever a single entry speaks of.
    pub detail: String,
}

/// What to do about a diagnosis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// In a sentence or two.
    pub text: String,
    /// The clicks, in order.
    pub clicks: Vec<String>,
    /// The commands, filled in.
    pub commands: Vec<String>,
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The mailbox's user.
    User,
    /// An administrator of the tenant.
    TenantAdmin,
    /// Who registered the app.
    AppOwner,
    /// Who runs this daemon.
    Operator,
    /// The mail or identity provider.
    Provider,
    /// Nobody: it passes.
    Nobody,
}

/// Whether a finding goes away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    /// Tried again without anybody acting.
    Auto,
    /// Tried again after somebody acted (and now and then on suspicion).
    AfterFix,
    /// Never tried again.
    Never,
}
