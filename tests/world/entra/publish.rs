//! Tokens that open mailboxes other than their user's own: delegates' and app-only ones. Introspection names one
//! user per token, so Dovecot learns of the others from a passwd-file per token, named by the token's SHA-256
//! and listing the mailboxes it opens. Files come and go with the tokens.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::serve::Site;
use super::state::{Access, State, sha256_hex};

/// Removes the files of tokens that expired by time.
pub async fn keep_current(site: std::sync::Weak<Site>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Some(site) = site.upgrade() else { return };
        site.state.lock().unwrap().publish();
    }
}

impl State {
    /// Brings the folder of token files up to the state.
    pub fn publish(&mut self) {
        let Some(dir) = self.options.token_dir.clone() else { return };
        let now = Instant::now();
        let mut wanted = BTreeSet::new();
        for (token, access) in self.access.iter().filter(|(_, access)| access.expires > now) {
            let mailboxes = self.others(access);
            if mailboxes.is_empty() {
                continue;
            }
            // The number of mailboxes in the name makes a token's file new when its rights change.
            let name = (sha256_hex(token.as_bytes()), mailboxes.len());
            if !self.published.contains(&name) {
                write(&dir, &name.0, token, &mailboxes);
            }
            wanted.insert(name);
        }
        let kept: BTreeSet<&String> = wanted.iter().map(|(name, _)| name).collect();
        for (name, _) in self.published.difference(&wanted).filter(|(name, _)| !kept.contains(name)) {
            let _ = std::fs::remove_file(dir.join(name));
        }
        self.published = wanted;
    }

    /// The mailboxes a token opens besides its user's own.
    fn others(&self, access: &Access) -> Vec<String> {
        match &access.user {
            Some(user) => self.options.delegates.get(user).into_iter().flatten().cloned().collect(),
            None if access.scopes.is_empty() => Vec::new(),
            None => {
                let tenant = |user: &&super::model::User| user.tenant_id == access.tenant_id;
                self.options.users.iter().filter(tenant).map(|user| user.address.clone()).collect()
            }
        }
    }
}

fn write(dir: &Path, name: &str, token: &str, mailboxes: &[String]) {
    let lines: String = mailboxes.iter().map(|mailbox| format!("{mailbox}:{{PLAIN}}{token}\n")).collect();
    let draft = dir.join(format!(".{name}"));
    std::fs::write(&draft, lines).unwrap();
    std::fs::rename(draft, dir.join(name)).unwrap();
}
