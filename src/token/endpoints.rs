//! Where an app's requests go: Entra ID, Google, or what an OpenID provider's discovery document says.

use super::answer::FlowError;
use super::flows::fetch;
use crate::domain::{App, ProviderKind};
use crate::net::Dialer;
use serde::Deserialize;
use url::Url;

/// What a registration of the platform "mobile and desktop applications" names (Entra ID, embedded browsers).
const NATIVE_REDIRECT: &str = "https://login.microsoftonline.com/common/oauth2/nativeclient";

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
        let mut found = match app.provider {
            ProviderKind::Office365 => Self::office365(app)?,
            ProviderKind::Google => Self::google(app)?,
            ProviderKind::Oidc => Self::discover(app, http).await?,
        };
        if let Some(scopes) = &app.scopes {
            let base = ["openid", "offline_access", "email"].map(String::from).into_iter();
            found.scopes = match app.provider {
                ProviderKind::Oidc => base.chain(scopes.iter().cloned()).collect(),
                ProviderKind::Office365 | ProviderKind::Google => scopes.clone(),
            };
        }
        Ok(found)
    }

    fn office365(app: &App) -> Result<Self, FlowError> {
        let base =
            app.authority.as_deref().unwrap_or("https://login.microsoftonline.com").trim_end_matches('/');
        let tenant = app.tenant.as_deref().unwrap_or("organizations");
        if tenant.contains(['/', '?', '#']) {
            return Err(FlowError::Endpoint(format!("{tenant:?} is no tenant id")));
        }
        let at = |path: &str| checked(&format!("{base}/{tenant}/oauth2/v2.0/{path}"));
        let scopes = [
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/SMTP.Send",
            "offline_access",
            "openid",
            "profile",
            "email",
        ];
        Ok(Self {
            authorize: at("authorize")?,
            token: at("token")?,
            device: Some(at("devicecode")?),
            native_redirect: Some(String::from(NATIVE_REDIRECT)),
            issuer: format!("{base}/{{tenantid}}/v2.0"),
            scopes: scopes.map(String::from).to_vec(),
            app_scope: Some(String::from("https://outlook.office365.com/.default")),
            authorize_extra: Vec::new(),
        })
    }

    fn google(app: &App) -> Result<Self, FlowError> {
        let (authorize, token) = match app.authority.as_deref() {
            None => (
                String::from("https://accounts.google.com/o/oauth2/v2/auth"),
                String::from("https://oauth2.googleapis.com/token"),
            ),
            Some(base) => {
                let base = base.trim_end_matches('/');
                (format!("{base}/o/oauth2/v2/auth"), format!("{base}/token"))
            }
        };
        Ok(Self {
            authorize: checked(&authorize)?,
            token: checked(&token)?,
            // Google's device flow does not allow the mail scope
            device: None,
            native_redirect: None,
            issuer: app.authority.clone().unwrap_or_else(|| String::from("https://accounts.google.com")),
            scopes: ["https://mail.google.com/", "openid", "email"].map(String::from).to_vec(),
            app_scope: None,
            // without these two a second sign-in brings no refresh token
            authorize_extra: vec![(String::from("access_type"), String::from("offline"))],
        })
    }

    async fn discover(app: &App, http: &reqwest::Client) -> Result<Self, FlowError> {
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
        Ok(Self {
            authorize: checked(&found.authorization_endpoint)?,
            token: checked(&found.token_endpoint)?,
            device: found.device_authorization_endpoint.as_deref().map(checked).transpose()?,
            native_redirect: None,
            issuer: found.issuer,
            scopes: ["openid", "offline_access", "email"].map(String::from).to_vec(),
            app_scope: None,
            authorize_extra: Vec::new(),
        })
    }
}

/// A URL that secrets may be sent to.
fn checked(text: &str) -> Result<Url, FlowError> {
    let url =
        Url::parse(text).map_err(|error| FlowError::Endpoint(format!("{text:?} is no URL: {error}")))?;
    Dialer::check_url(&url).map_err(|_| FlowError::Endpoint(format!("{text:?} is not https")))?;
    Ok(url)
}
