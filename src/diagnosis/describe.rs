//! A diagnosis from a catalogue entry: its texts filled in, in the language of whoever reads it. Pure.

use super::catalogue::{self, Entry};
use super::evidence::scrub;
use super::facts::Facts;
use super::fill::{fill, fill_command};
use super::language::Language;
use crate::domain::{Diagnosis, Remedy};

/// Makes the diagnosis of a catalogue entry in English, its texts filled in and its evidence scrubbed of secrets.
#[must_use]
pub fn describe(entry: &Entry, facts: &Facts<'_>, evidence: Option<&str>) -> Diagnosis {
    let evidence = evidence.filter(|text| !text.is_empty()).map(scrub);
    word(entry, facts, evidence, Language::En)
}

fn word(entry: &Entry, facts: &Facts<'_>, evidence: Option<String>, language: Language) -> Diagnosis {
    Diagnosis {
        code: String::from(entry.code),
        summary: fill(entry.summary.get(language), facts, language),
        who: entry.who,
        remedy: Remedy {
            text: fill(entry.remedy.get(language), facts, language),
            clicks: entry.clicks.iter().map(|text| fill(text.get(language), facts, language)).collect(),
            commands: entry.commands.iter().filter_map(|command| fill_command(command, facts)).collect(),
        },
        retry: entry.retry,
        evidence,
        since: None,
        facts: Some(Box::new(facts.keep())),
    }
}

/// A diagnosis as it is shown to a reader: its texts made anew in the reader's language from code and facts, and the
/// facts left out. One that was stored before facts were kept stays as it is.
#[must_use]
pub fn shown(found: &Diagnosis, language: Language) -> Diagnosis {
    let entry = catalogue::find(&found.code);
    let worded = entry
        .zip(found.facts.as_deref())
        .map(|(entry, kept)| word(entry, &Facts::kept(Some(kept)), found.evidence.clone(), language));
    let since = found.since;
    Diagnosis { since, facts: None, ..worded.unwrap_or_else(|| found.clone()) }
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
    fn a_reader_gets_his_language_from_code_and_facts_and_never_the_facts() {
        let facts = Facts { address: "anna@makler.example", ..Facts::default() };
        let stored = describe(&catalogue::SMTP_AUTH_DISABLED_TENANT, &facts, Some("535 5.7.139 disabled"));
        let again: Diagnosis = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
        assert_eq!(again, stored, "kept whole");
        let german = shown(&again, Language::De);
        assert_eq!(
            german.summary,
            "SMTP AUTH ist im Mandanten abgeschaltet, deshalb kann anna@makler.example nicht senden."
        );
        assert_eq!(
            (german.code.as_str(), german.evidence.as_deref()),
            ("smtp_auth_disabled_tenant", Some("535 5.7.139 disabled"))
        );
        assert_eq!(german.remedy.commands, stored.remedy.commands, "cmdlets are in no language");
        assert_eq!(shown(&again, Language::En), stored.without_facts());
        assert!(!serde_json::to_string(&german).unwrap().contains("facts"));
        // of before facts were kept, or of a code that is no more
        let old = Diagnosis { facts: None, ..stored.clone() };
        assert_eq!(shown(&old, Language::De), old);
        let gone = Diagnosis { code: String::from("no_such_code"), ..stored };
        assert_eq!(shown(&gone, Language::De).summary, gone.summary);
    }

    #[test]
    fn smtp_auth_has_its_four_remedies_in_order_each_with_clicks_a_cmdlet_and_the_present_value() {
        for entry in [&catalogue::SMTP_AUTH_DISABLED_TENANT, &catalogue::SMTP_AUTH_DISABLED_MAILBOX] {
            let facts = Facts { address: "anna@makler.example", ..Facts::default() };
            let found = describe(entry, &facts, None);
            let at =
                |lines: &[String], word: &str| lines.iter().position(|line| line.contains(word)).unwrap();
            let clicks = ["Mailbox:", "Tenant:", "Authentication policy:", "Security defaults:"];
            assert_eq!(clicks.map(|word| at(&found.remedy.clicks, word)), [0, 1, 2, 3]);
            let commands = [
                "Get-CASMailbox -Identity anna@makler.example",
                "Set-CASMailbox -Identity anna@makler.example -SmtpClientAuthenticationDisabled $false",
                "Get-TransportConfig",
                "Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
                "Get-User -Identity anna@makler.example",
                "Set-AuthenticationPolicy",
                "Get-MgPolicyIdentitySecurityDefault",
                "Update-MgPolicyIdentitySecurityDefault",
            ];
            let places = commands.map(|word| at(&found.remedy.commands, word));
            assert!(places.is_sorted(), "{places:?}");
        }
    }

    #[test]
    fn every_entry_has_a_code_of_its_own_and_all_its_texts() {
        let mut codes = std::collections::BTreeSet::new();
        for entry in catalogue::all() {
            assert!(codes.insert(entry.code), "{} is there twice", entry.code);
            assert!(!entry.summary.en.is_empty() && !entry.remedy.en.is_empty(), "{}", entry.code);
            for text in [entry.label, entry.summary, entry.remedy].iter().chain(entry.clicks) {
                assert!(
                    !text.de.is_empty() && facts_in(text.en) == facts_in(text.de),
                    "{}: {}",
                    entry.code,
                    text.de
                );
            }
            assert_ne!(entry.summary.en, entry.summary.de, "{}", entry.code);
        }
        assert!(codes.len() > 30);
    }

    /// Which facts a text names.
    fn facts_in(text: &str) -> std::collections::BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(fact, _)| fact.split('|').next().unwrap())
            .collect()
    }
}
