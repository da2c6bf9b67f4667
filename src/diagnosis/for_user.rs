//! What a mailbox's user reads of a diagnosis. He can click nothing in an administrator's portal, and most of it is not
//! his fault: he is told so, whether trying again helps, and what to name to whoever can help. Pure.

use super::catalogue::{self, Text};
use super::describe::shown;
use super::facts::Facts;
use super::fill::fill;
use super::language::Language;
use crate::domain::{Diagnosis, RetryClass, Who};

/// What helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// The user tries again, as the text says.
    TryAgain,
    /// He tries again after a while.
    Wait,
    /// An administrator acts first.
    Administrator,
}

/// A diagnosis in a user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForUser {
    /// One or two sentences.
    pub text: String,
    /// What helps.
    pub help: Help,
}

const PASSES: Text = Text {
    en: "This is not your fault: the provider or its server is not available at the moment. Try again in a few minutes.",
    de: "Das liegt nicht an Ihnen: Der Anbieter oder sein Server ist im Augenblick nicht verfügbar. Versuchen Sie es in \
         einigen Minuten noch einmal.",
};

const ADMINISTRATOR: Text = Text {
    en: "This is not your fault, and nothing is left for you to do here: your administrator has to change a setting first. \
         It is shown there with the code below.",
    de: "Das liegt nicht an Ihnen, und Sie können hier nichts weiter tun: Ihre Administratorin oder Ihr Administrator muss \
         erst eine Einstellung ändern. Dort steht es mit dem Code unten.",
};

/// A diagnosis in a user's words.
#[must_use]
pub fn for_user(found: &Diagnosis, language: Language) -> ForUser {
    let help = match (found.who, found.retry) {
        (Who::User, RetryClass::Auto | RetryClass::AfterFix | RetryClass::Never) => Help::TryAgain,
        (Who::Nobody | Who::Provider, _)
        | (Who::TenantAdmin | Who::AppOwner | Who::Operator, RetryClass::Auto) => Help::Wait,
        (Who::TenantAdmin | Who::AppOwner | Who::Operator, _) => Help::Administrator,
    };
    let own = catalogue::find(&found.code).and_then(|entry| entry.user);
    let text = match (own, help) {
        (Some(own), _) => fill(own.get(language), &Facts::kept(found.facts.as_deref()), language),
        (None, Help::TryAgain) => {
            let shown = shown(found, language);
            format!("{} {}", shown.summary, shown.remedy.text)
        }
        (None, Help::Wait) => String::from(PASSES.get(language)),
        (None, Help::Administrator) => String::from(ADMINISTRATOR.get(language)),
    };
    ForUser { text, help }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::describe;

    const PORTAL: &[&str] = &[
        "admin center",
        "registration",
        "Registrierung",
        "client id",
        "Client-ID",
        "sk the user",
        "den Benutzer",
        "AADSTS",
        "personal link",
        "persönlichen Link",
        "PowerShell",
        "tenant id",
        "Mandanten-ID",
        "auth.",
        "scope",
        "Scope",
    ];

    #[test]
    fn no_user_is_shown_the_steps_of_an_administrator_or_told_to_ask_himself() {
        for entry in catalogue::all() {
            let found = describe(entry, &Facts::default(), None);
            for language in [Language::En, Language::De] {
                let text = for_user(&found, language).text;
                assert!(PORTAL.iter().all(|word| !text.contains(word)), "{}: {text}", entry.code);
                assert!(!text.is_empty() && !text.contains(['<', '{', '[']), "{}: {text}", entry.code);
            }
        }
    }

    #[test]
    fn whoever_has_to_act_decides_whether_trying_again_helps() {
        let help = |entry| for_user(&describe(entry, &Facts::default(), None), Language::En).help;
        assert_eq!(help(&catalogue::SIGN_IN_DECLINED), Help::TryAgain);
        assert_eq!(help(&catalogue::IDP_UNAVAILABLE), Help::Wait);
        assert_eq!(help(&catalogue::HOST_UNREACHABLE), Help::Wait);
        for entry in [&catalogue::CONDITIONAL_ACCESS, &catalogue::SECRET_WRONG, &catalogue::APP_MISSING] {
            assert_eq!(help(entry), Help::Administrator, "{}", entry.code);
        }
        let facts = Facts { address: "anna@makler.example", ..Facts::default() };
        let found = describe(&catalogue::SIGN_IN_AGAIN, &facts, None);
        assert!(for_user(&found, Language::De).text.contains("zu anna@makler.example"));
    }
}
