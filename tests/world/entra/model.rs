//! What an operator declares: tenants, users, applications. No state of a run lives here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::assertion::Certificate;
use super::google::ServiceAccount;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tenant {
    pub id: String,
    pub domains: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    pub address: String,
    pub oid: String,
    pub tenant_id: String,
}

impl User {
    /// A Microsoft account of a person, which no organization has.
    pub fn is_personal(&self) -> bool {
        self.tenant_id == PERSONAL_TENANT
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    Web,
    /// Single-page application: its codes are redeemed by a browser, from another site.
    Spa,
    Native,
}

/// A registered redirect URI; `*` in place of the port stands for any port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Redirect {
    pub uri: String,
    pub platform: Platform,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    pub value: String,
    pub expired: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct App {
    pub client_id: String,
    pub name: String,
    /// Neither secret nor certificate: a public client, to which none may be sent.
    pub secrets: Vec<Secret>,
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    pub redirects: Vec<Redirect>,
    /// Delegated permissions that may be asked for.
    pub scopes: Vec<String>,
    /// Application permissions put into app-only tokens once consented.
    pub roles: Vec<String>,
    /// The only tenant that may sign in; `common` is refused then (AADSTS50194).
    pub single_tenant: Option<String>,
    /// Users may not consent themselves: a sign-in comes back as if cancelled until an admin consented.
    pub needs_admin_consent: bool,
    pub allows_device_code: bool,
    /// "Allow public client flows": a confidential client need not prove itself for device codes.
    #[serde(default)]
    pub public_client_flows: bool,
}

impl App {
    /// The registered redirect matching `uri`: exact, with the port of loopback redirects ignored.
    pub fn redirect(&self, uri: &str) -> Option<&Redirect> {
        self.redirects.iter().find(|redirect| redirect_matches(redirect, uri))
    }

    pub fn is_public(&self) -> bool {
        self.secrets.is_empty() && self.certificates.is_empty()
    }

    /// The secret to use: the first that has not expired.
    pub fn secret(&self) -> &str {
        self.secrets.iter().find(|secret| !secret.expired).map_or("", |secret| secret.value.as_str())
    }
}

fn redirect_matches(registered: &Redirect, uri: &str) -> bool {
    if registered.uri == uri {
        return true;
    }
    let loopback =
        registered.uri.starts_with("http://localhost") || registered.uri.starts_with("http://127.0.0.1");
    let wildcard = registered.uri.contains(":*") || registered.platform == Platform::Native;
    if !loopback || !wildcard {
        return false;
    }
    let (Ok(left), Ok(right)) = (url::Url::parse(&registered.uri.replace(":*", "")), url::Url::parse(uri))
    else {
        return false;
    };
    left.host_str() == right.host_str() && left.path() == right.path() && left.scheme() == right.scheme()
}

/// What happens to the predecessor of a refresh token that was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// Stays valid, as Microsoft's does.
    Keep,
    /// Valid until its successor was used, at most 60 s.
    Grace,
    /// Single use: using it again revokes the whole grant.
    Strict,
}

#[derive(Debug, Clone)]
pub struct EntraOptions {
    pub tenants: Vec<Tenant>,
    pub users: Vec<User>,
    pub apps: Vec<App>,
    /// Those that Google knows; this stand-in is Google, too.
    pub service_accounts: Vec<ServiceAccount>,
    /// Google's consent screen is in testing: refresh tokens end after seven days, and say so.
    pub google_testing: bool,
    /// Length of access tokens in characters.
    pub access_token_length: usize,
    pub access_token_seconds: u64,
    pub code_seconds: u64,
    pub device_code_seconds: u64,
    pub device_interval: u64,
    pub rotation: Rotation,
    /// How far the clock of its Date fields is ahead.
    pub clock_ahead_seconds: i64,
    /// Where Dovecot is told of tokens that open more than their user's mailbox.
    pub token_dir: Option<std::path::PathBuf>,
    /// Token's user → mailboxes he may open besides his own.
    pub delegates: BTreeMap<String, BTreeSet<String>>,
}

pub const MAKLER_TENANT: &str = "6b5a1d2e-0c1f-4c52-9a77-2f0d3a5b7c11";
pub const KUNDE_TENANT: &str = "c0ffee00-17ab-4d3e-8f21-90a1b2c3d4e5";
/// The one tenant of all personal accounts (<https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference>,
/// `tid`).
pub const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub const CLIENT_SECRET: &str = "w8Q~world.client.secret.value-0123456789";
pub const IMAP_SCOPE: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
pub const POP_SCOPE: &str = "https://outlook.office.com/POP.AccessAsUser.All";
pub const SMTP_SCOPE: &str = "https://outlook.office.com/SMTP.Send";
pub const MAIL_SCOPES: &str = "https://outlook.office.com/IMAP.AccessAsUser.All \
                               https://outlook.office.com/SMTP.Send offline_access openid profile email";

