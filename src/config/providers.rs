//! Providers as data: `config/providers.toml`, compiled in and parsed once.

use crate::domain::host::is_within;
use crate::domain::{Endpoint, ProviderKind};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A provider of mailboxes, of identities, or of both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What a mailbox's `provider` says.
    pub id: String,
    /// Other names that are taken for it.
    #[serde(default)]
    aliases: Vec<String>,
    /// For people.
    pub name: String,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    mx: Vec<String>,
    /// Where its mailboxes receive.
    pub imap: Option<Endpoint>,
    /// Where they send.
    pub smtp: Option<Endpoint>,
    /// Which password its mail programs use, where that is known.
    pub password: Option<PasswordKind>,
    /// What a user has to do before a mail program is let in.
    pub note: Option<Note>,
    /// Where its users sign in; `None`: by password only.
    pub oauth: Option<OauthPreset>,
}

/// Which password a mail program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordKind {
    /// One that was made for this program; the account's own is refused.
    App,
    /// One for mail, which is not that of the account.
    Mail,
    /// That of the account; with two-step verification one that was made for the program.
    Account,
}

/// What a user has to do first, in every language we have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// English.
    pub en: String,
    /// German.
    pub de: String,
}

/// Where a provider's users sign in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthPreset {
    /// Entra ID: the base of all addresses.
    pub authority: Option<String>,
    /// Entra ID: about the tenant.
    pub tenant: Option<TenantPreset>,
    /// Where the user signs in.
    pub authorize: Option<String>,
    /// Where tokens come from.
    pub token: Option<String>,
    /// Who signs identity tokens.
    pub issuer: Option<String>,
    /// What a user's sign-in asks for.
    pub scopes: Vec<String>,
    /// What the app asks for itself.
    pub app_scope: Option<String>,
    /// What a service account asks for on behalf of a user, if the provider has such accounts.
    pub service_account_scope: Option<String>,
    /// A page of the provider's own that users of a client without a secret are sent to.
    pub native_redirect: Option<String>,
    /// Whether a device code gives access to mail.
    #[serde(default)]
    pub device_code: bool,
    /// What the sign-in page is requested to do.
    #[serde(default = "select_account")]
    pub prompt: String,
    /// Further parameters of the sign-in.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

/// About the tenant of an Entra ID.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantPreset {
    /// Where an app goes that names none.
    pub default: String,
    /// Whether an app must name its own.
    pub required: bool,
}

fn select_account() -> String {
    String::from("select_account")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Provider>,
}

const TEXT: &str = include_str!("../../config/providers.toml");

static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| match toml::from_str::<File>(TEXT) {
    Ok(file) => file.provider,
    Err(error) => {
        // a test reads the file that is compiled in
        tracing::error!(%error, "config/providers.toml cannot be read: no provider is known");
        Vec::new()
    }
});

