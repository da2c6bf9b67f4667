//! Everything the stand-in remembers during a run: codes, grants, tokens, device codes, the request log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::distr::Alphanumeric;
use serde::Serialize;

use super::model::{EntraOptions, Platform, Rotation};
use super::script::Scripted;

pub struct State {
    pub options: EntraOptions,
    pub codes: BTreeMap<String, Code>,
    pub grants: BTreeMap<u64, Grant>,
    /// Refresh token → its place in a grant.
    pub refresh: BTreeMap<String, Refresh>,
    pub access: BTreeMap<String, Access>,
    pub devices: BTreeMap<String, Device>,
    /// (tenant, client id) pairs an admin consented to.
    pub consents: BTreeSet<(String, String)>,
    pub script: VecDeque<Scripted>,
    pub log: Vec<LogEntry>,
    pub counts: BTreeMap<String, u64>,
    pub next_grant: u64,
    /// Every token ever given out, also those that were revoked.
    pub issued: Vec<String>,
    /// The token files written, each with its number of mailboxes.
    pub published: BTreeSet<(String, usize)>,
    pub started: Instant,
}

#[derive(Debug, Clone)]
pub struct Code {
    pub client_id: String,
    pub tenant: String,
    pub user: String,
    pub redirect_uri: String,
    pub platform: Platform,
    pub scopes: Vec<String>,
    pub nonce: Option<String>,
    pub challenge: Option<String>,
    pub issued: Instant,
    pub redeemed: bool,
}

/// One user's consent to one client, from which tokens descend.
#[derive(Debug, Clone, Serialize)]
pub struct Grant {
    pub id: u64,
    pub user: String,
    pub client_id: String,
    /// Whether the client has to prove itself when refreshing.
    pub platform: Platform,
    pub scopes: Vec<String>,
    pub revoked: bool,
    pub refreshes: u64,
}

#[derive(Debug, Clone)]
pub struct Refresh {
    pub grant: u64,
    pub successors: Vec<String>,
    pub superseded: Option<Instant>,
    pub used: bool,
}

#[derive(Debug, Clone)]
pub struct Access {
    /// None: app-only.
    pub user: Option<String>,
    pub tenant_id: String,
    pub client_id: String,
    pub scopes: Vec<String>,
    pub grant: Option<u64>,
    pub expires: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Pending,
    Approved(String),
    Declined,
}

#[derive(Debug, Clone)]
pub struct Device {
    pub client_id: String,
    pub user_code: String,
    pub scopes: Vec<String>,
    pub issued: Instant,
    pub decision: Decision,
}

/// One answered request. Milliseconds count from the stand-in's start.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LogEntry {
    pub endpoint: String,
    pub at_ms: u64,
    /// When a code or a refresh token was taken as used.
    pub consumed_at_ms: Option<u64>,
    pub answered_at_ms: Option<u64>,
    pub grant_type: Option<String>,
    pub client_id: Option<String>,
    pub user: Option<String>,
    pub refresh_token_sha256: Option<String>,
    pub issued_refresh_token_sha256: Option<String>,
    pub sent_secret: bool,
    pub sent_assertion: bool,
    /// `ok`, `AADSTS…`, `dropped`, or an HTTP status.
    pub result: String,
}

impl State {
    pub fn new(options: EntraOptions) -> Self {
        Self {
            options,
            codes: BTreeMap::new(),
            grants: BTreeMap::new(),
            refresh: BTreeMap::new(),
            access: BTreeMap::new(),
            devices: BTreeMap::new(),
            consents: BTreeSet::new(),
            script: VecDeque::new(),
            log: Vec::new(),
            counts: BTreeMap::new(),
            next_grant: 1,
            issued: Vec::new(),
            published: BTreeSet::new(),
            started: Instant::now(),
        }
    }

    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn add_grant(&mut self, user: &str, client_id: &str, platform: Platform, scopes: Vec<String>) -> u64 {
        let id = self.next_grant;
        self.next_grant += 1;
        let grant = Grant {
            id,
            user: user.into(),
            client_id: client_id.into(),
            platform,
            scopes,
            revoked: false,
            refreshes: 0,
        };
        self.grants.insert(id, grant);
        id
    }

    pub fn issue_refresh(&mut self, grant: u64) -> String {
        let token = format!("1.A{}", random_text(700));
        let refresh = Refresh { grant, successors: Vec::new(), superseded: None, used: false };
        self.refresh.insert(token.clone(), refresh);
        self.issued.push(token.clone());
        token
    }

    pub fn issue_access(&mut self, access: Access) -> String {
        let token = random_text(self.options.access_token_length.max(32));
        self.access.insert(token.clone(), access);
        self.issued.push(token.clone());
        self.publish();
        token
    }

    pub fn access_lifetime(&self) -> Duration {
        Duration::from_secs(self.options.access_token_seconds)
    }

    /// Takes `token` as used under the rotation in force; None when it is no longer good.
    pub fn consume_refresh(&mut self, token: &str) -> Option<u64> {
        let refresh = self.refresh.get(token)?.clone();
        let grant = self.grants.get(&refresh.grant).filter(|grant| !grant.revoked)?.id;
        if let Some(superseded) = refresh.superseded {
            match self.options.rotation {
                Rotation::Keep => {}
                Rotation::Grace => {
                    let successor_used = refresh
                        .successors
                        .iter()
                        .any(|next| self.refresh.get(next).is_some_and(|entry| entry.used));
                    if successor_used || superseded.elapsed() > Duration::from_secs(60) {
                        return None;
                    }
                }
                Rotation::Strict => {
                    self.revoke_grant(grant);
                    return None;
                }
            }
        }
        let entry = self.refresh.get_mut(token)?;
        entry.used = true;
        entry.superseded.get_or_insert_with(Instant::now);
        if let Some(grant) = self.grants.get_mut(&grant) {
            grant.refreshes += 1;
        }
        Some(grant)
    }

    pub fn revoke_grant(&mut self, id: u64) {
        if let Some(grant) = self.grants.get_mut(&id) {
            grant.revoked = true;
        }
        self.access.retain(|_, access| access.grant != Some(id));
        self.publish();
    }
}

pub fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

pub fn random_uuid() -> String {
    let bytes: [u8; 16] = rand::rng().random();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
