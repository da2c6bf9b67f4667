//! What a personal link shows: the way to sign in, how the last try ended, or how the sign-in ended for good.

use super::super::Shared;
use super::owner;
use super::page::page;
use super::words::{Words, language};
use crate::diagnosis::{self, Help, Language, catalogue};
use crate::domain::{Diagnosis, GrantWay};
use crate::problem::Problem;
use crate::signin::{Opened, lacks_sign_in};
use crate::store::{SignIn, SignInState, StoredMailbox};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, PreEscaped, html};

const TITLE: Words = Words { en: "Connect your mailbox", de: "Verbinden Sie Ihr Postfach" };
const DONE: Words = Words { en: "Your mailbox is connected", de: "Ihr Postfach ist verbunden" };
const WRONG: Words = Words { en: "That was another account", de: "Das war ein anderes Konto" };
const REFUSED: Words = Words { en: "The sign-in did not work", de: "Die Anmeldung hat nicht geklappt" };
const OVER: Words = Words { en: "This link has expired", de: "Dieser Link ist abgelaufen" };

const ENDED: Words =
    Words { en: "This connection has ended since", de: "Diese Verbindung ist inzwischen beendet" };

const TICK: &str = "<svg width=\"22\" height=\"22\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"M4 12.5l5.2 5.2L20 7\" \
    fill=\"none\" stroke=\"currentColor\" stroke-width=\"3\" stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>";

/// The page of a link as its sign-in stands.
pub(super) async fn shown(
    request: &HttpRequest,
    shared: &Shared,
    opened: &Opened,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let sign_in = &opened.row.value;
    let language = language(request, sign_in.language.as_deref());
    let is_done = sign_in.state == SignInState::Done;
    let is_connected = is_done && !lacks_sign_in(&shared.store, &opened.stored)?;
    let (title, body) = match sign_in.state {
        SignInState::Done if is_connected => (DONE, done(shared, opened, language).await?),
        SignInState::Done => (ENDED, ended_since(language)),
        SignInState::Expired => (OVER, over(language)),
        SignInState::WrongAccount if opened.is_usable => (WRONG, refused(shared, opened, language).await?),
        SignInState::Declined | SignInState::NeedsAdmin if opened.is_usable => {
            (REFUSED, refused(shared, opened, language).await?)
        }
        SignInState::Waiting | SignInState::Opened | SignInState::SignedIn | SignInState::Probing
            if opened.is_usable =>
        {
            (TITLE, invited(shared, opened, language).await?)
        }
        SignInState::WrongAccount
        | SignInState::Declined
        | SignInState::NeedsAdmin
        | SignInState::Waiting
        | SignInState::Opened
        | SignInState::SignedIn
        | SignInState::Probing => (OVER, over(language)),
    };
    let title = title.in_language(language);
    let body = html! {
        @if is_connected { div.mark { (PreEscaped(TICK)) } }
        h1 { (title) }
        (body)
        (way_back(sign_in, language))
        (shared.brand.foot(language, opened.is_usable.then_some(sign_in.expires_at)))
    };
    Ok(page(&shared.brand, status, language, title, &body))
}

/// How it ended, for those who read no pages.
pub(super) fn outcome_status(sign_in: &SignIn) -> StatusCode {
    match sign_in.state {
        SignInState::WrongAccount | SignInState::Declined | SignInState::NeedsAdmin => StatusCode::FORBIDDEN,
        SignInState::Expired => StatusCode::GONE,
        SignInState::Waiting
        | SignInState::Opened
        | SignInState::SignedIn
        | SignInState::Probing
        | SignInState::Done => StatusCode::OK,
    }
}

/// Whether there is something to see or to do behind a link.
pub(super) fn status(opened: &Opened) -> StatusCode {
    let is_open = opened.is_usable || opened.row.value.state == SignInState::Done;
    if is_open { StatusCode::OK } else { StatusCode::GONE }
}

/// The mailbox and how it stands.
pub(super) fn mailbox(stored: &StoredMailbox, note: &Words, badge: (&str, &Words), language: &str) -> Markup {
    html! {
        div.who {
            span {
                b { (stored.mailbox.address) }
                span.muted.small { (note.in_language(language)) }
            }
            span.badge.(badge.0) { (badge.1.in_language(language)) }
        }
    }
}

const NOTHING: Words = Words { en: "", de: "" };
const OPEN: Words = Words { en: "not connected yet", de: "noch nicht verbunden" };
const CONNECTED: Words = Words { en: "connected", de: "verbunden" };

async fn invited(shared: &Shared, opened: &Opened, language: &str) -> Result<Markup, Problem> {
    const EXACTLY: Words =
        Words { en: "Please sign in with exactly this account", de: "Bitte mit genau diesem Konto anmelden" };
    let Opened { row, stored, .. } = opened;
    let is_tried = matches!(row.value.state, SignInState::SignedIn | SignInState::Probing);
    let ended = row.value.diagnosis.as_ref().filter(|_| row.value.state == SignInState::Waiting);
    Ok(html! {
        @if is_tried { (being_tried(shared, &row.value, language)) } @else {
            p { (lead(shared, language)) }
            @if let Some(found) = ended { (told(found, language)) }
        }
        (mailbox(stored, &EXACTLY, ("wait", &OPEN), language))
        @if !is_tried { (allowed(stored, language)) }
        (ways(shared, opened, !is_tried, language)?)
        (owner::others(shared, &row.value, stored, language).await?)
    })
}

