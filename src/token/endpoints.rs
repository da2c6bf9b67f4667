//! Where an app's requests go: what `config/providers.toml` says, or an OpenID provider's discovery document.

use super::answer::FlowError;
use super::flows::fetch;
use crate::config::{OauthPreset, Provider};
use crate::domain::{App, ProviderKind};
use crate::net::Dialer;
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
    /// Further parameters of the sign-in.
    pub authorize_extra: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

impl Endpoints {
    /// The endpoints of an app; only `oidc` asks the network (OpenID Connect Discovery 1.0 §4).
    ///
    /// # Errors
    /// [`FlowError::Endpoint`] if the configuration cannot be used, [`FlowError::Transport`] if discovery fails.
    pub async fn of(app: &App, http: &reqwest::Client) -> Result<Self, FlowError> {
        let unknown = || FlowError::Endpoint(format!("nobody signs in at {:?}", app.provider.name()));
        let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
        let preset = preset.ok_or_else(unknown)?;
        let mut found = match (&preset.authority, &preset.authorize, &preset.token) {
            (Some(authority), _, _) => Self::entra(app, preset, authority)?,
            (None, Some(authorize), Some(token)) => Self::fixed(app, preset, authorize, token)?,
            (None, _, _) => Self::discover(app, preset, http).await?,
        };
        if let Some(scopes) = &app.scopes {
            found.scopes = match app.provider {
                ProviderKind::Oidc => preset.scopes.iter().chain(scopes).cloned().collect(),
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
            issuer: preset.issuer.clone().unwrap_or_default(),
            scopes: preset.scopes.clone(),
            authorize_extra: std::iter::once(prompt).chain(extra).collect(),
        }
    }

    async fn discover(app: &App, preset: &OauthPreset, http: &reqwest::Client) -> Result<Self, FlowError> {
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
        if found.issuer != issuer {
            let said = found.issuer;
            return Err(FlowError::Endpoint(format!("{url} speaks for the issuer {said:?}, not {issuer:?}")));
        }
        let (authorize, token) = (checked(&found.authorization_endpoint)?, checked(&found.token_endpoint)?);
        Ok(Self {
            device: found.device_authorization_endpoint.as_deref().map(checked).transpose()?,
            issuer: found.issuer,
            ..Self::preset(preset, authorize, token)
        })
    }
}

/// A URL that secrets may be sent to.
pub(super) fn checked(text: &str) -> Result<Url, FlowError> {
    let url =
        Url::parse(text).map_err(|error| FlowError::Endpoint(format!("{text:?} is no URL: {error}")))?;
    Dialer::check_url(&url).map_err(|_| FlowError::Endpoint(format!("{text:?} is not https")))?;
    Ok(url)
}
