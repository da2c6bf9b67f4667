//! Server texts and AADSTS codes become diagnoses here: pure and table-driven. Each table row points at an
//! [`Entry`] of the catalogue, which holds every word a person reads.

pub mod catalogue;
mod evidence;
mod imap;
mod oauth;
mod smtp;

pub use catalogue::{Entry, Text};
pub use evidence::scrub;
pub use imap::{ImapFinding, imap};
pub use oauth::{OauthClass, OauthFailure, classify_oauth};
pub use smtp::{SmtpFinding, SmtpScope, smtp};

use crate::domain::{Diagnosis, Remedy};

/// What is filled into the catalogue's texts. An empty fact leaves its name in angle brackets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The mailbox's address.
    pub address: &'a str,
    /// The server spoken to.
    pub host: &'a str,
    /// Tenant id or domain.
    pub tenant: &'a str,
    /// The app's client id.
    pub client_id: &'a str,
    /// Whatever a single entry speaks of: another account, an issuer, a limit.
    pub detail: &'a str,
}

/// Makes the diagnosis of a catalogue entry, its texts filled in and its evidence scrubbed of secrets.
#[must_use]
pub fn describe(entry: &Entry, facts: &Facts<'_>, evidence: Option<&str>) -> Diagnosis {
    let fill_all = |texts: &[Text]| texts.iter().map(|text| fill(text.en, facts)).collect();
    Diagnosis {
        code: String::from(entry.code),
        summary: fill(entry.summary.en, facts),
        who: entry.who,
        remedy: Remedy {
            text: fill(entry.remedy.en, facts),
            clicks: fill_all(entry.clicks),
            commands: fill_all(entry.commands),
        },
        retry: entry.retry,
        evidence: evidence.filter(|text| !text.is_empty()).map(scrub),
        since: None,
    }
}

fn fill(text: &str, facts: &Facts<'_>) -> String {
    let mut filled = String::from(text);
    for (name, value) in [
        ("address", facts.address),
        ("host", facts.host),
        ("tenant", facts.tenant),
        ("client_id", facts.client_id),
        ("detail", facts.detail),
    ] {
        let value = if value.is_empty() { format!("<{name}>") } else { String::from(value) };
        filled = filled.replace(&format!("{{{name}}}"), &value);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Who;

    #[test]
    fn facts_are_filled_into_summary_and_commands() {
        let facts = Facts { address: "anna@makler.example", ..Facts::default() };
        let found = describe(&catalogue::SMTP_AUTH_DISABLED_MAILBOX, &facts, Some("535 5.7.139 disabled"));
        assert_eq!(found.who, Who::TenantAdmin);
        assert!(found.summary.contains("anna@makler.example"), "{}", found.summary);
        assert!(
            found.remedy.commands.iter().any(|command| command.contains("-Identity anna@makler.example"))
        );
        assert_eq!(found.evidence.as_deref(), Some("535 5.7.139 disabled"));
    }

    #[test]
    fn a_missing_fact_shows_its_name() {
        let found = describe(&catalogue::SMTP_AUTH_DISABLED_MAILBOX, &Facts::default(), None);
        assert!(found.summary.contains("<address>"), "{}", found.summary);
    }

    #[test]
    fn every_entry_has_a_code_of_its_own_and_all_its_texts() {
        let mut codes = std::collections::BTreeSet::new();
        for entry in catalogue::all() {
            assert!(codes.insert(entry.code), "{} is there twice", entry.code);
            assert!(!entry.summary.en.is_empty() && !entry.remedy.en.is_empty(), "{}", entry.code);
            let known = Facts { address: "A", host: "H", tenant: "T", client_id: "C", detail: "D" };
            let shown = describe(entry, &known, None);
            let texts = [shown.summary, shown.remedy.text, shown.remedy.commands.join("")];
            assert!(
                texts.iter().all(|text| !text.contains("{a") && !text.contains("{h") && !text.contains("{t"))
            );
        }
        assert!(codes.len() > 30);
    }
}
