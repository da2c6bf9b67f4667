//! A mailbox as it is posted: checked, and with everything filled in that may be left out.

use super::context::Context;
use super::discover::Tried;
use super::fields::{line, on_a_line, said, trimmed, typed, word};
use super::presets::{self, Serves};
use crate::clock;
use crate::config::Provider;
use crate::domain::app::AppCredentials;
use crate::domain::mailbox::{Owner, Policy};
use crate::domain::{
    App, AppId, Auth, Endpoint, Grant, GrantSecret, GrantWay, Mailbox, MailboxId, Secret, Security, SmtpAuth,
    SmtpEndpoint,
};
use crate::problem::Problem;
use crate::store::{NewMailbox, TakeOver};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailboxForm {
    #[serde(default)]
    id: Option<MailboxId>,
    address: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    provider: Option<String>,
    /// Absent: by preset. `null`: none.
    #[serde(default, deserialize_with = "said")]
    imap: Option<Option<Endpoint>>,
    #[serde(default, deserialize_with = "said")]
    smtp: Option<Option<SmtpForm>>,
    auth: AuthForm,
    #[serde(default)]
    policy: Option<Policy>,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(rename = "ref", default)]
    reference: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    active: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SmtpForm {
    host: String,
    port: u16,
    security: Security,
    #[serde(default)]
    auth: SmtpAuthForm,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected \"inherit\", \"none\" or {\"user\", \"password\"}")]
enum SmtpAuthForm {
    Word(SmtpAuthWord),
    Own(SmtpLogin),
}