impl Provider {
    /// All that are known.
    #[must_use]
    pub fn all() -> &'static [Provider] {
        &PROVIDERS
    }

    /// By its id or an alias.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Provider> {
        let name = name.to_lowercase();
        Self::all().iter().find(|provider| provider.id == name || provider.aliases.contains(&name))
    }

    /// The one an app's registration is with.
    #[must_use]
    pub fn of_kind(kind: ProviderKind) -> Option<&'static Provider> {
        Self::named(kind.name())
    }

    /// The one that addresses of a domain belong to.
    #[must_use]
    pub fn of_domain(domain: &str) -> Option<&'static Provider> {
        let domain = domain.to_lowercase();
        Self::all().iter().find(|provider| provider.domains.contains(&domain))
    }

    /// The one that takes a domain's mail, recognized by the names of its mail exchangers, best first.
    #[must_use]
    pub fn of_mx<'h>(hosts: impl IntoIterator<Item = &'h str>) -> Option<&'static Provider> {
        hosts.into_iter().find_map(|host| {
            let host = host.trim_end_matches('.').to_lowercase();
            let by_length =
                Self::all().iter().filter_map(|provider| Some((provider.mx_ending(&host)?, provider)));
            by_length.max_by_key(|(length, _)| *length).map(|(_, provider)| provider)
        })
    }

    /// How long the longest of its endings is that a mail exchanger's name has.
    fn mx_ending(&self, host: &str) -> Option<usize> {
        self.mx.iter().filter(|ending| is_within(host, ending)).map(String::len).max()
    }

    /// What the users of a server have to do first, by the name of the server.
    #[must_use]
    pub fn note_of_server(host: &str) -> Option<&'static Note> {
        let host = host.trim_end_matches('.');
        let is_theirs = |provider: &&Provider| {
            provider
                .imap
                .iter()
                .chain(&provider.smtp)
                .any(|endpoint| endpoint.host.eq_ignore_ascii_case(host))
        };
        Self::all().iter().filter(is_theirs).find_map(|provider| provider.note.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Security;
    use std::collections::BTreeSet;

    #[test]
    fn the_file_is_read_and_no_name_stands_for_two() {
        let file: File = toml::from_str(TEXT).unwrap();
        assert_eq!(file.provider.len(), Provider::all().len());
        let mut names = BTreeSet::new();
        let mut domains = BTreeSet::new();
        for provider in Provider::all() {
            for name in std::iter::once(&provider.id).chain(&provider.aliases) {
                assert!(names.insert(name), "{name} is there twice");
            }
            for domain in &provider.domains {
                assert!(domains.insert(domain), "{domain} is there twice");
                assert_eq!(*domain, domain.to_lowercase());
            }
            for endpoint in provider.imap.iter().chain(&provider.smtp) {
                let fits = match endpoint.port {
                    993 | 465 => Security::Tls,
                    587 => Security::Starttls,
                    other => panic!("{}: port {other}", provider.id),
                };
                assert_eq!(endpoint.security, fits, "{}", provider.id);
            }
            assert_eq!(provider.imap.is_some(), provider.smtp.is_some(), "{}", provider.id);
        }
    }

    #[test]
    fn every_kind_of_app_has_its_provider_with_a_way_to_sign_in() {
        for kind in ProviderKind::ALL {
            let provider = Provider::of_kind(kind).unwrap();
            let oauth = provider.oauth.as_ref().unwrap();
            let is_complete = match kind {
                ProviderKind::Oidc => true,
                ProviderKind::Google | ProviderKind::Yahoo | ProviderKind::Fastmail => {
                    oauth.authorize.is_some() && oauth.token.is_some() && oauth.issuer.is_some()
                }
                ProviderKind::Office365
                | ProviderKind::Office365Us
                | ProviderKind::Office365Cn
                | ProviderKind::Outlook => oauth.authority.is_some() && oauth.tenant.is_some(),
            };
            assert!(is_complete, "{kind:?}");
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn a_provider_is_found_by_domain_and_by_mail_exchanger() {
        let id = |found: Option<&Provider>| found.map(|provider| provider.id.clone());
        for (domain, expected) in
            [("GMAIL.com", "google"), ("hotmail.de", "outlook"), ("gmx.at", "gmx"), ("me.com", "icloud")]
        {
            assert_eq!(id(Provider::of_domain(domain)).as_deref(), Some(expected));
        }
        assert_eq!(id(Provider::of_domain("makler.example")), None);
        for (host, expected) in [
            ("makler-example.mail.protection.outlook.com.", Some("office365")),
            ("makler-example.g-v1.mx.microsoft", Some("office365")),
            ("outlook-com.olc.protection.outlook.com", Some("outlook")),
            ("x.mail.protection.office365.us", Some("office365_us")),
            ("ASPMX.L.GOOGLE.COM", Some("google")),
            ("smtp.google.com", Some("google")),
            ("mx00.kundenserver.de", Some("ionos")),
            ("smtpin.rzone.de", Some("strato")),
            ("mail.notgoogle.com", None),
            ("mx.makler.example", None),
        ] {
            assert_eq!(id(Provider::of_mx([host])).as_deref(), expected, "{host}");
        }
        assert_eq!(id(Provider::of_mx(["mx.spam.example", "smtp.google.com"])).as_deref(), Some("google"));
        assert_eq!(id(Provider::named("Gmail")).as_deref(), Some("google"));
    }

    /// Provider, a domain of its own, a mail exchanger of a customer's domain, and the password.
    const NAMED: &[(&str, Option<&str>, Option<&str>, PasswordKind)] = &[
        ("yahoo", Some("yahoo.com.br"), Some("mta6.am0.yahoodns.net"), PasswordKind::App),
        ("aol", Some("aim.com"), Some("mx-aol.mail.gm0.yahoodns.net"), PasswordKind::App),
        ("fastmail", Some("fastmail.com"), Some("in1-smtp.messagingengine.com"), PasswordKind::App),
        ("yandex", Some("ya.ru"), Some("mx.yandex.net."), PasswordKind::App),
        ("mail_ru", Some("bk.ru"), Some("emx.mail.ru"), PasswordKind::App),
        ("zoho", Some("zohomail.com"), None, PasswordKind::Account),
        ("zoho_pro", None, Some("mx2.zoho.com"), PasswordKind::Account),
        ("zoho_eu", Some("zoho.eu"), None, PasswordKind::Account),
        ("zoho_pro_eu", None, Some("mx.zoho.eu"), PasswordKind::Account),
        ("zoho_pro_au", None, Some("mx.zoho.com.au"), PasswordKind::Account),
        ("icloud", Some("mac.com"), Some("mx01.mail.icloud.com"), PasswordKind::App),
        ("gmx", Some("gmx.biz"), Some("mx00.emig.gmx.net"), PasswordKind::Account),
        ("gmx_com", Some("gmx.co.uk"), Some("mx00.gmx.com"), PasswordKind::Account),
        ("web_de", Some("web.de"), Some("mx-ha02.web.de"), PasswordKind::Account),
        ("ionos", Some("online.de"), Some("mx00.ionos.de"), PasswordKind::Mail),
        ("ionos_com", None, Some("mx01.ionos.com"), PasswordKind::Mail),
        ("strato", Some("strato.de"), Some("smtpin.rzone.de"), PasswordKind::Mail),
        ("t_online", Some("magenta.de"), Some("mx00.t-online.de"), PasswordKind::Mail),
        ("posteo", Some("posteo.net"), Some("mx01.posteo.de"), PasswordKind::Account),
        ("mailbox_org", Some("mailbox.org"), Some("mxext1.mailbox.org"), PasswordKind::Account),
    ];

    #[test]
    fn every_named_provider_is_found_both_ways_and_says_how_its_users_sign_in() {
        for (id, domain, exchanger, password) in NAMED {
            let provider = Provider::named(id).unwrap();
            if let Some(domain) = domain {
                assert_eq!(Provider::of_domain(domain), Some(provider), "{domain}");
            }
            if let Some(exchanger) = exchanger {
                assert_eq!(Provider::of_mx([*exchanger]), Some(provider), "{exchanger}");
            }
            assert_eq!(provider.password, Some(*password), "{id}");
            let note = provider.note.as_ref().unwrap();
            for server in provider.imap.iter().chain(&provider.smtp) {
                assert_eq!(Provider::note_of_server(&server.host), Some(note), "{id}");
            }
        }
        assert_eq!(Provider::note_of_server("mail.makler.example"), None);
    }

    #[test]
    fn notes_are_sentences_in_both_languages_and_whoever_wants_a_special_password_has_one() {
        for provider in Provider::all() {
            if let Some(note) = &provider.note {
                assert_ne!(note.en, note.de, "{}", provider.id);
                for text in [&note.en, &note.de] {
                    let is_sentence = text.ends_with('.') && text.len() > 40;
                    // these would be taken for parts of a catalogue's text
                    let is_plain = !text.contains(['<', '{', '}', '[', ']', '|']) && !text.contains("  ");
                    assert!(is_sentence && is_plain, "{}: {text}", provider.id);
                }
            }
            let is_special = matches!(provider.password, Some(PasswordKind::App | PasswordKind::Mail));
            assert!(!is_special || provider.note.is_some(), "{}", provider.id);
        }
    }
}
