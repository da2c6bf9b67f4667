//! Where an app's requests go: what `config/providers.toml` says, or an OpenID provider's discovery document.

use super::answer::FlowError;
use super::transport::fetch;
use crate::config::{OauthPreset, Provider};
use crate::domain::{App, Mailbox, ProviderKind};
use crate::net::{Dialer, HttpClient};
use crate::token::scopes;
use serde::Deserialize;
use url::Url;

/// The endpoints of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where the user signs in.
    pub authorize: Url,
    /// Where tokens come from.
    pub token: Url,
    /// Where device codes come from, if the provider has them.
    pub device: Option<Url>,
    /// A page of the provider's own that users may be sent to, for clients that have none.
    pub native_redirect: Option<String>,
    /// The issuer named in identity tokens; `{tenantid}` stands for the token's own tenant.
    pub issuer: String,
    /// Scopes of a user's sign-in.
    pub scopes: Vec<String>,
    /// The scope of the app's own tokens, if the provider has such.
    pub app_scope: Option<String>,
    /// The scope of a service account's tokens for a user, if the provider has such accounts.
    pub service_account_scope: Option<String>,
    /// Tells more of who signed in, where the identity token does not (OpenID Connect Core §5.3).
    pub userinfo: Option<Url>,
    /// How a client proves itself at the token endpoint.
    pub client_auth: ClientAuth,
    /// What assertions are signed with, where a certificate takes the place of the secret.
    pub assertion: Signature,
    /// Whether a registration may want it the other way: the provider takes both.
    pub takes_either_auth: bool,
    /// Whether a refresh names its scopes; without, it is for all that was granted (RFC 6749 §6).
    pub refresh_names_scopes: bool,
    /// Whether a client with a secret proves itself for device codes, too (RFC 8628 §3.1).
    pub device_needs_secret: bool,
    /// Further parameters of the sign-in.
    pub authorize_extra: Vec<(String, String)>,
}

/// What an assertion is signed with (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

/// How a client with a secret proves itself (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_post`: in the body. Entra ID and Google take it there, and it needs no second encoding.
    Post,
    /// `client_secret_basic`: in a header; what a registration has that says nothing.
    Basic,
}

impl ClientAuth {
    /// The other way.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Post => Self::Basic,
            Self::Basic => Self::Post,
        }
    }
}

/// OpenID Connect Discovery 1.0 §3 and RFC 8628 §4, as far as it is needed.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    prompt_values_supported: Option<Vec<String>>,
}

impl Discovery {
    /// Basic is what a list that is left out stands for.
    fn takes(&self, method: &str) -> bool {
        match &self.token_endpoint_auth_methods_supported {
            Some(methods) => methods.iter().any(|known| known == method),
            None => method == "client_secret_basic",
        }
    }

    /// A refresh token comes only with consent (OpenID Connect Core §11). Not every provider can let an account be
    /// chosen; to sign in anew lets the user do so.
    fn prompt(&self) -> &'static str {
        let chooses = self
            .prompt_values_supported
            .as_ref()
            .is_some_and(|values| values.iter().any(|value| value == "select_account"));
        if chooses { "select_account consent" } else { "login consent" }
    }

    /// `openid` always; of the others those that the provider knows, where it says which.
    fn scopes(&self, wanted: &[String]) -> Vec<String> {
        let is_known = |scope: &String| {
            scope == "openid" || self.scopes_supported.as_ref().is_none_or(|known| known.contains(scope))
        };
        wanted.iter().filter(|scope| is_known(scope)).cloned().collect()
    }
}

impl Endpoints {
    /// The endpoints of an app; only `oidc` asks the network (OpenID Connect Discovery 1.0 §4).
    ///
    /// # Errors
    /// [`FlowError::Endpoint`] if the configuration cannot be used, [`FlowError::Transport`] if discovery fails.
    pub async fn of(app: &App, http: &HttpClient) -> Result<Self, FlowError> {
        let unknown = || FlowError::Endpoint(format!("nobody signs in at {:?}", app.provider.name()));
        let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
        let preset = preset.ok_or_else(unknown)?;
        let mut found = match (&preset.authority, &preset.authorize, &preset.token) {
            (Some(authority), _, _) => Self::entra(app, preset, authority)?,
            (None, Some(authorize), Some(token)) => Self::fixed(app, preset, authorize, token)?,
            (None, _, _) => Self::discover(app, preset, http).await?,
        };
        if let Some(scopes) = &app.scopes {
            found.service_account_scope = found.service_account_scope.map(|_| scopes.join(" "));
            found.scopes = match app.provider {
                ProviderKind::Oidc => found.scopes.iter().chain(scopes).cloned().collect(),
                ProviderKind::Office365
                | ProviderKind::Office365Us
                | ProviderKind::Office365Cn
                | ProviderKind::Outlook
                | ProviderKind::Google
                | ProviderKind::Yahoo
                | ProviderKind::Fastmail => scopes.clone(),
            };
        }
        Ok(found)
    }

    /// The same with the scopes that a mailbox needs for what it does.
    #[must_use]
    pub fn for_mailbox(mut self, mailbox: &Mailbox) -> Self {
        self.scopes = scopes::for_mailbox(mailbox, &self.scopes);
        self
    }