impl Default for SmtpAuthForm {
    fn default() -> Self {
        Self::Word(SmtpAuthWord::Inherit)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SmtpAuthWord {
    Inherit,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SmtpLogin {
    user: String,
    #[serde(default)]
    password: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum AuthForm {
    Oauth {
        #[serde(default)]
        app: Option<AppId>,
        #[serde(default)]
        login: Option<String>,
        #[serde(default)]
        aliases: Option<Vec<String>>,
        #[serde(default)]
        delegates: Option<Vec<String>>,
        #[serde(default)]
        refresh_token: Option<Secret>,
    },
    AppOnly {
        #[serde(default)]
        app: Option<AppId>,
    },
    ServiceAccount {
        #[serde(default)]
        app: Option<AppId>,
        #[serde(default)]
        login: Option<String>,
    },
    Password {
        #[serde(default)]
        user: Option<String>,
        #[serde(default)]
        password: Option<Secret>,
    },
}

/// What is shown of a mailbox and cannot be set; it may come back.
const READ_ONLY: [&str; 6] = ["state", "diagnosis", "attention", "send", "grant", "sync"];

/// A mailbox as posted, checked.
pub(super) struct Posted {
    /// Its configuration.
    pub(super) mailbox: Mailbox,
    /// The grant of its password, if one was given.
    pub(super) grant: Option<Grant>,
    /// The password of an SMTP login of its own, if one was given.
    pub(super) smtp_password: Option<Secret>,
    /// The refresh token of another system, if one was given.
    pub(super) take_over: Option<TakeOver>,
}

impl Posted {
    /// As it is created.
    pub(super) fn into_new(self) -> NewMailbox {
        let Self { mailbox, grant, smtp_password, take_over } = self;
        NewMailbox { mailbox, grant, smtp_password, take_over }
    }
}

/// Reads and checks a mailbox; `id` is the one that the address names, if it names one.
pub(super) fn read(
    context: &Context,
    mut value: Value,
    id: Option<&MailboxId>,
    tried: &Tried,
) -> Result<Posted, Problem> {
    if let Some(fields) = value.as_object_mut() {
        READ_ONLY.iter().for_each(|name| drop(fields.remove(*name)));
    }
    let form: MailboxForm = typed(&value)?;
    if let (Some(named), Some(given)) = (id, &form.id)
        && named != given
    {
        return Err(Problem::field("id", format!("is not {named}, which the address names")));
    }
    let address = mail_address("address", &form.address)?;
    let AuthParts { auth, grant, take_over, app } = auth(context, form.auth, &address)?;
    let provider = match form.provider {
        Some(text) => word("provider", &text)?.map(|text| presets::name(&text)),
        None => None,
    };
    let derived = || app.as_ref().and_then(presets::provider_of);
    let by_domain = || presets::provider_of_domain(&presets::domain(&address));
    let provider = provider.or_else(|| derived().or_else(by_domain).map(String::from));
    let preset = provider.as_deref().and_then(presets::servers).unzip();
    let is_said = form.imap.is_some() || form.smtp.is_some();
    let imap = form.imap.unwrap_or(preset.0);
    let (smtp, smtp_password) = match form.smtp {
        Some(Some(given)) => {
            let (endpoint, password) = smtp_endpoint(context, given)?;
            (Some(endpoint), password)
        }
        Some(None) => (None, None),
        None => (preset.1, None),
    };
    let waits_for_app = matches!(auth, Auth::Oauth { app: None, .. }) && !is_said;
    if imap.is_none() && smtp.is_none() && !waits_for_app {
        return Err(no_servers(tried.of(&address)));
    }
    let mailbox = Mailbox {
        id: form.id.or_else(|| id.cloned()).unwrap_or_else(MailboxId::generate),
        address,
        display_name: optional_line("display_name", form.display_name.as_deref())?,
        provider,
        imap: imap.map(|at| endpoint(context, at)).transpose()?,
        smtp,
        auth,
        policy: form.policy.unwrap_or_default(),
        owner: form.owner,
        reference: form.reference,
        labels: form.labels.unwrap_or_default(),
        active: form.active.unwrap_or(true),
    };
    Ok(Posted { mailbox, grant, smtp_password, take_over })
}

fn no_servers(tried: Option<&str>) -> Problem {
    let tried = tried.map(|tried| format!("; its domain was asked in vain: {tried}")).unwrap_or_default();
    let todo = "say where to receive (imap) or to send (smtp), or name a provider";
    Problem::field("imap", format!("{todo}{tried}"))
}

/// The app that is named, else the one whose domains name the address.
fn app_of(
    context: &Context,
    named: Option<AppId>,
    address: &str,
    wanted: Serves,
) -> Result<Option<AppCredentials>, Problem> {
    let Some(id) = named else {
        return Ok(presets::app_of_address(context, address, wanted)?);
    };
    let unknown = || Problem::field("auth.app", format!("there is no app {:?}", id.as_str()));
    let app = context.store.app(&id)?.ok_or_else(unknown)?.value;
    let problem = match (wanted, Serves::of(&app)) {
        (Serves::ServiceAccount, Serves::Registration) => {
            "has no service account: enter its key file in the app as service_account"
        }
        (Serves::Registration, Serves::ServiceAccount) => {
            "is a service account, through which nobody signs in: set auth.kind to service_account"
        }
        (Serves::Registration, Serves::Registration) | (Serves::ServiceAccount, Serves::ServiceAccount) => {
            return Ok(Some(app));
        }
    };
    Err(Problem::field("auth.app", problem))
}

struct AuthParts {
    auth: Auth,
    grant: Option<Grant>,
    take_over: Option<TakeOver>,
    app: Option<App>,
}

fn auth(context: &Context, form: AuthForm, address: &str) -> Result<AuthParts, Problem> {
    match form {
        AuthForm::Oauth { app, login, aliases, delegates, refresh_token } => {
            let app = app_of(context, app, address, Serves::Registration)?;
            let take_over = refresh_token.map(|token| take_over(app.as_ref(), &token)).transpose()?;
            let login = optional_line("auth.login", login.as_deref())?;
            let names = |field: &str, names: Option<Vec<String>>| -> Result<Vec<String>, Problem> {
                names.unwrap_or_default().iter().filter_map(|name| line(field, name).transpose()).collect()
            };
            let (aliases, delegates) = (names("auth.aliases", aliases)?, names("auth.delegates", delegates)?);
            let app = app.map(|found| found.app);
            let auth = Auth::Oauth { app: app.as_ref().map(|app| app.id.clone()), login, aliases, delegates };
            Ok(AuthParts { auth, grant: None, take_over, app })
        }
        AuthForm::AppOnly { app } => {
            let missing = || Problem::field("auth.app", "is missing: app_only needs an app");
            let app = app_of(context, app, address, Serves::Registration)?.ok_or_else(missing)?.app;
            let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
            if preset.is_none_or(|preset| preset.app_scope.is_none()) {
                return Err(Problem::field("auth.app", "has no app-only tokens: only Microsoft 365 has"));
            }
            let auth = Auth::AppOnly { app: app.id.clone() };
            Ok(AuthParts { auth, grant: None, take_over: None, app: Some(app) })
        }
        AuthForm::ServiceAccount { app, login } => {
            let missing =
                || Problem::field("auth.app", "is missing: service_account needs an app that is one");
            let app = app_of(context, app, address, Serves::ServiceAccount)?.ok_or_else(missing)?.app;
            let login = login.as_deref().and_then(trimmed);
            let login = login.map(|login| mail_address("auth.login", &login)).transpose()?;
            let auth = Auth::ServiceAccount { app: app.id.clone(), login };
            Ok(AuthParts { auth, grant: None, take_over: None, app: Some(app) })
        }
        AuthForm::Password { user, password } => {
            let user = optional_line("auth.user", user.as_deref())?.unwrap_or_else(|| String::from(address));
            check_password("auth.password", password.as_ref())?;
            let grant = password.map(|password| password_grant(&user, password));
            Ok(AuthParts { auth: Auth::Password { user }, grant, take_over: None, app: None })
        }
    }
}

fn optional_line(field: &str, text: Option<&str>) -> Result<Option<String>, Problem> {
    text.map(|text| line(field, text)).transpose().map(Option::flatten)
}

fn check_password(field: &str, password: Option<&Secret>) -> Result<(), Problem> {
    match password {
        Some(password) if password.is_empty() => Err(Problem::field(field, "is empty")),
        Some(password) => on_a_line(field, password.expose()),
        None => Ok(()),
    }
}

/// Longer than any provider's, and what fits a row with everything around it.
const LONGEST_TOKEN: usize = 3500;

fn take_over(app: Option<&AppCredentials>, token: &Secret) -> Result<TakeOver, Problem> {
    const FIELD: &str = "auth.refresh_token";
    let refresh_token = trimmed(token.expose()).map(Secret::new);
    let refresh_token = refresh_token.ok_or_else(|| Problem::field(FIELD, "is empty"))?;
    let is_one = |c: char| c.is_ascii_graphic();
    if !refresh_token.expose().chars().all(is_one) || refresh_token.expose().len() > LONGEST_TOKEN {
        let detail = format!(
            "is no refresh token: it is one word of visible ASCII letters, at most {LONGEST_TOKEN} of them"
        );
        return Err(Problem::field(FIELD, detail));
    }
    let unnamed = || Problem::field(FIELD, "belongs to the app it was issued to: name it in auth.app");
    let send_client_secret = app.ok_or_else(unnamed)?.is_confidential();
    Ok(TakeOver { refresh_token, send_client_secret })
}

fn password_grant(user: &str, password: Secret) -> Grant {
    let secret = GrantSecret::Password { user: String::from(user), password };
    Grant::new(GrantWay::Password, secret, clock::now())
}

fn mail_address(field: &str, text: &str) -> Result<String, Problem> {
    let bare = word(field, text)?.unwrap_or_default();
    match bare.split_once('@') {
        Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !domain.contains('@') && bare.len() <= 254 =>
        {
            Ok(bare)
        }
        _ => Err(Problem::field(field, format!("{text:?} is no mail address"))),
    }
}

fn endpoint(context: &Context, at: Endpoint) -> Result<Endpoint, Problem> {
    let host = host(context, "imap", &at.host, at.port, at.security)?;
    Ok(Endpoint { host, ..at })
}

fn smtp_endpoint(context: &Context, given: SmtpForm) -> Result<(SmtpEndpoint, Option<Secret>), Problem> {
    let SmtpForm { host: name, port, security, auth } = given;
    let host = host(context, "smtp", &name, port, security)?;
    let (auth, password) = match auth {
        SmtpAuthForm::Word(SmtpAuthWord::Inherit) => (SmtpAuth::Inherit, None),
        SmtpAuthForm::Word(SmtpAuthWord::None) => (SmtpAuth::None, None),
        SmtpAuthForm::Own(SmtpLogin { user, password }) => {
            const USER: &str = "smtp.auth.user";
            let user = line(USER, &user)?.ok_or_else(|| Problem::field(USER, "is empty"))?;
            check_password("smtp.auth.password", password.as_ref())?;
            (SmtpAuth::Own { user }, password)
        }
    };
    Ok((SmtpEndpoint { host, port, security, auth }, password))
}

fn host(
    context: &Context,
    field: &str,
    host: &str,
    port: u16,
    security: Security,
) -> Result<String, Problem> {
    let name = format!("{field}.host");
    let bare = word(&name, host)?.unwrap_or_default();
    if bare.is_empty() || bare.contains(['/', '@', '?', '#']) || bare.len() > 253 {
        return Err(Problem::field(&name, format!("{host:?} is no host name")));
    }
    if port == 0 {
        return Err(Problem::field(&format!("{field}.port"), "is 0"));
    }
    context
        .dialer
        .check_security(&bare, security)
        .map_err(|error| Problem::unprocessable("plain_refused", format!("{field}.security: {error}")))?;
    Ok(bare)
}