impl Default for EntraOptions {
    fn default() -> Self {
        let tenant = |id: &str, domain: &str| Tenant { id: id.into(), domains: vec![domain.into()] };
        Self {
            tenants: vec![tenant(MAKLER_TENANT, "makler.test"), tenant(KUNDE_TENANT, "kunde.test")],
            users: Vec::new(),
            apps: vec![web_app(), native_app(), daemon_app()],
            service_accounts: Vec::new(),
            google_testing: false,
            access_token_length: 1_800,
            access_token_seconds: 3_599,
            code_seconds: 600,
            device_code_seconds: 900,
            device_interval: 5,
            rotation: Rotation::Keep,
            clock_ahead_seconds: 0,
            token_dir: None,
            delegates: BTreeMap::new(),
        }
    }
}

impl EntraOptions {
    /// Declares a user; his tenant is the one of his domain, the first one for an unknown domain.
    pub fn add_user(&mut self, address: &str) {
        let address = address.to_ascii_lowercase();
        if self.users.iter().any(|user| user.address == address) {
            return;
        }
        let domain = address.split_once('@').map_or("", |(_, domain)| domain);
        let tenant = self.tenants.iter().find(|tenant| tenant.domains.iter().any(|name| name == domain));
        let tenant_id = tenant.or(self.tenants.first()).map(|tenant| tenant.id.clone()).unwrap_or_default();
        let oid = oid_of(&address);
        self.users.push(User { address, oid, tenant_id });
    }
}

impl EntraOptions {
    /// Declares a personal account, whatever its domain.
    pub fn add_personal_user(&mut self, address: &str) {
        let tenant_id = PERSONAL_TENANT.to_owned();
        if !self.tenants.iter().any(|tenant| tenant.id == tenant_id) {
            self.tenants.push(Tenant { id: tenant_id.clone(), domains: Vec::new() });
        }
        let address = address.to_ascii_lowercase();
        self.users.retain(|user| user.address != address);
        let oid = oid_of(&address);
        self.users.push(User { address, oid, tenant_id });
    }
}

fn oid_of(address: &str) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(address.as_bytes());
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn scopes() -> Vec<String> {
    [IMAP_SCOPE, POP_SCOPE, SMTP_SCOPE].map(String::from).to_vec()
}

fn redirects(uris: &[&str], platform: Platform) -> Vec<Redirect> {
    uris.iter().map(|uri| Redirect { uri: (*uri).to_string(), platform }).collect()
}

/// Confidential; loopback callbacks on any port.
pub fn web_app() -> App {
    let uris = ["http://127.0.0.1:*/sign-in/callback", "http://localhost:*/sign-in/callback"];
    App {
        client_id: "11111111-aaaa-4bbb-8ccc-000000000001".into(),
        name: "Stafette (web)".into(),
        secrets: vec![
            Secret { value: CLIENT_SECRET.into(), expired: false },
            Secret { value: format!("old-{CLIENT_SECRET}"), expired: true },
        ],
        certificates: Vec::new(),
        redirects: redirects(&uris, Platform::Web),
        scopes: scopes(),
        roles: vec!["IMAP.AccessAsApp".into(), "SMTP.SendAsApp".into()],
        single_tenant: None,
        needs_admin_consent: false,
        allows_device_code: true,
        public_client_flows: false,
    }
}

/// Public; the embedded-client redirect and plain loopback ones.
pub fn native_app() -> App {
    let uris = [
        "https://login.microsoftonline.com/common/oauth2/nativeclient",
        "http://localhost",
        "http://127.0.0.1",
        "http://localhost/sign-in/callback",
        "http://127.0.0.1/sign-in/callback",
    ];
    App {
        client_id: "11111111-aaaa-4bbb-8ccc-000000000002".into(),
        name: "Stafette (native)".into(),
        secrets: Vec::new(),
        redirects: redirects(&uris, Platform::Native),
        ..web_app()
    }
}

/// Confidential, no redirect: app-only tokens.
pub fn daemon_app() -> App {
    App {
        client_id: "11111111-aaaa-4bbb-8ccc-000000000003".into(),
        name: "Stafette (daemon)".into(),
        redirects: redirects(&["http://127.0.0.1:*/consent/callback"], Platform::Web),
        allows_device_code: false,
        ..web_app()
    }
}
