//! The states of mailboxes in words.

use super::entry::Text;
use crate::domain::{MailboxState, SendState};
use serde::Serialize;

/// A state in words.
#[derive(Debug, Serialize)]
pub struct StateWords<S> {
    /// The state.
    pub state: S,
    /// In a few words.
    pub label: Text,
    /// One sentence.
    pub sentence: Text,
}

const fn words<S>(state: S, label: Text, sentence: Text) -> StateWords<S> {
    StateWords { state, label, sentence }
}

const fn text(en: &'static str, de: &'static str) -> Text {
    Text { en, de }
}

/// Sign-in and receiving.
pub static STATES: [StateWords<MailboxState>; 11] = [
    words(
        MailboxState::AwaitingApp,
        text("Waiting for an app", "Wartet auf eine App"),
        text(
            "No app is named yet through which the mailbox signs in.",
            "Es ist noch keine App genannt, durch die sich das Postfach anmeldet.",
        ),
    ),
    words(
        MailboxState::AwaitingSignIn,
        text("Waiting for the sign-in", "Wartet auf die Anmeldung"),
        text("Nobody has signed in yet.", "Es hat sich noch niemand angemeldet."),
    ),
    words(
        MailboxState::Connecting,
        text("Connecting", "Verbindet"),
        text(
            "The connection to the mail server is being made.",
            "Die Verbindung zum Mailserver wird hergestellt.",
        ),
    ),
    words(
        MailboxState::Syncing,
        text("Synchronizing", "Gleicht ab"),
        text("Mail is being fetched that is not here yet.", "Mail, die noch nicht hier ist, wird geholt."),
    ),
    words(
        MailboxState::Live,
        text("Live", "Läuft"),
        text(
            "Everything is here, and new mail arrives at once.",
            "Alles ist da, und neue Mail kommt sofort an.",
        ),
    ),
    words(
        MailboxState::Throttled,
        text("Throttled", "Gedrosselt"),
        text(
            "The mail server asked for patience; it goes on by itself.",
            "Der Mailserver hat um Geduld gebeten; es geht von selbst weiter.",
        ),
    ),
    words(
        MailboxState::Retrying,
        text("Trying again", "Versucht es wieder"),
        text(
            "Something that should pass failed; it is tried again by itself.",
            "Etwas Vorübergehendes ist fehlgeschlagen; es wird von selbst wieder versucht.",
        ),
    ),
    words(
        MailboxState::NeedsSignIn,
        text("Sign-in needed", "Anmeldung nötig"),
        text("The user has to sign in again.", "Der Benutzer muss sich neu anmelden."),
    ),
    words(
        MailboxState::NeedsAdmin,
        text("Administrator needed", "Administrator nötig"),
        text("An administrator has to change something.", "Ein Administrator muss etwas ändern."),
    ),
    words(
        MailboxState::AppBroken,
        text("App broken", "App defekt"),
        text(
            "The registration or secret of the app has to be repaired.",
            "Registrierung oder Geheimnis der App müssen repariert werden.",
        ),
    ),
    words(
        MailboxState::Paused,
        text("Paused", "Angehalten"),
        text("The mailbox is switched off here.", "Das Postfach ist hier ausgeschaltet."),
    ),
];

/// Sending.
pub static SEND_STATES: [StateWords<SendState>; 7] = [
    words(
        SendState::Ready,
        text("Ready", "Bereit"),
        text("Messages are sent as they come.", "Nachrichten werden gesendet, wie sie kommen."),
    ),
    words(
        SendState::Held,
        text("Held", "Zurückgehalten"),
        text(
            "The outbox waits until something before the sending is repaired, and then goes out by itself.",
            "Der Postausgang wartet, bis etwas vor dem Senden behoben ist, und geht dann von selbst hinaus.",
        ),
    ),
    words(
        SendState::Throttled,
        text("Throttled", "Gedrosselt"),
        text(
            "The mail server asked for patience; the outbox goes on by itself.",
            "Der Mailserver hat um Geduld gebeten; der Postausgang geht von selbst weiter.",
        ),
    ),
    words(
        SendState::NeedsAdmin,
        text("Administrator needed", "Administrator nötig"),
        text(
            "An administrator has to change something before anything is sent.",
            "Ein Administrator muss etwas ändern, bevor gesendet wird.",
        ),
    ),
    words(
        SendState::NeedsSignIn,
        text("Sign-in needed", "Anmeldung nötig"),
        text(
            "The user has to sign in again before anything is sent.",
            "Der Benutzer muss sich neu anmelden, bevor gesendet wird.",
        ),
    ),
    words(
        SendState::AppBroken,
        text("App broken", "App defekt"),
        text(
            "The registration or secret of the app has to be repaired before anything is sent.",
            "Registrierung oder Geheimnis der App müssen repariert werden, bevor gesendet wird.",
        ),
    ),
    words(
        SendState::Off,
        text("Off", "Aus"),
        text("This mailbox does not send.", "Dieses Postfach sendet nicht."),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_there_once() {
        let mut seen: Vec<MailboxState> = STATES.iter().map(|words| words.state).collect();
        seen.dedup();
        assert_eq!(seen.len(), STATES.len());
        let named: Vec<MailboxState> = seen.iter().map(|state| words_of(*state)).collect();
        assert_eq!(named, seen);
    }

    /// Does not compile when a state is added without words here.
    fn words_of(state: MailboxState) -> MailboxState {
        match state {
            MailboxState::AwaitingApp
            | MailboxState::AwaitingSignIn
            | MailboxState::Connecting
            | MailboxState::Syncing
            | MailboxState::Live
            | MailboxState::Throttled
            | MailboxState::Retrying
            | MailboxState::NeedsSignIn
            | MailboxState::NeedsAdmin
            | MailboxState::AppBroken
            | MailboxState::Paused => STATES.iter().find(|words| words.state == state).unwrap().state,
        }
    }
}