fn lead(shared: &Shared, language: &str) -> String {
    let (name, application) = (&shared.brand.name, shared.brand.application.as_deref());
    match (language, application) {
        ("de", Some(application)) => {
            format!(
                "{name} verbindet Ihr Postfach mit {application}. Dafür melden Sie sich einmal bei Ihrem Anbieter an."
            )
        }
        ("de", None) => format!(
            "{name} bittet Sie, Ihr Postfach zu verbinden. Dafür melden Sie sich einmal bei Ihrem Anbieter an."
        ),
        (_, Some(application)) => {
            format!(
                "{name} connects your mailbox with {application}. For that you sign in once with your provider."
            )
        }
        (_, None) => {
            format!("{name} asks you to connect your mailbox. For that you sign in once with your provider.")
        }
    }
}

/// What will be allowed, in a sentence each.
fn allowed(stored: &StoredMailbox, language: &str) -> Markup {
    const BOTH: Words = Words {
        en: "Receive your mail, and send in your name",
        de: "E-Mails empfangen und in Ihrem Namen senden",
    };
    const RECEIVE: Words = Words { en: "Receive your mail", de: "E-Mails empfangen" };
    const SEND: Words = Words { en: "Send mail in your name", de: "E-Mails in Ihrem Namen senden" };
    const PASSWORD: Words = Words {
        en: "Your password stays with your provider; nobody sees it here",
        de: "Ihr Kennwort bleibt bei Ihrem Anbieter, wir sehen es nicht",
    };
    let what = match (&stored.mailbox.imap, &stored.mailbox.smtp) {
        (Some(_), Some(_)) => BOTH,
        (None, Some(_)) => SEND,
        (Some(_) | None, None) => RECEIVE,
    };
    html! {
        ul.plain.small {
            li { (what.in_language(language)) }
            li { (PASSWORD.in_language(language)) }
        }
    }
}

/// One button that stands out, and the other ways behind a word.
fn ways(shared: &Shared, opened: &Opened, is_first: bool, language: &str) -> Result<Markup, Problem> {
    const OTHERS: Words = Words { en: "Other ways", de: "Andere Wege" };
    const WHEN: Words = Words {
        en: "Does the sign-in not open here? You can use a code on another device, or bring an address back.",
        de: "Öffnet sich die Anmeldung hier nicht? Sie können einen Code auf einem anderen Gerät benutzen oder eine \
             Adresse zurückbringen.",
    };
    let link = shared.signin.link(&opened.row.value);
    let offered = shared.signin.ways_of(&opened.row.value, &opened.stored)?;
    let Some((first, others)) = offered.split_first() else { return Ok(html! {}) };
    let class = if is_first { "button primary wide" } else { "button wide" };
    Ok(html! {
        form method="post" action=(link) {
            (button(*first, class, language))
            @if !others.is_empty() {
                details {
                    summary { (OTHERS.in_language(language)) }
                    p.small.muted { (WHEN.in_language(language)) }
                    @for way in others { (button(*way, "button", language)) " " }
                }
            }
        }
    })
}

fn button(way: GrantWay, class: &str, language: &str) -> Markup {
    const REDIRECT: Words = Words { en: "Continue to sign-in", de: "Weiter zur Anmeldung" };
    const PASTE: Words =
        Words { en: "Sign in and copy an address", de: "Anmelden und eine Adresse kopieren" };
    const DEVICE: Words = Words { en: "Sign in with a code", de: "Mit einem Code anmelden" };
    let label = match way {
        GrantWay::Redirect => REDIRECT,
        GrantWay::Native => PASTE,
        GrantWay::Device => DEVICE,
        GrantWay::Imported | GrantWay::AppOnly | GrantWay::ServiceAccount | GrantWay::Password => {
            return html! {};
        }
    };
    let name = name(way);
    html! { button class=(class) name="way" value=(name) id=(name) { (label.in_language(language)) } }
}

/// What a button says of a way.
pub(super) fn name(way: GrantWay) -> &'static str {
    match way {
        GrantWay::Redirect => "redirect",
        GrantWay::Native => "native",
        GrantWay::Device => "device",
        GrantWay::Imported => "imported",
        GrantWay::AppOnly => "app_only",
        GrantWay::ServiceAccount => "service_account",
        GrantWay::Password => "password",
    }
}

fn being_tried(shared: &Shared, sign_in: &SignIn, language: &str) -> Markup {
    const TRIED: Words = Words {
        en: "You signed in, and the mailbox is being tried.",
        de: "Sie haben sich angemeldet, und das Postfach wird gerade geprüft.",
    };
    html! {
        p { (TRIED.in_language(language)) }
        iframe src=(format!("{}/status", shared.signin.link(sign_in))) title=(TRIED.in_language(language)) {}
    }
}

