//! The OAuth requests, made by the `oauth2` crate over our HTTP client. Its reading of answers is not used: it
//! drops an answer whole when any field is odd, and with it a refresh token that exists nowhere else.

use super::answer::{self, FlowError, RawAnswer, TokenAnswer};
use super::assertion;
use super::endpoints::{ClientAuth, Endpoints};
use super::service_account::{self, Wish};
use super::transport::{Wire, fetch};
use crate::clock;
use crate::domain::Secret;
use crate::domain::app::AppCredentials;
use crate::net::HttpClient;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenUrl,
};
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;
use url::Url;

/// RFC 8628 §3.2: the interval if none is said.
const DEVICE_INTERVAL: Duration = Duration::from_secs(5);

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Speaks to one app's identity provider.
#[derive(Clone, Debug)]
pub struct OauthClient {
    http: HttpClient,
    endpoints: Endpoints,
    credentials: AppCredentials,
}

/// What a user's sign-in is started with.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeRequest<'a> {
    /// Where the user returns to.
    pub redirect_uri: &'a str,
    /// Comes back with him.
    pub state: &'a str,
    /// The secret whose hash goes along (PKCE S256, RFC 7636).
    pub verifier: &'a Secret,
    /// Comes back in the identity token.
    pub nonce: &'a str,
    /// The address to suggest.
    pub login_hint: Option<&'a str>,
    /// Claims the provider asked for in an earlier refusal.
    pub claims: Option<&'a str>,
}

/// A device code, to be stored so that a restart goes on polling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceGrant {
    /// What is polled with.
    pub device_code: Secret,
    /// What the user types in.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// How long it is valid.
    pub expires_in: Duration,
    /// The pause between polls.
    pub interval: Duration,
}

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevicePoll {
    /// The user is not done.
    Pending,
    /// The same, and the interval grows by 5 s for good (RFC 8628 §3.5).
    SlowDown,
    /// The user declined: RFC 8628's `access_denied`, Entra's `authorization_declined`.
    Declined,
    /// The code has ended or is unknown: offer a new one.
    Expired,
    /// Signed in.
    Done(TokenAnswer),
}

impl OauthClient {
    /// `http` follows no redirects and has its own deadlines ([`crate::net::Dialer::http_client`], 30 s).
    #[must_use]
    pub fn new(http: HttpClient, endpoints: Endpoints, credentials: AppCredentials) -> Self {
        Self { http, endpoints, credentials }
    }

    /// Where everything goes.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The address that the user is sent to.
    ///
    /// # Errors
    /// [`FlowError::Endpoint`] if the redirect URI is no URL.
    pub fn authorize_url(&self, request: &AuthorizeRequest<'_>) -> Result<Url, FlowError> {
        let verifier = PkceCodeVerifier::new(String::from(request.verifier.expose()));
        let redirect = redirect(request.redirect_uri)?;
        let client = self.client(false, self.endpoints.client_auth)?;
        let mut url = client
            .authorize_url(|| CsrfToken::new(String::from(request.state)))
            .set_redirect_uri(Cow::Owned(redirect))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(scopes(&self.endpoints.scopes))
            .add_extra_param("nonce", request.nonce);
        for (name, value) in &self.endpoints.authorize_extra {
            url = url.add_extra_param(name.as_str(), value.as_str());
        }
        if let Some(hint) = request.login_hint {
            url = url.add_extra_param("login_hint", hint);
        }
        if let Some(claims) = request.claims {
            url = url.add_extra_param("claims", claims);
        }
        Ok(url.url().0)
    }

