//! Providers as data: `config/providers.toml`, compiled in and parsed once.

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
    /// Where its users sign in; `None`: by password only.
    pub oauth: Option<OauthPreset>,
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
            let ends_so = |suffix: &String| {
                host.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            Self::all().iter().find(|provider| provider.mx.iter().any(ends_so))
        })
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
}