fn ended_since(language: &str) -> Markup {
    const ASK: Words = Words {
        en: "You had signed in with this link, and the provider has ended that sign-in since. Ask for a new link.",
        de: "Sie hatten sich mit diesem Link angemeldet, und der Anbieter hat die Anmeldung inzwischen beendet. Bitten Sie um \
             einen neuen Link.",
    };
    html! { p { (ASK.in_language(language)) } }
}

async fn done(shared: &Shared, opened: &Opened, language: &str) -> Result<Markup, Problem> {
    const CLOSE: Words = Words {
        en: "Nothing more is left to do for this mailbox. You can close this window.",
        de: "Für dieses Postfach ist nichts mehr zu tun. Sie können dieses Fenster schließen.",
    };
    let sign_in = &opened.row.value;
    Ok(html! {
        p { (CLOSE.in_language(language)) }
        (mailbox(&opened.stored, &NOTHING, ("ok", &CONNECTED), language))
        @if opened.leads_on() {
            (owner::others(shared, sign_in, &opened.stored, language).await?)
        }
    })
}

async fn refused(shared: &Shared, opened: &Opened, language: &str) -> Result<Markup, Problem> {
    let Opened { row, stored, .. } = opened;
    let found = row.value.diagnosis.as_ref();
    let help = found.map_or(Help::TryAgain, |found| diagnosis::for_user(found, tongue(language)).help);
    Ok(html! {
        @if row.value.state == SignInState::WrongAccount { (another(&row.value, language)) }
        @else if let Some(found) = found { (told(found, language)) }
        (mailbox(stored, &NOTHING, ("act", &OPEN), language))
        (ways(shared, opened, help != Help::Administrator, language)?)
        (owner::others(shared, &row.value, stored, language).await?)
    })
}

/// Somebody else signed in.
fn another(sign_in: &SignIn, language: &str) -> Markup {
    const SIGNED_IN: Words = Words { en: "You signed in as", de: "Angemeldet haben Sie sich als" };
    const NOTHING_CHANGED: Words = Words {
        en: "Nothing was changed, and no message of that account was read. Choose the account of this mailbox now:",
        de: "Es wurde nichts geändert und keine Nachricht jenes Kontos gelesen. Wählen Sie nun das Konto dieses Postfachs:",
    };
    const ACCEPTABLE: Words = Words {
        en: "If the other account is meant to open this mailbox, an administrator can accept it within 24 hours.",
        de: "Soll das andere Konto dieses Postfach öffnen, kann eine Administratorin es binnen 24 Stunden annehmen.",
    };
    let name = sign_in.signed_in_as.as_ref().map(|who| who.name.as_str()).unwrap_or_default();
    html! {
        div.note role="alert" {
            p { (SIGNED_IN.in_language(language)) " " b { (name) } ". " (NOTHING_CHANGED.in_language(language)) }
            @if sign_in.accept_until.is_some() { p { (ACCEPTABLE.in_language(language)) } }
        }
    }
}

/// A diagnosis in its user's words, with what to name to an administrator.
pub(super) fn told(found: &Diagnosis, language: &str) -> Markup {
    const CODE: Words = Words { en: "Code for your administrator:", de: "Code für Ihre Administration:" };
    const WORDS: Words = Words { en: "The provider's words:", de: "Der Wortlaut des Anbieters:" };
    let words = diagnosis::for_user(found, tongue(language));
    let evidence = found.evidence.as_ref().filter(|_| found.code == catalogue::IDP_REFUSED.code);
    html! {
        div.note role="alert" {
            p { (words.text) }
            @if words.help != Help::TryAgain {
                p.small { (CODE.in_language(language)) " " code { (found.code) }
                    @if let Some(since) = found.since { ", " (since.to_rfc3339()) } }
            }
            @if let Some(said) = evidence { p.small { (WORDS.in_language(language)) " " (said) } }
        }
    }
}

fn tongue(language: &str) -> Language {
    Language::of_tag(language).unwrap_or_default()
}

fn over(language: &str) -> Markup {
    const ASK: Words = Words {
        en: "Ask for a new one. If your mailbox is connected by now, nothing is left to do.",
        de: "Bitten Sie um einen neuen. Ist Ihr Postfach inzwischen verbunden, ist nichts zu tun.",
    };
    html! { p { (ASK.in_language(language)) } }
}

/// The way back to the application, with the outcome in its query.
pub(super) fn way_back(sign_in: &SignIn, language: &str) -> Markup {
    const BACK: Words = Words { en: "Back to the application", de: "Zurück zur Anwendung" };
    let to = sign_in.return_to.as_deref().and_then(|to| url::Url::parse(to).ok());
    let Some(mut to) = to else { return html! {} };
    let state = serde_json::to_value(sign_in.state).unwrap_or_default();
    to.query_pairs_mut()
        .append_pair("sign_in", &sign_in.id.to_string())
        .append_pair("state", state.as_str().unwrap_or_default());
    html! { p { a.button.wide #back href=(to) { (BACK.in_language(language)) } } }
}