    /// Turns a code into tokens. On [`FlowError::wants_secret_the_other_way`] repeat it once with `send_secret`
    /// inverted, and keep with the grant what worked.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn exchange_code(
        &self,
        code: &Secret,
        verifier: &Secret,
        redirect_uri: &str,
        send_secret: bool,
    ) -> Result<TokenAnswer, FlowError> {
        let redirect = redirect(redirect_uri)?;
        self.either_way(send_secret, async |auth| {
            let client = self.client(send_secret, auth)?;
            let mut request = client
                .exchange_code(AuthorizationCode::new(String::from(code.expose())))
                .set_pkce_verifier(PkceCodeVerifier::new(String::from(verifier.expose())))
                .set_redirect_uri(Cow::Borrowed(&redirect));
            for (name, value) in self.assertion(send_secret)? {
                request = request.add_extra_param(name, value);
            }
            let wire = Wire::new(&self.http);
            drop(request.request_async(&|made| wire.send(made)).await);
            answer::read(&wire.answer()?)
        })
        .await
    }

    /// Gets a fresh access token. Before this is called, the grant must say durably that a refresh is in flight.
    ///
    /// # Errors
    /// [`FlowError`]; see [`FlowError::may_have_consumed`].
    pub async fn refresh(
        &self,
        refresh_token: &Secret,
        wanted: &[String],
        send_secret: bool,
    ) -> Result<TokenAnswer, FlowError> {
        let token = RefreshToken::new(String::from(refresh_token.expose()));
        let wanted = if self.endpoints.refresh_names_scopes { wanted } else { &[] };
        self.either_way(send_secret, async |auth| {
            let client = self.client(send_secret, auth)?;
            let mut request = client.exchange_refresh_token(&token).add_scopes(scopes(wanted));
            for (name, value) in self.assertion(send_secret)? {
                request = request.add_extra_param(name, value);
            }
            let wire = Wire::new(&self.http);
            drop(request.request_async(&|made| wire.send(made)).await);
            answer::read(&wire.answer()?)
        })
        .await
    }

    /// A token of the app itself.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn client_credentials(&self, scope: &str) -> Result<TokenAnswer, FlowError> {
        let client = self.client(true, self.endpoints.client_auth)?;
        let mut request = client.exchange_client_credentials().add_scope(Scope::new(String::from(scope)));
        for (name, value) in self.assertion(true)? {
            request = request.add_extra_param(name, value);
        }
        let wire = Wire::new(&self.http);
        drop(request.request_async(&|made| wire.send(made)).await);
        answer::read(&wire.answer()?)
    }

    /// A token of the app's service account: for a user, or of its own, which opens no mailbox.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn jwt_bearer(&self, user: Option<&str>) -> Result<TokenAnswer, FlowError> {
        let missing = || FlowError::Endpoint(String::from("the app has no service account's key"));
        let account = self.credentials.service_account.as_ref().ok_or_else(missing)?;
        let scope = self.endpoints.service_account_scope.as_deref().ok_or_else(missing)?;
        let wish = Wish { audience: self.endpoints.token.as_str(), scope, user };
        let signed = service_account::sign(account, &wish, clock::now());
        let signed = signed.map_err(|error| FlowError::Endpoint(error.to_string()))?;
        let form = [("grant_type", service_account::GRANT_TYPE), ("assertion", signed.as_str())];
        let request = self.http.post(self.endpoints.token.clone()).form(&form).build();
        answer::read(&fetch(&self.http, request.map_err(|error| unbuilt(&error))?).await?)
    }

    /// Asks for a device code (RFC 8628 §3.1).
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn request_device_code(&self, send_secret: bool) -> Result<DeviceGrant, FlowError> {
        let missing = || FlowError::Endpoint(String::from("this provider has no device codes"));
        let url = self.endpoints.device.clone().ok_or_else(missing)?;
        let wanted = self.endpoints.scopes.join(" ");
        let form = [("client_id", self.credentials.app.client_id.as_str()), ("scope", &wanted)];
        let send_secret = send_secret || self.endpoints.device_needs_secret;
        let answer = self
            .either_way(send_secret, async |auth| {
                let answer = self.post_form(&url, &form, send_secret, auth).await?;
                match answer::read(&answer) {
                    Err(error) if error.is_invalid_client() => Err(error),
                    Ok(_) | Err(_) => Ok(answer),
                }
            })
            .await?;
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(String::from);
        let uri = text("verification_uri").or_else(|| text("verification_url"));
        match (text("device_code"), text("user_code"), uri) {
            (Some(device_code), Some(user_code), Some(verification_uri)) => Ok(DeviceGrant {
                device_code: Secret::new(device_code),
                user_code,
                verification_uri,
                expires_in: json
                    .get("expires_in")
                    .and_then(answer::seconds)
                    .unwrap_or(Duration::from_secs(900)),
                interval: json.get("interval").and_then(answer::seconds).unwrap_or(DEVICE_INTERVAL),
            }),
            _ => Err(answer::read(&answer).err().unwrap_or_else(missing)),
        }
    }

    /// Asks once whether the user is done. A [`FlowError::Transport`] or 5xx is no end: go on until `expires_in`.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn poll_device(
        &self,
        device_code: &Secret,
        send_secret: bool,
    ) -> Result<DevicePoll, FlowError> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", self.credentials.app.client_id.as_str()),
            ("device_code", device_code.expose()),
        ];
        let send_secret = send_secret || self.endpoints.device_needs_secret;
        let asked = self.either_way(send_secret, async |auth| {
            answer::read(&self.post_form(&self.endpoints.token, &form, send_secret, auth).await?)
        });
        match asked.await {
            Ok(tokens) => Ok(DevicePoll::Done(tokens)),
            Err(FlowError::Refused { failure }) => match failure.error.as_str() {
                "authorization_pending" => Ok(DevicePoll::Pending),
                "slow_down" => Ok(DevicePoll::SlowDown),
                "authorization_declined" => Ok(DevicePoll::Declined),
                // with a number it can say more than that: a policy, say
                "access_denied" if failure.is_decline() => Ok(DevicePoll::Declined),
                "expired_token" | "code_expired" | "bad_verification_code" => Ok(DevicePoll::Expired),
                _ => Err(FlowError::Refused { failure }),
            },
            Err(other) => Err(other),
        }
    }

    /// What the provider says of a user beside his identity token.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn userinfo(&self, access_token: &Secret) -> Result<Value, FlowError> {
        let missing = || FlowError::Endpoint(String::from("this provider tells nothing more of its users"));
        let url = self.endpoints.userinfo.clone().ok_or_else(missing)?;
        let request = self.http.get(url).bearer_auth(access_token.expose()).build();
        let answer = fetch(&self.http, request.map_err(|error| unbuilt(&error))?).await?;
        let cause = format!("the userinfo endpoint answered {}", answer.status);
        serde_json::from_slice(&answer.body)
            .ok()
            .filter(|_| answer.status == 200)
            .ok_or(FlowError::Transport { maybe_consumed: false, cause })
    }

    /// Asks as the provider says that clients prove themselves; where it takes both ways and refuses the client, the
    /// registration wants the other one. A refused client has used nothing up.
    async fn either_way<T>(
        &self,
        send_secret: bool,
        ask: impl AsyncFn(ClientAuth) -> Result<T, FlowError>,
    ) -> Result<T, FlowError> {
        let auth = self.endpoints.client_auth;
        let has_other =
            self.endpoints.takes_either_auth && send_secret && self.credentials.client_secret.is_some();
        match ask(auth).await {
            Err(error) if has_other && error.is_invalid_client() => ask(auth.other()).await,
            other => other,
        }
    }

    async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        send_secret: bool,
        auth: ClientAuth,
    ) -> Result<RawAnswer, FlowError> {
        let mut form = form.to_vec();
        let assertion = self.assertion(send_secret)?;
        form.extend(assertion.iter().map(|(name, value)| (*name, value.as_str())));
        let mut request = self.http.post(url.clone());
        if let Some(secret) = self.credentials.client_secret.as_ref().filter(|_| send_secret) {
            match auth {
                ClientAuth::Post => form.push(("client_secret", secret.expose())),
                ClientAuth::Basic => {
                    // RFC 6749 §2.3.1: both are form-encoded first
                    let encoded = |text: &str| -> String {
                        url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                    };
                    let client_id = encoded(&self.credentials.app.client_id);
                    request = request.basic_auth(client_id, Some(encoded(secret.expose())));
                }
            }
        }
        fetch(&self.http, request.form(&form).build().map_err(|error| unbuilt(&error))?).await
    }

    /// What goes along where a certificate takes the place of the secret: made for this one request.
    fn assertion(&self, send: bool) -> Result<Vec<(&'static str, String)>, FlowError> {
        let Some(certificate) = self.credentials.certificate.as_ref().filter(|_| send) else {
            return Ok(Vec::new());
        };
        let made_for = assertion::MadeFor {
            client_id: &self.credentials.app.client_id,
            audience: self.endpoints.token.as_str(),
            signature: self.endpoints.assertion,
        };
        let jti = format!("{:032x}", rand::random::<u128>());
        let signed = assertion::sign(certificate, &made_for, jti, clock::now());
        let signed = signed.map_err(|error| FlowError::Endpoint(error.to_string()))?;
        Ok(vec![("client_assertion_type", String::from(assertion::TYPE)), ("client_assertion", signed)])
    }

    fn client(&self, send_secret: bool, auth: ClientAuth) -> Result<Client, FlowError> {
        let bad = |error: url::ParseError| FlowError::Endpoint(error.to_string());
        let client = BasicClient::new(ClientId::new(self.credentials.app.client_id.clone()))
            .set_auth_type(match auth {
                ClientAuth::Post => AuthType::RequestBody,
                ClientAuth::Basic => AuthType::BasicAuth,
            })
            .set_auth_uri(AuthUrl::new(self.endpoints.authorize.to_string()).map_err(bad)?)
            .set_token_uri(TokenUrl::new(self.endpoints.token.to_string()).map_err(bad)?);
        Ok(match (&self.credentials.client_secret, send_secret) {
            (Some(secret), true) => {
                client.set_client_secret(ClientSecret::new(String::from(secret.expose())))
            }
            (Some(_), false) | (None, _) => client,
        })
    }
}

fn unbuilt(error: &reqwest::Error) -> FlowError {
    FlowError::Endpoint(format!("the request cannot be made: {error}"))
}

fn scopes(texts: &[String]) -> impl Iterator<Item = Scope> {
    texts.iter().cloned().map(Scope::new)
}

fn redirect(uri: &str) -> Result<RedirectUrl, FlowError> {
    RedirectUrl::new(String::from(uri)).map_err(|error| FlowError::Endpoint(format!("{uri:?}: {error}")))
}

#[cfg(test)]
#[path = "flows_tests.rs"]
mod tests;