    /// Where the service account of an app asks for tokens; `None`: its provider has no such accounts.
    #[must_use]
    pub fn for_service_account(app: &App) -> Option<Result<Url, FlowError>> {
        let preset = Provider::of_kind(app.provider)?.oauth.as_ref()?;
        let (authorize, token) = (preset.authorize.as_deref()?, preset.token.as_deref()?);
        preset.service_account_scope.as_ref()?;
        Some(Self::fixed(app, preset, authorize, token).map(|found| found.token))
    }

    fn entra(app: &App, preset: &OauthPreset, authority: &str) -> Result<Self, FlowError> {
        let base = app.authority.as_deref().unwrap_or(authority).trim_end_matches('/');
        let default = preset.tenant.as_ref().map_or("organizations", |tenant| tenant.default.as_str());
        let tenant = app.tenant.as_deref().unwrap_or(default);
        if tenant.contains(['/', '?', '#']) {
            return Err(FlowError::Endpoint(format!("{tenant:?} is no tenant id")));
        }
        let at = |path: &str| checked(&format!("{base}/{tenant}/oauth2/v2.0/{path}"));
        Ok(Self {
            device: Some(at("devicecode")?),
            issuer: format!("{base}/{{tenantid}}/v2.0"),
            // what Microsoft asks for; it knows RS256, too
            assertion: Signature::Ps256,
            ..Self::preset(preset, at("authorize")?, at("token")?)
        })
    }

    /// Addresses that are known; an authority of the app's takes the place of their hosts.
    fn fixed(app: &App, preset: &OauthPreset, authorize: &str, token: &str) -> Result<Self, FlowError> {
        let (authorize, token) = (checked(authorize)?, checked(token)?);
        let Some(base) = app.authority.as_deref() else { return Ok(Self::preset(preset, authorize, token)) };
        let at = |url: &Url| checked(&format!("{}{}", base.trim_end_matches('/'), url.path()));
        Ok(Self { issuer: String::from(base), ..Self::preset(preset, at(&authorize)?, at(&token)?) })
    }

    fn preset(preset: &OauthPreset, authorize: Url, token: Url) -> Self {
        let prompt = (String::from("prompt"), preset.prompt.clone());
        let extra = preset.extra.iter().map(|(name, value)| (name.clone(), value.clone()));
        Self {
            authorize,
            token,
            device: None,
            native_redirect: preset.native_redirect.clone(),
            app_scope: preset.app_scope.clone(),
            service_account_scope: preset.service_account_scope.clone(),
            issuer: preset.issuer.clone().unwrap_or_default(),
            scopes: preset.scopes.clone(),
            userinfo: None,
            client_auth: ClientAuth::Post,
            // what every OpenID provider knows (OpenID Connect Core §15.1)
            assertion: Signature::Rs256,
            takes_either_auth: false,
            refresh_names_scopes: true,
            device_needs_secret: false,
            authorize_extra: std::iter::once(prompt).chain(extra).collect(),
        }
    }

    async fn discover(app: &App, preset: &OauthPreset, http: &HttpClient) -> Result<Self, FlowError> {
        let issuer = app.authority.as_deref().unwrap_or_default();
        let url = checked(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
        let request = http.get(url.clone()).build();
        let request = request.map_err(|error| FlowError::Endpoint(format!("{url}: {error}")))?;
        // no refresh token has left us yet, and a server that is away says nothing about the app
        let away = |cause| FlowError::Transport { maybe_consumed: false, cause };
        let answer = fetch(http, request).await.map_err(|error| away(error.to_string()))?;
        if matches!(answer.status, 408 | 429 | 500..) {
            return Err(away(format!("{url} answered {}", answer.status)));
        }
        let found: Discovery = serde_json::from_slice(&answer.body)
            .map_err(|error| FlowError::Endpoint(format!("{url} is no discovery document: {error}")))?;
        if found.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            let said = found.issuer;
            return Err(FlowError::Endpoint(format!("{url} speaks for the issuer {said:?}, not {issuer:?}")));
        }
        let (authorize, token) = (checked(&found.authorization_endpoint)?, checked(&found.token_endpoint)?);
        let basic = found.takes("client_secret_basic");
        let prompt = (String::from("prompt"), String::from(found.prompt()));
        let others = preset.extra.iter().map(|(name, value)| (name.clone(), value.clone()));
        Ok(Self {
            device: found.device_authorization_endpoint.as_deref().map(checked).transpose()?,
            userinfo: found.userinfo_endpoint.as_deref().map(checked).transpose()?,
            client_auth: if basic { ClientAuth::Basic } else { ClientAuth::Post },
            takes_either_auth: basic && found.takes("client_secret_post"),
            refresh_names_scopes: false,
            device_needs_secret: true,
            scopes: found.scopes(&preset.scopes),
            authorize_extra: std::iter::once(prompt).chain(others).collect(),
            issuer: found.issuer,
            ..Self::preset(preset, authorize, token)
        })
    }
}

/// A URL that secrets may be sent to.
pub(in crate::token) fn checked(text: &str) -> Result<Url, FlowError> {
    let url =
        Url::parse(text).map_err(|error| FlowError::Endpoint(format!("{text:?} is no URL: {error}")))?;
    Dialer::check_url(&url).map_err(|_| FlowError::Endpoint(format!("{text:?} is not https")))?;
    Ok(url)
}
